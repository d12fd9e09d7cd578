"""What one invocation did: the facts of its log line."""

from dataclasses import dataclass
from typing import Any

from shared.messages import WakeUp


@dataclass(frozen=True, slots=True, init=False)
class Outcome:
    """`what` happened, in one word, and the facts that go with it; `is_warning` if somebody should look at them."""

    what: str
    facts: dict[str, Any]
    is_warning: bool

    def __init__(self, what: str, **facts: Any):
        object.__setattr__(self, "what", what)
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "is_warning", False)

    def as_warning(self) -> "Outcome":
        """The same, for somebody to look at."""
        warning = Outcome(self.what, **self.facts)
        object.__setattr__(warning, "is_warning", True)
        return warning

    def about(self, wake_up: WakeUp) -> "Outcome":
        """The same, with the wake-up it answers in front."""
        return Outcome(self.what, **wake_up.model_dump(exclude={"version", "kind"}), **self.facts)
