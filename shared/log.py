"""One canonical log line per invocation; secrets are removed on every handler.

The line is JSON with fixed keys: function, what, the facts of its Outcome, ms.
Secrets are known by value (every credential that was used is registered) and by pattern (bearer tokens,
key=value pairs with a telling name), so that even a line of a library can't give one away.
"""

import base64
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import quote, quote_plus

from shared.outcome import Outcome

LOGGER = logging.getLogger("headframe")

HIDDEN = "[hidden]"
SHORTEST = 6
"""Characters; a shorter value would hide ordinary words."""

REMEMBERED = 1024
"""Forms of values; each is looked for in each line. Far more than the credentials in use at one time."""

URL_SAFE = bytes.maketrans(b"+/", b"-_")
"""From the common letters of base64 to those of URLs."""

CHATTY = ("azure", "uamqp")
"""Libraries that log each call at INFO; a line per call costs more than the call."""

PATTERNS = (
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"),
    re.compile(
        r"(?i)([\"']?(?:access_?token|refresh_?token|api_?key|client_?secret|password|authorization"
        r"|sharedaccesskey|accountkey|sig)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&;,}]{4,}"
    ),
)

_secrets: OrderedDict[str, None] = OrderedDict()


def remember_secrets(values: Iterable[str]) -> None:
    """From now on these values, plain or encoded, are hidden wherever they would be logged."""
    for value in values:
        if len(value) >= SHORTEST:
            for form in _forms(value):
                _secrets[form] = None
                _secrets.move_to_end(form)
    while len(_secrets) > REMEMBERED:
        _secrets.popitem(last=False)


def _forms(value: str) -> set[str]:
    """How a value looks in a URL, in JSON, in a `repr` of text or bytes, and in base64 wherever it begins there."""
    coded = value.encode("utf-8", "replace")
    in_url = {quote(coded), quote(coded, safe=""), quote_plus(coded)}
    in_code = {json.dumps(value)[1:-1], repr(value)[1:-1], repr(coded)[2:-1]}
    in_base64 = {base64.b64encode(coded)} | {base64.b64encode(bytes(shift) + coded)[4:-4] for shift in range(3)}
    either = {form.translate(table).decode() for form in in_base64 for table in (None, URL_SAFE)}
    return {form for form in {value} | in_url | in_code | either if len(form) >= SHORTEST}


def redacted(text: str) -> str:
    """`text` without the remembered secrets and without whatever looks like one."""
    found = [secret for secret in _secrets if secret in text]
    for secret in sorted(found, key=len, reverse=True):  # one may be part of another
        text = text.replace(secret, HIDDEN)
    text = PATTERNS[0].sub(lambda found: f"{found.group(1)} {HIDDEN}", text)
    return PATTERNS[1].sub(lambda found: f"{found.group(1)}{HIDDEN}", text)


class RedactingFilter(logging.Filter):
    """Rewrites a record so that no handler behind it sees a secret, in the message or in a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = _message(record)
        hidden = redacted(text)
        if hidden != text:
            record.msg, record.args = hidden, None
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redacted(record.exc_text)
            record.exc_info = None
        return True


def _message(record: logging.LogRecord) -> str:
    """A library whose arguments do not fit its format must not take the caller down."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        record.msg, record.args = f"{record.msg} {record.args}", None
        return str(record.msg)


def guard_handlers() -> None:
    """Put the filter on every handler there is, and quieten the libraries; idempotent."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.Logger.manager.loggerDict))]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        if not any(isinstance(each, RedactingFilter) for each in handler.filters):
            handler.addFilter(RedactingFilter())


class Invocation:
    """Collects what the log line of one invocation says."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None


@asynccontextmanager
async def invocation(function: str) -> AsyncIterator[Invocation]:
    """Log one line of JSON when the block ends, whichever way; an error goes on to the host."""
    started, log = time.perf_counter(), Invocation()
    try:
        yield log
    except Exception as error:
        _write(function, Outcome("failed", error=f"{type(error).__name__}: {error}"), started, logging.ERROR)
        raise
    if log.outcome is not None:
        _write(function, log.outcome, started, logging.WARNING if log.outcome.is_warning else logging.INFO)


def _write(function: str, outcome: Outcome, started: float, level: int) -> None:
    """Texts are redacted before JSON escapes them a second time."""
    facts = {
        name: redacted(value) if isinstance(value, str) else value
        for name, value in outcome.facts.items()
        if value is not None
    }
    line = {
        "function": function,
        "what": outcome.what,
        **facts,
        "ms": round((time.perf_counter() - started) * 1000, 1),
    }
    LOGGER.log(level, "%s", json.dumps(line, default=str))
