"""Durations as Service Bus writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.service_bus_emulator.properties import (
    FOR_EVER_TEXT,
    PropertyError,
    QueueProperties,
    duration,
    from_values,
    milliseconds,
    to_values,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("PT30S", 30_000), ("PT1M30S", 90_000), ("P14D", 1_209_600_000), ("PT0.5S", 500), ("P1DT1H", 90_000_000)],
)
def test_iso_durations_are_read(text, expected):
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "30", "30S", "PT1H1D", "-PT1S", "PTS", "P1Y"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="not an ISO 8601 duration"):
        milliseconds(text)


@given(st.integers(1, 10**12))
def test_a_duration_survives_writing_and_reading(value):
    assert milliseconds(duration(value)) == value


def test_properties_survive_writing_and_reading():
    properties = QueueProperties(5_000, 3, 20_000, True, 60_000, True, True)

    assert from_values(to_values(properties)) == properties
    assert from_values(to_values(QueueProperties())) == QueueProperties()


def test_azures_longest_life_means_for_ever():
    assert from_values({"DefaultMessageTimeToLive": FOR_EVER_TEXT}).default_ttl is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LockDuration", "PT6M"), ("LockDuration", "PT0S"), ("LockDuration", 30), ("MaxDeliveryCount", 0),
        ("MaxDeliveryCount", True), ("MaxDeliveryCount", "10"), ("RequiresSession", "true"),
        ("DuplicateDetectionHistoryTimeWindow", "P8D"), ("DefaultMessageTimeToLive", "PT0S"), ("ForwardTo", "other"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_is_allowed(name, value):
    with pytest.raises(PropertyError, match=f"{name}: found .*, allowed: "):
        from_values({name: value})
