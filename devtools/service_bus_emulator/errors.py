"""What the broker can refuse, each with the AMQP condition and the HTTP-like status a client is told.

Refusal
├── EntityNotFound          404  there is no such queue
├── MessageNotFound         404  no message with such a sequence number, or not in the state asked for
├── MessageLockLost         410  settled or renewed too late, or twice
├── SessionLockLost         410  the same for a session
├── SessionCannotBeLocked   410  another receiver holds the session
├── NotAllowed              400  the queue does not work that way
├── BadRequest              400  an argument is missing or makes no sense
├── MessageTooLarge         413
└── TimedOut                408  no session became available in time
"""


class Refusal(Exception):
    """An operation the broker will not do; nothing changed."""

    condition = "amqp:internal-error"
    status = 500


class EntityNotFound(Refusal):
    condition = "amqp:not-found"
    status = 404


class MessageNotFound(Refusal):
    condition = "com.microsoft:message-not-found"
    status = 404


class MessageLockLost(Refusal):
    condition = "com.microsoft:message-lock-lost"
    status = 410


class SessionLockLost(Refusal):
    condition = "com.microsoft:session-lock-lost"
    status = 410


class SessionCannotBeLocked(Refusal):
    condition = "com.microsoft:session-cannot-be-locked"
    status = 410


class NotAllowed(Refusal):
    condition = "amqp:not-allowed"
    status = 400


class BadRequest(Refusal):
    condition = "com.microsoft:argument-error"
    status = 400


class MessageTooLarge(Refusal):
    condition = "amqp:link:message-size-exceeded"
    status = 413


class TimedOut(Refusal):
    condition = "com.microsoft:timeout"
    status = 408


class JournalFailed(Exception):
    """The journal could not be written: nothing since the last commit may be acknowledged."""


class StartError(Exception):
    """The emulator cannot start: one line that names the thing, what was found and what is allowed."""
