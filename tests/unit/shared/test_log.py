"""One line per invocation, and no secret in any line, whoever writes it."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.log import HIDDEN, REMEMBERED, RedactingFilter, guard_handlers, invocation, redacted, remember_secrets
from shared.outcome import Outcome

SECRET = "canary+token/ä=1&2"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler that is guarded writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    guard_handlers()
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET)[1:-1],
        repr(SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_remembered_secret_is_hidden_in_every_form(form: str):
    remember_secrets([SECRET])
    assert form.strip("'") not in redacted(f"before {form} after")
    assert redacted(f"before {form} after").startswith("before ")
    assert redacted(f"before {form} after").endswith(" after")


@given(st.text(min_size=6, max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_any_secret_is_hidden_wherever_it_stands(secret: str, before: str, after: str):
    remember_secrets([secret])
    assert secret not in redacted(before + secret + after).replace(HIDDEN, "")


def test_a_secret_that_begins_like_another_is_hidden_whole():
    """Hiding the shorter one first would leave the rest of the longer one in sight."""
    remember_secrets(["canary-short", "canary-short-and-long"])
    assert redacted("x canary-short-and-long y") == f"x {HIDDEN} y"


def test_short_values_are_no_secrets():
    """Hiding them would hide ordinary words."""
    remember_secrets(["page", ""])
    assert redacted("a page") == "a page"


def test_only_so_many_are_remembered_and_the_latest_are():
    remember_secrets([f"old-canary-{number}" for number in range(REMEMBERED * 2)])
    remember_secrets(["new-canary"])
    assert redacted("new-canary") == HIDDEN
    assert redacted("old-canary-0") == "old-canary-0"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer canary1234567",
        "authorization: basic Y2FuYXJ5OmNhbmFyeQ==",
        "https://api/x?access_token=canary123&page=2",
        "https://api/x?page=2&api_key=canary123",
        '{"access_token": "canary123", "expires": 1}',
        "{'password': 'canary123'}",
        "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=canary123=",
        "DefaultEndpointsProtocol=https;AccountKey=canary123==;EndpointSuffix=x",
        "https://account.blob/x?sv=1&sig=canary123%3D",
        "client_secret=canary123",
    ],
)
def test_what_looks_like_a_secret_is_hidden(line: str):
    hidden = redacted(line)
    assert "canary" not in hidden
    assert "Y2FuYXJ5" not in hidden
    assert HIDDEN in hidden


@pytest.mark.parametrize(
    "line", ["the token was refused", "status 401", "basic facts", "signal=15", "https://api/x?page=2"]
)
def test_ordinary_text_stays_as_it_is(line: str):
    assert redacted(line) == line


def test_no_handler_sees_a_secret_of_any_library(written: io.StringIO):
    """In the text, in the arguments, in a traceback or in a stack, from loggers that exist or not yet."""
    remember_secrets(["canary-of-ann"])
    try:
        raise ValueError("no canary-of-ann here")
    except ValueError:
        logging.getLogger("some.library").exception("failed with %s", "canary-of-ann")
    logging.getLogger("another").warning("canary-of-ann %(a)s", {"a": "canary-of-ann"}, stack_info=True)
    text = written.getvalue()
    assert "canary" not in text.replace('"canary-of-ann"', "")  # the source line of this test, in traceback and stack
    assert text.count(HIDDEN) >= 3
    assert "Traceback" in text


def test_a_line_whose_arguments_do_not_fit_takes_nobody_down(written: io.StringIO):
    """The filter formats before the handler does, so it must be as forgiving."""
    remember_secrets(["canary-of-ann"])
    logging.getLogger("sloppy").warning("%d of %d %s", "canary-of-ann")
    assert "%d of %d" in written.getvalue()
    assert "canary" not in written.getvalue()


def test_guarding_twice_is_guarding_once(written: io.StringIO):
    guard_handlers()
    guard_handlers()
    for handler in logging.getLogger().handlers:
        assert sum(isinstance(each, RedactingFilter) for each in handler.filters) == 1


def test_handlers_of_every_logger_are_guarded():
    """Some libraries bring handlers of their own."""
    logger, stream = logging.getLogger("library.with.handler"), io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    guard_handlers()
    remember_secrets(["canary-of-ann"])
    logger.warning("canary-of-ann")
    assert stream.getvalue() == f"{HIDDEN}\n"


async def test_an_invocation_is_one_line_with_fixed_keys(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, logger="headframe")
    async with invocation("mine") as log:
        log.outcome = Outcome("committed", records=2, done=None)
    line = json.loads(caplog.messages[0])
    assert list(line) == ["function", "what", "records", "ms"]
    assert (line["function"], line["what"], line["records"]) == ("mine", "committed", 2)
    assert len(caplog.messages) == 1


async def test_what_somebody_should_look_at_is_a_warning(caplog: pytest.LogCaptureFixture):
    async with invocation("reconcile") as log:
        log.outcome = Outcome("reconciled", overlong=2).as_warning()
    assert [(each.levelno, json.loads(each.message)["overlong"]) for each in caplog.records] == [(logging.WARNING, 2)]


async def test_a_failed_invocation_is_logged_and_goes_on_to_the_host(caplog: pytest.LogCaptureFixture):
    with pytest.raises(ZeroDivisionError):
        async with invocation("mine"):
            _ = 1 / 0
    line = json.loads(caplog.messages[0])
    assert (line["what"], line["error"]) == ("failed", "ZeroDivisionError: division by zero")
    assert caplog.records[0].levelno == logging.ERROR
