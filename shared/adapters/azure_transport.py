"""The connections of the Azure SDKs' clients."""

from urllib.request import getproxies

from azure.core.pipeline.transport import AioHttpTransport

PROXIES = {"http", "https", "all"}
"""As environments name them; `no` is named beside them, or alone."""


def open_transport() -> AioHttpTransport:
    """Connections of their own for one client, through the proxy that the environment names, if it names one.

    Where it names none the environment is left alone: aiohttp would look for a `.netrc` before each request, in
    another thread, and these requests bring their own authorization.
    """
    return AioHttpTransport(use_env_settings=bool(PROXIES & getproxies().keys()))
