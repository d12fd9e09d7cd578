"""Settling a delivery over AMQP: the outcome a client sends → what the queue does → the outcome it is answered.

SDK 7.15 waits for the same kind of outcome it sent; anything else it takes for a failed settlement.
"""

import uuid
from typing import Any

from devtools.service_bus_emulator import frames
from devtools.service_bus_emulator.codec import Described
from devtools.service_bus_emulator.errors import BadRequest, Refusal
from devtools.service_bus_emulator.queue import Queue


def settle(queue: Queue, token: uuid.UUID, state: Any) -> bytes:
    """Settle one delivery and return the encoded outcome to answer; `rejected` with an error if it was refused."""
    try:
        return frames.outcome(_apply(queue, token, state))
    except Refusal as refusal:
        return frames.outcome(frames.REJECTED, frames.error(refusal.condition, str(refusal)))


def _apply(queue: Queue, token: uuid.UUID, state: Any) -> int:
    """Returns the code of the outcome that was applied. Settled without an outcome loses nothing: it is released."""
    code, fields = (frames.RELEASED, []) if state is None else _outcome(state)
    if code == frames.ACCEPTED:
        queue.complete(token)
    elif code == frames.RELEASED:
        queue.release(token)
    elif code == frames.REJECTED:
        queue.dead_letter(token, *_reason(fields))
    elif code == frames.MODIFIED:
        _modify(queue, token, *[*fields, None, None][:2])
    else:
        raise BadRequest(f"Unknown outcome 0x{code:x}.")
    return code


def _outcome(state: Any) -> tuple[int, list[Any]]:
    if not isinstance(state, Described) or not isinstance(state.descriptor, int):
        raise BadRequest("A delivery state that is no outcome.")
    return state.descriptor, state.value or []


def _modify(queue: Queue, token: uuid.UUID, delivery_failed: Any, undeliverable_here: Any) -> None:
    if undeliverable_here:
        queue.defer(token)
    elif delivery_failed:
        queue.abandon(token)
    else:
        queue.release(token)


def _reason(fields: list[Any]) -> tuple[str | None, str | None]:
    """Reason and description of a dead letter, from the info map of the error or else from the error itself."""
    error = fields[0] if fields else None
    if not isinstance(error, Described) or not isinstance(error.value, list):
        return None, None
    condition, description, info, *_ = [*error.value, None, None, None]
    if condition == "com.microsoft:dead-letter":
        given: dict[str, Any] = info if isinstance(info, dict) else {}
        condition, description = given.get("DeadLetterReason"), given.get("DeadLetterErrorDescription")
    return text_or_none(condition), text_or_none(description)


def text_or_none(value: Any) -> str | None:
    """A reason as it can be delivered later, whatever type the client chose."""
    return None if value is None else str(value)
