"""What one page is mined with."""

from dataclasses import dataclass

from shared.checkpoint import Checkpoint
from shared.pipeline.spec import Pipeline, Stream
from shared.pipeline.templates import Scopes
from shared.pipeline.watermarks import Span, window_scope
from shared.users import User


@dataclass(frozen=True, slots=True)
class Work:
    """The page that `checkpoint` waits for."""

    checkpoint: Checkpoint
    pipeline: Pipeline
    stream: Stream
    user: User

    @property
    def scopes(self) -> Scopes:
        return {
            "user": {"id": self.user.id},
            "params": self.user.params,
            "credentials": self.user.credentials,
            "window": window_scope(self.stream.incremental, Span(self.checkpoint.since, self.checkpoint.until)),
        }
