"""What survives a killed emulator: queues, messages, duplicate history and session states, in one SQLite file.

Changes are only noted when they happen, and collapse per message: received and completed between two commits is one
DELETE. `commit` writes all of them in one transaction and comes before every acknowledgement that leaves. With WAL and
synchronous=NORMAL that survives the death of the process; after a power cut the last commits may be missing.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from devtools.service_bus_emulator.errors import JournalFailed, StartError
from devtools.service_bus_emulator.messages import Message, State, parse
from devtools.service_bus_emulator.properties import QueueProperties

_VERSION = 1
_TABLES = """
CREATE TABLE queues (name TEXT PRIMARY KEY, properties TEXT NOT NULL, next_sequence INTEGER NOT NULL DEFAULT 1);
CREATE TABLE messages (
    row INTEGER PRIMARY KEY, queue TEXT NOT NULL, sequence INTEGER NOT NULL, enqueued_at INTEGER NOT NULL,
    state INTEGER NOT NULL, scheduled_for INTEGER, expires_at INTEGER, delivery_count INTEGER NOT NULL,
    lock_token BLOB, locked_until INTEGER NOT NULL, reason TEXT, description TEXT, payload BLOB NOT NULL);
CREATE TABLE duplicates (
    queue TEXT NOT NULL, message_id TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (queue, message_id));
CREATE TABLE sessions (
    queue TEXT NOT NULL, session_id TEXT NOT NULL, state BLOB NOT NULL, updated_at INTEGER NOT NULL,
    PRIMARY KEY (queue, session_id));
