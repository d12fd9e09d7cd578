"""What tells one record from another, and a record from what it was before."""

from shared.pipeline.spec.fields import JsonPath, Spec


class Deleted(Spec):
    """A record with `value` at `path` says that it is deleted: it is kept once, marked with `_deleted`."""

    path: JsonPath
    value: bool | int | float | str = True

    def is_said_by(self, found: object) -> bool:
        """Whether what was found at `path` is `value`; true is not 1."""
        return found == self.value and isinstance(found, bool) == isinstance(self.value, bool)
