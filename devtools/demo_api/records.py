"""What one record looks like, as JSON bytes.

A record is a head of its own (id, times, version, author) and a tail (text, counters) out of a pool that
all users share. Rendering a record is then one formatting operation, about a microsecond, so pages need
not be kept in memory.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

_POOL = 509  # tails per kind of stream; prime, so that the walk through the pool meets all of them
_STRIDE = 131
_WORDS = """shift lift shaft winder cage rope skip ore seam drift level collar pump lamp timber tally sinker
banksman signal hoist sheave guide chute tram crosscut raise stope fault vein surface night morning
"""

# What real texts hold and careless code breaks on. The lone surrogate and the NUL are legal JSON escapes.
_ODDITIES = (
    "naïve café, Straße",
    "日本語の投稿",
    "\u05e2\u05d1\u05e8\u05d9\u05ea and \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "family \U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 flag \U0001f1e8\U0001f1ed",
    "combining e\u0301 o\u0308 and precomposed \u00e9 \u00f6",
    "line\u2028separator and paragraph\u2029separator",
    "right-to-left \u202eoverride\u202c",
    "byte order mark \ufeff inside",
    "NUL \x00 and escape \x1b",
    "half an emoji \ud83d",
    'quote " backslash \\ slash / tab \t',
    "</script><b>&amp;</b>",
    "first line\nsecond line\r\nthird",
    "mathematical \U0001d4d7\U0001d4ee\U0001d4ea\U0001d4ed, width zero \u200b\u200c",
)


def text(random_: random.Random) -> str:
    """A text of 60 to 120 characters with one oddity somewhere in it."""
    words = random_.sample(_WORDS.split(), random_.randint(7, 11))
    words.insert(random_.randint(0, len(words)), random_.choice(_ODDITIES))
    return " ".join(words)


def json_text(value: str) -> str:
    """The text as a JSON string: raw UTF-8 where UTF-8 can say it, escapes where it cannot."""
    as_it_is = json.dumps(value, ensure_ascii=False)
    return as_it_is if as_it_is.isprintable() else json.dumps(value)


def _post_tail(random_: random.Random) -> str:
    counters = f'{{"likes":{random_.randrange(9000)},"comments":{random_.randrange(400)},"shares":0}}'
    return f'"message":{json_text(text(random_))},"counters":{counters}}}'


def _comment_tail(random_: random.Random) -> str:
    parent = f'{{"type":"post","id":"{random_.randrange(10**12)}"}}'
    return f'"object":{parent},"text":{json_text(text(random_))},"like_count":{random_.randrange(500)}}}'


_TAILS: dict[str, Callable[[random.Random], str]] = {"posts": _post_tail, "comments": _comment_tail}
STREAMS = tuple(_TAILS)
# The two kinds of ids never meet, not even for one user.
_FIRST_ID = {"posts": 4_100_000_000_000, "comments": 7_300_000_000_000}


@cache
def tails(stream: str, seed: int) -> list[bytes]:
    """The shared ends of the records of one kind of stream."""
    random_ = random.Random(f"{seed}:{stream}")
    return [_TAILS[stream](random_).encode() for _ in range(_POOL)]


@cache
def timestamp(step: int) -> bytes:
    """A time in Graph's format; a later step is a later time."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=37 * step)
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000").encode()


class RecordFormat:
    """Renders the records of one user in one stream."""

    def __init__(self, user: str, stream: str, seed: int) -> None:
        self._account = 100_000_000_000 + int(user.removeprefix("u"))
        self._first_id = _FIRST_ID[stream]
        self._tails = tails(stream, seed)
        author = f'{{"id":"{self._account}","username":"{user}","name":"Demo user {user} Žižek-Ñandú"}}'
        self._head = (
            f'{{"id":"{self._account}_%d","created_time":"%b","updated_time":"%b","version":%d,"author":{author},'
        ).encode()

    def record_id(self, number: int) -> str:
        """The id of the record with this number; no other user and no other stream has it."""
        return f"{self._account}_{self._first_id + number}"

    def render(self, number: int, sequence: int, version: int) -> bytes:
        """The record as JSON. A later `sequence` is a later `updated_time`."""
        identity = (self._first_id + number, timestamp(number), timestamp(sequence + 1), version)
        return self._head % identity + self._tails[number * _STRIDE % _POOL]