"""
_INSERT = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = """UPDATE messages SET queue = ?2, sequence = ?3, enqueued_at = ?4, state = ?5, scheduled_for = ?6,
    expires_at = ?7, delivery_count = ?8, lock_token = ?9, locked_until = ?10, reason = ?11, description = ?12
    WHERE row = ?1"""


class NoJournal:
    """Keeps nothing: the emulator without --journal forgets everything when it stops."""

    def save(self, queue: str, message: Message, *, urgent: bool = True) -> None: ...
    def delete(self, message: Message) -> None: ...
    def remember(self, queue: str, message_id: str, until: int) -> None: ...
    def forget(self, queue: str, before: int) -> None: ...
    def save_session(self, queue: str, session_id: str, state: bytes | None, updated_at: int) -> None: ...
    def save_queue(self, name: str, properties: QueueProperties) -> None: ...
    def delete_queue(self, names: Iterable[str]) -> None: ...
    def commit(self, *, everything: bool = False) -> None: ...
    def close(self) -> None: ...


class SqliteJournal:
    """The journal of one running emulator; it holds the file locked until it is closed or the process dies."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises StartError if another emulator has it, or if it is not a journal."""
        self._db = _open(path)
        (last_row,) = self._db.execute("SELECT coalesce(max(row), 0) FROM messages").fetchone()
        self._next_row: int = last_row + 1
        self._changed: dict[int, tuple[str, Message]] = {}  # by row
        self._new: set[int] = set()  # rows that are not in the file yet
        self._deleted: list[tuple[int]] = []
        self._sequences: dict[str, int] = {}
        self._statements: list[tuple[str, tuple[Any, ...]]] = []
        self._urgent = False
        self._failed = False

    # -- noting --------------------------------------------------------------------------------------------------

    def save(self, queue: str, message: Message, *, urgent: bool = True) -> None:
        """Note a new or changed message. Not urgent is a lock: losing its record only frees the message early."""
        if not message.row:
            message.row, self._next_row = self._next_row, self._next_row + 1
            self._new.add(message.row)
        self._changed[message.row] = (queue, message)
        self._sequences[queue] = max(message.sequence, self._sequences.get(queue, 0))
        self._urgent |= urgent

    def delete(self, message: Message) -> None:
        self._changed.pop(message.row, None)
        if message.row in self._new:
            self._new.remove(message.row)
        else:
            self._deleted.append((message.row,))
        self._urgent = True

    def remember(self, queue: str, message_id: str, until: int) -> None:
        self._note("INSERT OR REPLACE INTO duplicates VALUES (?, ?, ?)", queue, message_id, until)

    def forget(self, queue: str, before: int) -> None:
        self._note("DELETE FROM duplicates WHERE queue = ? AND until <= ?", queue, before)

    def save_session(self, queue: str, session_id: str, state: bytes | None, updated_at: int) -> None:
        if state is None:
            self._note("DELETE FROM sessions WHERE queue = ? AND session_id = ?", queue, session_id)
        else:
            self._note("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?, ?)", queue, session_id, state, updated_at)

    def save_queue(self, name: str, properties: QueueProperties) -> None:
        text = json.dumps(asdict(properties))
        self._note("INSERT OR IGNORE INTO queues (name, properties) VALUES (?, ?)", name, text)
        self._note("UPDATE queues SET properties = ? WHERE name = ?", text, name)

    def delete_queue(self, names: Iterable[str]) -> None:
        """Forget a queue (named with its dead-letter queue) and everything in it."""
        self.commit(everything=True)
        for name in names:
            self._note("DELETE FROM messages WHERE queue = ?", name)
            self._note("DELETE FROM duplicates WHERE queue = ?", name)
            self._note("DELETE FROM sessions WHERE queue = ?", name)
            self._note("DELETE FROM queues WHERE name = ?", name)
        self.commit()

    def _note(self, statement: str, *values: Any) -> None:
        self._statements.append((statement, values))
        self._urgent = True

    # -- writing -------------------------------------------------------------------------------------------------

    def commit(self, *, everything: bool = False) -> None:
        """Write what was noted, in one transaction; without `everything` only if something urgent is among it.

        Raises JournalFailed if the disk does not take it; the journal is of no use any more then.
        """
        if not (self._urgent or (everything and self._changed)):
            return
        if self._failed:
            raise JournalFailed("an earlier commit failed")
        try:
            self._db.execute("BEGIN")
            self._write_messages()
            self._write_the_rest()
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed = True
            raise JournalFailed(str(error)) from error
        for noted in (self._changed, self._new, self._deleted, self._statements, self._sequences):
            noted.clear()
        self._urgent = False

    def _write_messages(self) -> None:
        inserts, updates = [], []
        for row, (queue, message) in self._changed.items():
            record = _record(queue, message)
            if row in self._new:
                inserts.append((*record, message.content.payload))
            else:
                updates.append(record)
        self._db.executemany(_INSERT, inserts)
        self._db.executemany(_UPDATE, updates)
        self._db.executemany("DELETE FROM messages WHERE row = ?", self._deleted)

    def _write_the_rest(self) -> None:
        for statement, values in self._statements:
            self._db.execute(statement, values)
        numbers = [(number + 1, queue) for queue, number in self._sequences.items()]
        self._db.executemany("UPDATE queues SET next_sequence = max(next_sequence, ?) WHERE name = ?", numbers)

    def close(self) -> None:
        if not self._failed:
            self.commit(everything=True)
        self._db.close()

    # -- reading after a restart ---------------------------------------------------------------------------------

    def queues(self) -> dict[str, tuple[QueueProperties, int]]:
        """Every queue that was: its properties and its next sequence number, by name."""
        rows = self._db.execute("SELECT name, properties, next_sequence FROM queues")
        return {name: (QueueProperties(**json.loads(properties)), number) for name, properties, number in rows}

    def messages(self, queue: str) -> Iterable[Message]:
        for record in self._db.execute("SELECT * FROM messages WHERE queue = ? ORDER BY sequence", (queue,)):
            yield _message(record)

    def duplicates(self, queue: str) -> dict[str, int]:
        return dict(self._db.execute("SELECT message_id, until FROM duplicates WHERE queue = ?", (queue,)))

    def sessions(self, queue: str) -> dict[str, tuple[bytes, int]]:
        rows = self._db.execute("SELECT session_id, state, updated_at FROM sessions WHERE queue = ?", (queue,))
        return {session_id: (state, updated_at) for session_id, state, updated_at in rows}


def _open(path: Path) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, timeout=0, isolation_level=None)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN EXCLUSIVE")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("COMMIT")
        if version == 0:
            db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
    except sqlite3.Error as error:
        raise StartError(f"{path}: {_why(error)}") from error
    if version not in (0, _VERSION):
        raise StartError(f"{path}: found journal version {version}, allowed: {_VERSION}; use another --journal file")
    return db


def _why(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text:
        return "the journal is in use by another emulator; stop that one or use another --journal file"
    if "not a database" in text or "already exists" in text:
        return "found a file that is no journal of this emulator; allowed: a journal, or a file that does not exist yet"
    return f"cannot open the journal: {text}"


def _record(queue: str, message: Message) -> tuple[Any, ...]:
    return (
        message.row,
        queue,
        message.sequence,
        message.enqueued_at,
        int(message.state),
        message.scheduled_for,
        message.expires_at,
        message.delivery_count,
        message.lock_token and message.lock_token.bytes,
        message.locked_until,
        message.dead_letter_reason,
        message.dead_letter_description,
    )


def _message(record: tuple[Any, ...]) -> Message:
    row, _, sequence, enqueued_at, state, scheduled_for, expires_at, attempts, token, until, why, how, payload = record
    lock_token = uuid.UUID(bytes=token) if token else None
    kept = (State(state), scheduled_for, expires_at, attempts, lock_token, until, why, how, row)
    return Message(parse(payload), sequence, enqueued_at, *kept)
