"""A wake-up says which checkpoint to look at, and nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage
from shared.messages import StreamKey, WakeUp

WAKE_UP = WakeUp(pipeline="social", stream="posts", user="ann", run="20261122T120000Z-aa", slice="all", seq=3)

names = st.text(min_size=1)
parts = st.from_regex(r"[A-Za-z0-9._-]{1,32}", fullmatch=True)
wake_ups = st.builds(
    WakeUp,
    kind=st.sampled_from(["mine", "deliver"]),
    pipeline=names,
    stream=names,
    user=names,
    run=parts,
    slice=parts,
    seq=st.integers(0, 2**53),
    attempt=st.integers(0, 2**53),
)


@given(wake_ups)
def test_what_is_encoded_is_decoded(wake_up: WakeUp):
    assert WakeUp.decode(wake_up.encode()) == wake_up


@given(wake_ups)
def test_a_message_id_fits_and_another_attempt_has_another(wake_up: WakeUp):
    """Service Bus holds 128 characters and silently drops an id that it has seen."""
    assert len(wake_up.message_id) <= 128
    assert wake_up.model_copy(update={"attempt": wake_up.attempt + 1}).message_id != wake_up.message_id


def test_a_message_holds_no_cursor_no_credential_and_no_record():
    """Whoever reads a message learns who is mined, not what."""
    assert set(json.loads(WAKE_UP.encode())) == {
        *("version", "kind", "pipeline", "stream", "user", "run", "slice", "seq", "attempt"),
    }


@given(st.binary())
def test_bytes_that_are_no_wake_up_are_malformed(body: bytes):
    with pytest.raises(MalformedMessage, match=r"^not a wake-up: "):
        WakeUp.decode(body)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seq": "3"}, "seq: Input should be a valid integer"),
        ({"seq": -1}, "seq: Input should be greater than or equal to 0"),
        ({"attempt": 1.5}, "attempt: "),
        ({"user": ""}, "user: String should have at least 1 character"),
        ({"user": None}, "user: "),
        ({"kind": "fetch"}, "kind: Input should be 'mine' or 'deliver'"),
        ({"version": 2}, "version: Input should be 1"),
        ({"cursor": "abc"}, "cursor: Extra inputs are not permitted"),
        ({"run": "a/b"}, "run: String should match pattern"),
        ({"slice": "all|1"}, "slice: String should match pattern"),
        ({"slice": "\x00"}, "slice: String should match pattern"),
        ({"run": "r" * 65}, "run: String should have at most 64 characters"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], named: str):
    """Run and slice become part of row keys, so what Table Storage refuses is refused here."""
    body = json.dumps({**json.loads(WAKE_UP.encode()), **change}).encode()
    with pytest.raises(MalformedMessage) as refusal:
        WakeUp.decode(body)
    assert str(refusal.value).startswith(f"not a wake-up: {named}")


def test_the_error_is_short_and_shows_no_value():
    """A parked dead letter stores it, and a stranger's message may hold anything."""
    body = json.dumps({**json.loads(WAKE_UP.encode()), "x" * 70_000: "canary", "seq": "canary"}).encode()
    with pytest.raises(MalformedMessage) as refusal:
        WakeUp.decode(body)
    assert len(str(refusal.value)) < 200
    assert "canary" not in str(refusal.value)


@given(st.lists(st.text(), min_size=3, max_size=3), st.lists(st.text(), min_size=3, max_size=3))
def test_different_keys_have_different_digests(some: list[str], others: list[str]):
    """The digest makes run ids unique over streams and users."""
    if not any("\x00" in text for text in some + others):
        assert (StreamKey(*some).digest() == StreamKey(*others).digest()) == (some == others)


def test_a_key_reads_as_a_path():
    assert str(StreamKey("social", "posts", "ann")) == "social/posts/ann"
