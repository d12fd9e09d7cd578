"""The queue message. A message is only a wake-up; the checkpoint is the truth.

No message ever carries a credential, a cursor or a record: losing one, repeating one or receiving one late
must be harmless, and reading one must reveal nothing.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import MalformedMessage

PART_OF_A_KEY = r"^[A-Za-z0-9._-]+$"
"""Run and slice stand in row keys as they are, where Table Storage refuses some characters."""

LONGEST_NAME = 60
"""Characters of a strange field's name that an error repeats."""


class Priority(StrEnum):
    """Priority class of a pipeline: which of the `mine` queues its wake-ups travel on."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One stream of one pipeline for one user: the unit that owns a checkpoint and a table partition."""

    pipeline: str
    stream: str
    user: str

    def digest(self) -> str:
        """16 hex digits that stand for this key where it would be too long or too telling."""
        joined = "\x00".join((self.pipeline, self.stream, self.user))
        return hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        return f"{self.pipeline}/{self.stream}/{self.user}"


class WakeUp(BaseModel):
    """«Look at this checkpoint now», for the miner (`mine`) or for delivery (`deliver`).

    `seq` is the page to mine next, or the page whose commit asked for delivery. `attempt` counts deliberate
    re-sends of the same `seq` (back-off, postponement, replay, reconciler): duplicate detection silently drops a
    message whose id it has seen, so every deliberate re-send must bear a new one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    kind: Literal["mine", "deliver"] = "mine"
    pipeline: str = Field(min_length=1)
    stream: str = Field(min_length=1)
    user: str = Field(min_length=1)
    run: str = Field(max_length=64, pattern=PART_OF_A_KEY)
    slice: str = Field(max_length=32, pattern=PART_OF_A_KEY)
    seq: int = Field(ge=0)
    attempt: int = Field(default=0, ge=0)

    @property
    def key(self) -> StreamKey:
        return StreamKey(self.pipeline, self.stream, self.user)

    @property
    def message_id(self) -> str:
        """At most 128 characters; the run id is unique over streams and users, so the rest need not be named."""
        return f"{self.kind}/{self.run}/{self.slice}/{self.seq}/{self.attempt}"

    def encode(self) -> bytes:
        return self.model_dump_json().encode()

    @staticmethod
    def decode(body: bytes) -> "WakeUp":
        """Raises MalformedMessage naming the field and what is wrong with it, never the body itself."""
        try:
            return WakeUp.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ascii(".".join(map(str, first["loc"]))[:LONGEST_NAME])[1:-1] or "body"
            raise MalformedMessage(f"not a wake-up: {where}: {first['msg']}") from None
