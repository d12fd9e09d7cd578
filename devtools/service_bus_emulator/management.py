"""`QUEUE/$management`: schedule and cancel, peek, deferred messages, settlement by token, locks and sessions.

Each operation is a function (queue, body) → Reply; a Refusal raised by the queue becomes the reply's status and
condition.
"""

import uuid
from collections.abc import Callable
from typing import Any

from devtools.service_bus_emulator import codec
from devtools.service_bus_emulator.broker import MAX_MESSAGE_SIZE
from devtools.service_bus_emulator.codec import NULL, DecodeError
from devtools.service_bus_emulator.errors import BadRequest, MessageTooLarge, NotAllowed, Refusal
from devtools.service_bus_emulator.messages import Message, encode, parse
from devtools.service_bus_emulator.queue import Queue
from devtools.service_bus_emulator.requests import Reply, Request
from devtools.service_bus_emulator.session_queue import SessionQueue
from devtools.service_bus_emulator.settlement import text_or_none

Body = dict[str, Any]
MAX_PEEK_BYTES = 4 * 1024 * 1024


def answer(queue: Queue, request: Request) -> Reply:
    """Do what the request asks of the queue, or say why not."""
    name = request.properties.get("operation")
    operation = _OPERATIONS.get(str(name).removeprefix("com.microsoft:"))
    try:
        if operation is None:
            raise BadRequest(f"Unknown operation {name!r}; allowed: {', '.join(sorted(_OPERATIONS))}.")
        return operation(queue, request.body if isinstance(request.body, dict) else {})
    except Refusal as refusal:
        return Reply(refusal.status, str(refusal), condition=refusal.condition)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        text = f"The body of {name!r} is not as expected: {type(error).__name__} {error}"
        return Reply(BadRequest.status, text, condition=BadRequest.condition)


# -- scheduling --------------------------------------------------------------------------------------------------


def _schedule(queue: Queue, body: Body) -> Reply:
    payloads = [entry["message"] for entry in body["messages"]]
    for payload in payloads:
        if len(payload) > MAX_MESSAGE_SIZE:
            raise MessageTooLarge(f"A message of {len(payload)} bytes; allowed are {MAX_MESSAGE_SIZE}.")
    try:
        contents = [parse(payload) for payload in payloads]
    except DecodeError as error:
        raise BadRequest(str(error)) from error
    return Reply(body=_map(("sequence-numbers", codec.longs(queue.send_all(contents)))))


def _cancel(queue: Queue, body: Body) -> Reply:
    queue.cancel(body["sequence-numbers"])
    return _done()


# -- looking and receiving ---------------------------------------------------------------------------------------


def _peek(queue: Queue, body: Body) -> Reply:
    found = queue.peek(body["from-sequence-number"], body["message-count"], body.get("session-id"))
    entries: list[bytes] = []
    size = 0
    for message in found:
        payload = encode(message)
        size += len(payload)
        if entries and size > MAX_PEEK_BYTES:
            break
        entries.append(_map(("message", codec.binary(payload))))
    return Reply(body=_map(("messages", codec.list_(entries)))) if entries else Reply(204, "No messages.", _map())


def _receive_deferred(queue: Queue, body: Body) -> Reply:
    lock = body["receiver-settle-mode"] == 1
    line = body.get("session-id") if isinstance(queue, SessionQueue) else None
    found = queue.receive_deferred(body["sequence-numbers"], lock=lock, line=line)
    return Reply(body=_map(("messages", codec.list_([_with_token(message) for message in found]))))


def _with_token(message: Message) -> bytes:
    token = message.lock_token or uuid.UUID(int=0)
    return _map(("lock-token", codec.uuid_(token)), ("message", codec.binary(encode(message))))


# -- settling by token -------------------------------------------------------------------------------------------


def _settle(queue: Queue, body: Body) -> Reply:
    status = body["disposition-status"]
    reason, description = (text_or_none(body.get(key)) for key in ("deadletter-reason", "deadletter-description"))
    settlements: dict[str, Callable[[uuid.UUID], None]] = {
        "completed": queue.complete,
        "abandoned": queue.abandon,
        "defered": queue.defer,  # as the SDK writes it
        "suspended": lambda token: queue.dead_letter(token, reason, description),
    }
    if status not in settlements:
        raise BadRequest(f"Unknown disposition-status {status!r}; allowed: {', '.join(settlements)}.")
    for token in body["lock-tokens"]:
        settlements[status](token)
    return _done()


def _renew(queue: Queue, body: Body) -> Reply:
    return Reply(body=_map(("expirations", codec.timestamps([queue.renew(token) for token in body["lock-tokens"]]))))


# -- sessions ----------------------------------------------------------------------------------------------------


def _with_sessions(queue: Queue) -> SessionQueue:
    if not isinstance(queue, SessionQueue):
        raise NotAllowed(f"Queue {queue.name!r} does not have sessions.")
    return queue


def _renew_session(queue: Queue, body: Body) -> Reply:
    until = _with_sessions(queue).renew_session(body["session-id"])
    return Reply(body=_map(("expiration", codec.timestamp(until))))


def _session_state(queue: Queue, body: Body) -> Reply:
    state = _with_sessions(queue).session_state(body["session-id"])
    return Reply(body=_map(("session-state", NULL if state is None else codec.binary(state))))


def _set_session_state(queue: Queue, body: Body) -> Reply:
    state = body.get("session-state")
    if not isinstance(state, bytes | None):
        raise BadRequest(f"session-state: found {type(state).__name__}, allowed: binary or null.")
    _with_sessions(queue).set_session_state(body["session-id"], state)
    return _done()


def _list_sessions(queue: Queue, body: Body) -> Reply:
    skip = body.get("skip") or 0
    names = _with_sessions(queue).session_ids(body["last-updated-time"])[skip : skip + (body.get("top") or 100)]
    if not names:
        return Reply(204, "No sessions.", _map())
    return Reply(body=_map(("skip", codec.int32(skip + len(names))), ("sessions-ids", codec.strings(names))))


def _map(*pairs: tuple[str, bytes]) -> bytes:
    return codec.map_(codec.string(key) + value for key, value in pairs)


def _done() -> Reply:
    return Reply(body=_map())


_OPERATIONS: dict[str, Callable[[Queue, Body], Reply]] = {
    "schedule-message": _schedule,
    "cancel-scheduled-message": _cancel,
    "peek-message": _peek,
    "receive-by-sequence-number": _receive_deferred,
    "update-disposition": _settle,
    "renew-lock": _renew,
    "renew-session-lock": _renew_session,
    "get-session-state": _session_state,
    "set-session-state": _set_session_state,
    "get-message-sessions": _list_sessions,
}
