"""Bodies that are not JSON as a whole: JSON Lines and CSV."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPipeline, MalformedResponse, RateLimited, RequestRejected
from shared.pipeline.responses import Page, Response, read_page
from shared.pipeline.spec import Stream

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CURSOR = {"type": "cursor", "cursor_record_path": "id", "cursor_param": "after"}
MakeStream = Callable[..., Stream]


def page_of(stream: Stream, body: bytes, status: int = 200) -> Page:
    return read_page(stream, None, Response(status, {"content-type": "text/plain"}, body), NOW)


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b'{"id": 1}\n{"id": 2}\n', [{"id": 1}, {"id": 2}]),
        (b'{"id": 1}\r\n\r\n{"id": 2}', [{"id": 1}, {"id": 2}]),
        (b'7\n"a"\n', [{"value": 7}, {"value": "a"}]),
        (b"", []),
    ],
)
def test_of_json_lines_each_line_is_a_record(make_stream: MakeStream, body: bytes, records: list[object]):
    assert page_of(make_stream({"type": "single_page"}, decoder="json_lines"), body).records == records


def test_numbers_of_json_lines_keep_every_digit(make_stream: MakeStream):
    (record,) = page_of(make_stream({"type": "single_page"}, decoder="json_lines"), b'{"n": 1.10}').records
    assert repr(record["n"]) == "1.10"


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (b'id,note\r\n1,"a, ""b"""\r\n2,\r\n', [{"id": "1", "note": 'a, "b"'}, {"id": "2", "note": ""}]),
        (b"\xef\xbb\xbfid\n\xc3\xa9\n", [{"id": "é"}]),
        (b'id,note\n1,"two\nlines"\n', [{"id": "1", "note": "two\nlines"}]),
        (b"id,note\n1\n", [{"id": "1", "note": None}]),
        (b"id,note\n", []),
        (b"", []),
    ],
)
def test_of_csv_each_line_behind_the_first_is_a_record(make_stream: MakeStream, body: bytes, records: list[object]):
    assert page_of(make_stream({"type": "single_page"}, decoder="csv"), body).records == records


@given(rows=st.lists(st.fixed_dictionaries({"a": st.text(st.characters(codec="utf-8", exclude_characters="\0"))})))
def test_any_text_comes_out_of_csv_as_it_went_in(make_stream: MakeStream, rows: list[dict[str, str]]):
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["id", "a"])
    writer.writeheader()
    records = [{"id": str(number), **row} for number, row in enumerate(rows)]
    writer.writerows(records)
    assert page_of(make_stream({"type": "single_page"}, decoder="csv"), out.getvalue().encode()).records == records


@pytest.mark.parametrize(
    ("decoder", "body", "name"),
    [
        ("json_lines", b'{"id": 1}\n{"id": 2', "JSON Lines"),
        ("json_lines", b"<html>Please log in</html>", "JSON Lines"),
        ("json_lines", b'{"id": NaN}', "JSON Lines"),
        ("csv", b" <html>\n<p>Please log in", "CSV"),
        ("csv", b"id\n1,2\n", "CSV"),
        ("csv", b'id\n"1\n', "CSV"),
        ("csv", b"id\n\xff\n", "CSV"),
    ],
)
def test_what_is_something_else_is_malformed(make_stream: MakeStream, decoder: str, body: bytes, name: str):
    with pytest.raises(MalformedResponse, match=f"bytes of text/plain that are not {name}$"):
        page_of(make_stream({"type": "single_page"}, decoder=decoder), body)


@pytest.mark.parametrize("decoder", ["json_lines", "csv"])
def test_errors_are_read_as_json(make_stream: MakeStream, decoder: str):
    stream = make_stream({"type": "single_page"}, decoder=decoder)
    with pytest.raises(RateLimited):
        page_of(stream, json.dumps({"error": {"code": 613}}).encode(), 400)
    with pytest.raises(RequestRejected):
        page_of(stream, b"id\n1\n", 404)


@pytest.mark.parametrize("decoder", ["json_lines", "csv"])
def test_the_cursor_may_stand_in_the_last_record(make_stream: MakeStream, decoder: str):
    body = {"json_lines": b'{"id": "1"}\n{"id": "2"}\n', "csv": b"id\n1\n2\n"}[decoder]
    stream = make_stream(CURSOR, decoder=decoder)
    assert page_of(stream, body).cursor == "2"
    assert page_of(stream, b"").cursor is None


def test_another_decoder_is_a_clear_error(make_stream: MakeStream):
    with pytest.raises(InvalidPipeline, match=r"decoder: found 'xml', allowed: 'json', 'json_lines' or 'csv'"):
        make_stream(CURSOR, decoder="xml")
