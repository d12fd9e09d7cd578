"""`$cbs`: a client puts its token for an entity before it uses it. Any well-formed token is good here."""

from devtools.service_bus_emulator.broker import Broker
from devtools.service_bus_emulator.errors import EntityNotFound
from devtools.service_bus_emulator.requests import Reply, Request

_SUFFIX = "/$management"


def put_token(broker: Broker, request: Request) -> Reply:
    """202 for an entity that exists, 404 for another one: this is where a wrong queue name shows first.

    The token is recognised by its text: the SDK calls a shared access signature `jwt`, too.
    """
    if request.properties.get("operation") != "put-token":
        return Reply(400, "Only the operation put-token is supported.")
    token, name = request.body, request.properties.get("name")
    if not isinstance(token, str) or not token or not isinstance(name, str):
        return Reply(401, "A token and the name of an entity are required.")
    path = name.rstrip("/")
    if path.lower().endswith(_SUFFIX):
        path = path[: -len(_SUFFIX)]
    try:
        broker.entity(path)
    except EntityNotFound as refusal:
        return Reply(404, str(refusal))
    return Reply(202, "Accepted")
