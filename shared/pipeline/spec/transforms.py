"""What is done with the records that are kept, before they are written."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.pipeline.spec.custom import Custom
from shared.pipeline.spec.field_path import FieldPath, steps
from shared.pipeline.spec.fields import SecretTemplate, Spec

FieldPaths = Annotated[tuple[FieldPath, ...], Field(min_length=1)]


def _places_differ(fields: dict[FieldPath, FieldPath]) -> dict[FieldPath, FieldPath]:
    """No new name may be another's, or lie inside another's."""
    places = sorted(steps(new) for new in fields.values())
    for one, other in pairwise(places):
        if other[: len(one)] == one:
            raise ValueError(f"found {'.'.join(other)!r} in the place of another field, allowed: a place of its own")
    return fields


class Select(Spec):
    """Keeps these fields and no others."""

    type: Literal["select"]
    fields: FieldPaths


class Drop(Spec):
    """Leaves these fields out."""

    type: Literal["drop"]
    fields: FieldPaths


class Rename(Spec):
    """Moves fields: the old path, and the new one; both from the top of the record."""

    type: Literal["rename"]
    fields: Annotated[dict[FieldPath, FieldPath], Field(min_length=1), AfterValidator(_places_differ)]


class Redact(Spec):
    """Hides what stands in these fields; null stays null.

    `mask` leaves nothing of a value, `hash` a keyed hash, which is the same for the same value and `salt`.
    """

    type: Literal["redact"]
    fields: FieldPaths
    method: Literal["mask", "hash"] = "mask"
    salt: Annotated[SecretTemplate, Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _only_a_hash_has_a_salt(self) -> Self:
        if (self.method == "hash") != (self.salt is not None):
            found = "no salt" if self.salt is None else "a salt"
            raise ValueError(f"found {found} with the method {self.method}, allowed: a salt with hash, none with mask")
        return self


Transform = Annotated[Select | Drop | Rename | Redact | Custom, Field(discriminator="type")]
