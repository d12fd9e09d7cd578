"""What one page is mined with."""

from dataclasses import dataclass, field
from datetime import timedelta

from miners.access import NO_ACCESS, Access
from shared.checkpoint import Checkpoint
from shared.pipeline.chains import Values, parent_scope
from shared.pipeline.slots import HeldSlots
from shared.pipeline.spec import Pipeline, Stream
from shared.pipeline.templates import Scopes
from shared.pipeline.watermarks import Span, window_scope
from shared.settings import Settings
from shared.users import User


@dataclass(frozen=True, slots=True)
class Work:
    """The page that `checkpoint` waits for; `ledger` is that of the run if `checkpoint` is one of its strands.

    `parents` are the values of the parent's records that the slice is made of, `slots` what is booked for this page and
    those that follow in the same message. `ahead` is how far the broker's clock seems to be ahead of ours: what a clock
    that is behind schedules comes back at once, again and again, and what one that is ahead schedules, too late.
    """

    checkpoint: Checkpoint
    ledger: Checkpoint | None
    pipeline: Pipeline
    stream: Stream
    user: User
    access: Access = NO_ACCESS
    parents: tuple[Values, ...] = ()
    slots: HeldSlots = field(default_factory=HeldSlots)
    ahead: timedelta = timedelta(0)

    @property
    def run(self) -> Checkpoint:
        """What belongs to the whole run: the dedupe index, the watermark, counts."""
        return self.ledger or self.checkpoint

    def turn(self, settings: Settings) -> int:
        """How many pages a message mines, if they all come at once."""
        return (self.stream.pages_per_message or settings.pages_per_message) * self.user.weight

    @property
    def scopes(self) -> Scopes:
        return {
            "user": {"id": self.user.id},
            "params": self.user.params,
            "credentials": self.user.credentials,
            "access": {"token": self.access.token},
            "parent": parent_scope(self.stream.parent, self.parents),
            "window": window_scope(self.stream.incremental, Span(self.checkpoint.since, self.checkpoint.until)),
        }
