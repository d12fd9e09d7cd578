"""Examples of the docs that say when runs begin and what they ask for."""

from datetime import UTC, datetime, timedelta

from shared.pipeline.loader import load_text
from shared.pipeline.off_peak import is_open, next_opening
from shared.pipeline.requests import page_request
from shared.pipeline.responses import read_page
from shared.pipeline.watermarks import highest_of, span_of, window_scope
from tests.test_docs_examples import BLOCKS, NO_AUTH, NOW, ORDERS, SCOPES, SOURCE, is_what_is_shown, messages


def test_the_schedules_that_are_shown_are_those_of_their_streams():
    (shown,) = [block for block in BLOCKS if block.language == "yaml" and block.heading == "Schedules"]
    pipeline = load_text(f"{SOURCE}{NO_AUTH}{shown.text}", "example.yaml")
    found = {each.name: (pipeline.schedule_of(each), pipeline.stagger_of(each)) for each in pipeline.streams}
    assert found == {
        "orders": ("0 0 * * * *", timedelta(minutes=45)),
        "returns": ("0 30 4 * * *", timedelta(hours=2)),
    }


def test_a_source_that_has_nothing_new_is_asked_and_read_as_its_example_shows():
    (example,) = [block for block in BLOCKS if block.language == "yaml" and block.heading == "Nothing new"]
    first, changed, second, unchanged = messages(example)
    pipeline = load_text(f"{SOURCE}{NO_AUTH}streams:\n{example.text}", "example.yaml")
    (stream,) = pipeline.streams
    assert stream.incremental is not None
    assert is_what_is_shown(page_request(pipeline, stream, None, SCOPES), first)
    page = read_page(stream, None, changed.response, NOW)
    watermark = highest_of(stream.incremental, page.records, page.headers, NOW, 0)
    window = window_scope(stream.incremental, span_of(stream.incremental, watermark, NOW))
    assert is_what_is_shown(page_request(pipeline, stream, None, {**SCOPES, "window": window}), second)
    page = read_page(stream, None, unchanged.response, NOW)
    assert (page.records, page.cursor) == ([], None)
    assert highest_of(stream.incremental, page.records, page.headers, NOW, 0) == ""


def test_the_hours_that_are_shown_are_those_that_the_text_means():
    """In July, ten in the evening in Berlin is eight in UTC."""
    (shown,) = [block for block in BLOCKS if block.language == "yaml" and block.heading == "off_peak"]
    pipeline = load_text(f"{SOURCE}{NO_AUTH}{shown.text}streams:\n{ORDERS}", "example.yaml")
    hours = pipeline.off_peak_of(pipeline.streams[0])
    assert hours is not None
    opening = datetime(2026, 7, 1, 20, tzinfo=UTC)
    assert next_opening(hours, opening - timedelta(hours=1)) == opening
    assert is_open(hours, opening + hours.length - timedelta(minutes=1))
    assert not is_open(hours, opening + hours.length)
