"""The AMQP codec: what is encoded is decoded again, and what is not AMQP is refused."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.service_bus_emulator import codec
from devtools.service_bus_emulator.codec import DecodeError, Described

TEXT = st.text(st.characters(codec="utf-8"), max_size=300)
SCALARS = st.one_of(
    st.tuples(st.just(codec.boolean), st.booleans()),
    st.tuples(st.just(codec.ubyte), st.integers(0, 255)),
    st.tuples(st.just(codec.uint), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(codec.ulong), st.integers(0, 2**64 - 1)),
    st.tuples(st.just(codec.int32), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(codec.long), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(codec.timestamp), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just(codec.uuid_), st.uuids()),
    st.tuples(st.just(codec.binary), st.binary(max_size=300)),
    st.tuples(st.just(codec.string), TEXT),
    st.tuples(st.just(codec.symbol), st.text(st.characters(codec="ascii"), max_size=300)),
)
ENCODED = SCALARS.map(lambda pair: (pair[0](pair[1]), pair[1]))
VALUES = st.recursive(
    ENCODED,
    lambda inner: st.one_of(
        st.lists(inner, max_size=40).map(
            lambda pairs: (codec.list_([raw for raw, _ in pairs]), [value for _, value in pairs])
        ),
        st.dictionaries(TEXT, inner, max_size=10).map(
            lambda pairs: (
                codec.map_(codec.string(key) + raw for key, (raw, _) in pairs.items()),
                {key: value for key, (_, value) in pairs.items()},
            )
        ),
        st.tuples(st.integers(0, 255), inner).map(
            lambda pair: (codec.described(pair[0], pair[1][0]), Described(pair[0], pair[1][1]))
        ),
    ),
    max_leaves=30,
)


@given(VALUES)
def test_every_value_survives_encoding_and_decoding(pair):
    raw, value = pair

    assert codec.decode(raw) == (value, len(raw))


@given(VALUES)
def test_skip_finds_the_end_that_decode_finds(pair):
    raw, _ = pair

    assert codec.skip(raw + b"rest", 0) == len(raw)


@given(VALUES)
def test_a_value_cut_short_is_refused_and_never_half_read(pair):
    raw, _ = pair

    for length in {0, len(raw) // 2, len(raw) - 1}:
        with pytest.raises(DecodeError):
            codec.decode(raw[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_either_decoded_or_refused(data):
    try:
        _, end = codec.decode(data)
    except DecodeError:
        return
    assert end <= len(data)


@pytest.mark.parametrize(
    ("encode", "values"),
    [
        (codec.longs, [-1, 0, 2**62]),
        (codec.timestamps, [0, 1_700_000_000_000]),
        (codec.strings, ["", "ä", "x" * 300]),
        (codec.symbols, ["ANONYMOUS"]),
        (codec.longs, []),
    ],
)
def test_arrays_survive_encoding_and_decoding(encode, values):
    raw = encode(values)

    assert codec.decode(raw) == (values, len(raw))


@given(st.lists(st.tuples(TEXT, ENCODED), max_size=20, unique_by=lambda pair: pair[0]))
def test_the_pairs_of_a_map_can_be_copied_into_another_unchanged(pairs):
    raw = codec.map_(codec.string(key) + value for key, (value, _) in pairs)

    copied = codec.raw_pairs(raw, 0)

    assert [key for key, _ in copied] == [key for key, _ in pairs]
    assert codec.map_(pair for _, pair in copied) == raw


@given(st.lists(ENCODED, max_size=40))
def test_the_items_of_a_list_can_be_copied_into_another_unchanged(values):
    raw = codec.list_([value for value, _ in values])

    assert codec.raw_items(raw, 0) == [value for value, _ in values]


def test_numbers_of_every_width_are_read():
    """The SDK chooses the short forms, other clients need not."""
    wide_and_narrow = {
        b"\x43": 0, b"\x44": 0, b"\x54\xff": -1, b"\x55\xff": -1, b"\x56\x01": True, b"\x56\x00": False,
        b"\x50\x07": 7, b"\x51\xff": -1, b"\x60\x01\x00": 256, b"\x61\xff\xff": -1, b"\x72\x3f\x80\x00\x00": 1.0,
        b"\x82\x3f\xf0" + bytes(6): 1.0, b"\x73\x00\x00\x00A": "A", b"\x98" + bytes(16): uuid.UUID(int=0),
    }  # fmt: skip

    assert {raw: codec.decode(raw)[0] for raw in wide_and_narrow} == wide_and_narrow


@pytest.mark.parametrize(
    "data", [b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40", b"\x00" * 100_000, b"\xd0" + b"\xff" * 8]
)
def test_a_few_bytes_cannot_ask_for_gigabytes_or_break_the_stack(data):
    with pytest.raises(DecodeError):
        codec.decode(data)
