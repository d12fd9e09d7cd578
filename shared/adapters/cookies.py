"""One user's cookies. A value goes back as it came, quotes and all, as browsers do it."""

from collections.abc import Sequence
from http.client import HTTPResponse
from http.cookiejar import CookieJar
from typing import cast
from urllib.request import Request

from shared.adapters.http_calls import VALUE

LONGEST = 8192
"""Characters of one Set-Cookie; browsers keep half of that."""

MOST = 100
"""A source that names a new one on every page would fill the memory, and in the end its own header."""


class Cookies:
    """What has been set, by whom it may be read, and until when."""

    def __init__(self) -> None:
        self._jar = CookieJar()

    def remember(self, url: str, headers: Sequence[str]) -> None:
        """The Set-Cookie headers that came from there; one that no header could give back is left out."""
        if len(self._jar) > MOST:
            self._jar.clear()
        kept = [header for header in headers[-MOST:] if len(header) <= LONGEST and VALUE.fullmatch(header)]
        self._jar.extract_cookies(cast(HTTPResponse, _Answer(kept)), _asked(url))

    def header(self, url: str) -> str | None:
        """What to send there as Cookie, None: nothing."""
        asked = _asked(url)
        self._jar.add_cookie_header(asked)
        return asked.get_header("Cookie")


class _Answer:
    """As much of a response as the jar looks at."""

    def __init__(self, headers: Sequence[str]):
        self._headers = headers

    def info(self) -> "_Answer":
        return self

    def get_all(self, name: str, default: Sequence[str]) -> Sequence[str]:
        return self._headers if name == "Set-Cookie" else default


def _asked(url: str) -> Request:
    return Request(url)  # noqa: S310 - nothing is opened
