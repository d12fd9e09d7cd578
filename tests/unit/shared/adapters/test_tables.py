"""The limits of Table Storage, which Azurite does not enforce."""

import pytest

from shared.adapters.tables import MAX_PROPERTY, Row, check_limits
from shared.errors import TooLarge

FULL = b"x" * MAX_PROPERTY


@pytest.mark.parametrize(
    "values",
    [
        {"data": FULL},
        {f"d{number}": FULL for number in range(15)},
        {f"d{number}": 1 for number in range(252)},
        {"text": "é" * (MAX_PROPERTY // 2)},
        {"text": "😀" * (MAX_PROPERTY // 4)},
    ],
)
def test_what_fits_passes(values: dict[str, object]):
    check_limits([Row("p", "k", values)])  # type: ignore[arg-type]  # plain values


@pytest.mark.parametrize(
    "values",
    [
        {"data": FULL + b"x" * 600},
        {f"d{number}": FULL for number in range(17)},
        {f"d{number}": 1 for number in range(253)},
        {"text": "e" * (MAX_PROPERTY // 2 + 300)},
        {"text": "😀" * (MAX_PROPERTY // 4 + 300)},
    ],
)
def test_what_table_storage_would_refuse_is_too_large(values: dict[str, object]):
    """A character takes two bytes there, one beyond the basic plane four."""
    with pytest.raises(TooLarge, match="is over a limit of Table Storage"):
        check_limits([Row("p", "k", values)])  # type: ignore[arg-type]  # plain values


def test_a_transaction_has_a_limit_of_its_own():
    rows = [Row("p", str(number), {f"d{place}": FULL for place in range(12)}) for number in range(4)]
    check_limits(rows[:3])
    with pytest.raises(TooLarge, match="a transaction of"):
        check_limits(rows)
