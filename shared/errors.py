"""Every error of Headframe, and what whoever meets it should do next.

    HeadframeError
    ├── BadInput             ask whoever wrote the file or setting; names it, what was found, what is allowed
    │   ├── InvalidSettings
    │   ├── InvalidExtension
    │   └── InvalidPipeline
    ├── MalformedMessage     not our wake-up: park it with its bytes
    ├── SourceError          what a source answered, or failed to; carries `kind`
    │   ├── RateLimited          not before `retry_after`
    │   ├── TemporaryFailure     later, with back-off
    │   ├── MalformedResponse    later; if it stays so, ask us
    │   ├── InvalidCredential    ask the user for a new credential
    │   ├── CursorLoop           ask us: the source repeats itself
    │   ├── CursorExpired        ask us: the source does not know its own cursor any more
    │   ├── PageLimit            ask us: the run is longer than its pipeline file allows
    │   └── RequestRejected      ask us: the same request will be refused again
    ├── StorageError         tables and blobs
    │   ├── Conflict             somebody else wrote: read again, decide again
    │   ├── AlreadyExists        somebody else inserted: read it
    │   ├── TooLarge             ask us: a limit of Table Storage
    │   └── StorageUnavailable   later; an outcome may be unknown
    ├── BrokerUnavailable    later; a send may have happened
    └── OutputUnavailable    later; mining goes on meanwhile

Errors of foreign libraries are translated in `shared/adapters/`; nothing above it catches them by name.
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """The classes of failure that a checkpoint remembers as evidence and that dead letters are sorted by."""

    RATE_LIMITED = "rate_limited"
    INVALID_CREDENTIAL = "invalid_credential"
    TEMPORARY = "temporary"
    CURSOR_LOOP = "cursor_loop"
    PAGE_LIMIT = "page_limit"
    CURSOR_EXPIRED = "cursor_expired"
    REJECTED = "rejected"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"


class HeadframeError(Exception):
    """Root of all errors raised on purpose."""


class BadInput(HeadframeError):
    """A file, setting or argument that a person can mend; the message is one line made for that person."""


class InvalidSettings(BadInput):
    """A setting is missing or wrong."""


class InvalidExtension(BadInput):
    """A class that a pipeline file names can't be used; `place` is the option in which that is seen."""

    def __init__(self, message: str, *place: str | int):
        super().__init__(message)
        self.place = place


class InvalidPipeline(BadInput):
    """A pipeline file is wrong; one line per mistake."""


class MalformedMessage(HeadframeError):
    """A queue message that is not a wake-up of ours."""

    kind = ErrorKind.MALFORMED


class SourceError(HeadframeError):
    """A page could not be had from a source.

    `retry_after` is the wait in seconds that the source asked for, or None; `of_app` says that it asked all users of
    the app to wait, `too_large` that it was asked for too much at once.
    """

    kind = ErrorKind.UNKNOWN

    def __init__(
        self, message: str, retry_after: float | None = None, *, of_app: bool = False, too_large: bool = False
    ):
        super().__init__(message)
        self.retry_after = retry_after
        self.of_app = of_app
        self.too_large = too_large


class RateLimited(SourceError):
    kind = ErrorKind.RATE_LIMITED


class TemporaryFailure(SourceError):
    kind = ErrorKind.TEMPORARY


class MalformedResponse(SourceError):
    kind = ErrorKind.MALFORMED


class InvalidCredential(SourceError):
    kind = ErrorKind.INVALID_CREDENTIAL


class CursorLoop(SourceError):
    kind = ErrorKind.CURSOR_LOOP


class CursorExpired(SourceError):
    kind = ErrorKind.CURSOR_EXPIRED


class PageLimit(SourceError):
    kind = ErrorKind.PAGE_LIMIT


class RequestRejected(SourceError):
    kind = ErrorKind.REJECTED


class StorageError(HeadframeError):
    """Table or blob storage refused or failed."""


class Conflict(StorageError):
    """An If-Match did not match: the row changed since it was read, or is gone."""


class AlreadyExists(StorageError):
    """An insert, or a write-once object, found the name taken."""


class TooLarge(StorageError):
    """A row or transaction is over a limit of Table Storage."""


class Damaged(StorageError):
    """Rows that must be there are gone, and nobody of ours has removed them."""


class StorageUnavailable(StorageError):
    """Storage throttled, timed out or could not be reached; what was asked may or may not have happened."""


class BrokerUnavailable(HeadframeError):
    """A send failed or timed out; it may or may not have happened."""


class OutputUnavailable(HeadframeError):
    """The output could not be written now (disk full, container away)."""
