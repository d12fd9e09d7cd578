"""One server process: started so that it outlives us or not, recognised by a later start, stopped by signal.

A process is recognised by its whole command line, which names its data folder: after a crash its process id
may belong to a stranger. The new process writes its id itself before it turns into the server, so a parent
that is killed meanwhile leaves no server that nobody knows of.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from devtools.places import ROOT

WRITE_ID_AND_BECOME = 'echo $$ >"$0" && exec "$@"'
PATIENCE_SECONDS = 90.0
"""Azurite saves its whole database before it ends; a host may have pages in flight."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. `own_session` decides whether it survives what kills us (Ctrl-C, SIGKILL of the group)."""

    arguments: tuple[str, ...]
    pid_file: Path
    log: Path
    own_session: bool = True


@dataclass(slots=True)
class Server:
    name: str
    pid: int
    command: Command
    child: "subprocess.Popen[bytes] | None" = None

    @staticmethod
    def start(name: str, command: Command, environ: Mapping[str, str]) -> "Server":
        """Its output goes to `command.log`, which is emptied first."""
        command.pid_file.unlink(missing_ok=True)
        with command.log.open("wb") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", WRITE_ID_AND_BECOME, command.pid_file, *command.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=dict(environ),
                start_new_session=command.own_session,
            )
        return Server(name, child.pid, command, child)

    @staticmethod
    def find(name: str, command: Command) -> "Server | None":
        """The process that an earlier `start` with this very command left running."""
        try:
            pid = int(command.pid_file.read_text())
        except (OSError, ValueError):
            return None
        server = Server(name, pid, command)
        return server if server.is_running() else None

    def is_running(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        return command_line(self.pid).endswith(" ".join(self.command.arguments))

    def stop(self, say: Callable[[str], None], patience: float = PATIENCE_SECONDS) -> None:
        """SIGTERM, then wait: a killed Azurite loses what it acknowledged in its last seconds."""
        self._signal(signal.SIGTERM)
        if not self._ended_within(patience):
            say(f"{self.name} (pid {self.pid}) did not end within {patience:.0f} s and was killed")
            self._signal(signal.SIGKILL)
            self._ended_within(patience)
        self.command.pid_file.unlink(missing_ok=True)

    def last_words(self) -> str:
        """The last line it wrote, or a remark that there is none."""
        try:
            lines = self.command.log.read_text(errors="replace").splitlines()
        except OSError:
            lines = []
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")

    def _signal(self, number: int) -> None:
        if self.is_running():
            os.kill(self.pid, number)

    def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running() or is_ending(self.pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


EXITING = 0x4
"""Of the flags in a process's `stat`: it is being taken apart."""


def is_ending(pid: int) -> bool:
    """Whether Linux still takes the process apart: its command line goes first, what it listens on later."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state not in "ZX" and bool(int(rest[5]) & EXITING)


def command_line(pid: int) -> str:
    """The arguments of a process, with blanks between them; empty when it has ended."""
    if Path("/proc/self/cmdline").exists():
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
            return " ".join(arguments[:-1])
        except OSError:
            return ""
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()
