"""Page sizes that follow what the source bears and how much a user has. Pure.

Everybody begins with the `value` of the file. Full pages make the next one larger, a tenth of it each time, up to the
`maximum`; an answer that is too large halves it, down to the `minimum`, and it grows again from there. Who has not half
a page in a whole slice comes back to the `value`.
"""

from shared.pipeline.spec import Stream


def sized(stream: Stream, size: int) -> Stream:
    """The stream as it asks for pages of this size; 0: of that of the file."""
    if not size or stream.page_size is None or not stream.page_size.adaptive:
        return stream
    return stream.model_copy(update={"page_size": stream.page_size.model_copy(update={"value": size})})


def grown(stream: Stream, size: int, records: int, *, is_whole_slice: bool) -> int:
    """The size behind a page that has been had. 0: that of the file."""
    asked = stream.page_size
    if asked is None or not asked.adaptive:
        return 0
    now, most = size or asked.value, asked.maximum or asked.value
    if records >= now:
        return min(most, now + max(1, asked.value // 10))
    return min(now, asked.value) if is_whole_slice and 2 * records < now else now


def shrunk(stream: Stream, size: int) -> int | None:
    """The size behind an answer that was too large, or None where there is no smaller one."""
    asked = stream.page_size
    if asked is None or not asked.adaptive:
        return None
    now, least = size or asked.value, asked.minimum or 1
    return max(least, now // 2) if now > least else None
