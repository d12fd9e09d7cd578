"""Compare an output folder with the truth: what is missing, what is there twice, what does not belong there.

The output is JSON Lines in `<folder>/<pipeline>/<stream>/date=YYYY-MM-DD/*.jsonl`, each line a record with
`_user` added. It is read line by line; only ids and versions are kept, about 300 bytes per record.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_LISTED = 10


@dataclass
class Findings:
    """How many of one kind, and the first ten in words."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, finding: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.first) < _LISTED:
            self.first.append(finding)

    def __str__(self) -> str:
        more = [f"… and {self.count - len(self.first)} more"] if self.count > len(self.first) else []
        return "\n".join([str(self.count), *(f"  {finding}" for finding in self.first + more)])


@dataclass
class Comparison:
    """The verdict on an output folder.

    missing     the latest version of a record is not there (only users who can be mined to the end)
    duplicated  the same version of the same record is there again
    foreign     a record under a user who does not own it, or a version that was never shown to its user
    unreadable  a line that is not a record with `_user`, `id` and `version`
    """

    missing: Findings = field(default_factory=Findings)
    duplicated: Findings = field(default_factory=Findings)
    foreign: Findings = field(default_factory=Findings)
    unreadable: Findings = field(default_factory=Findings)
    records: int = 0  # lines in the output
    expected: int = 0  # records that had to be there
    users: int = 0  # users with at least one line in the output
    outcomes: Counter[str] = field(default_factory=Counter)  # users of the truth by how they had to end

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing twice, nothing foreign."""
        found = (self.missing, self.duplicated, self.foreign, self.unreadable)
        return not any(findings.count for findings in found)

    def __str__(self) -> str:
        kinds = ("missing", "duplicated", "foreign", "unreadable")
        head = f"{self.records} records of {self.users} users in the output, {self.expected} expected"
        return "\n".join([head, *(f"{kind}: {getattr(self, kind)}" for kind in kinds)])


@dataclass
class _Share:
    """What one user owns in one stream, and which (id, version) was found."""

    outcome: str
    latest: dict[str, int]
    shown: dict[str, int]
    found: set[tuple[str, int]] = field(default_factory=set)


@dataclass(frozen=True)
class _Line:
    """One record of the output and where it stands."""

    place: str
    user: str
    stream: str
    record_id: str
    version: int

    def __str__(self) -> str:
        return f"{self.user} {self.stream} {self.record_id} version {self.version} ({self.place})"


_Shares = dict[tuple[str, str], _Share]


def compare(truth_lines: Iterable[str | bytes], output_folder: Path | str) -> Comparison:
    """Compare the output of all pipelines under a folder with the lines of `/truth`."""
    comparison = Comparison()
    shares = _read_truth(truth_lines, comparison)
    users = set()
    for line in _output(Path(output_folder), comparison):
        comparison.records += 1
        users.add(line.user)
        _judge(line, shares.get((line.user, line.stream)), comparison)
    comparison.users = len(users)
    _find_missing(shares, comparison)
    return comparison


def _read_truth(lines: Iterable[str | bytes], comparison: Comparison) -> _Shares:
    shares, outcomes = {}, {}
    for line in lines:
        if line.strip():
            truth = json.loads(line)
            share = _Share(truth["outcome"], truth["records"], truth["shown"])
            shares[truth["user"], truth["stream"]] = share
            outcomes[truth["user"]] = share.outcome
    comparison.outcomes = Counter(outcomes.values())
    return shares


def _output(folder: Path, comparison: Comparison) -> Iterator[_Line]:
    for path in sorted(folder.glob("*/*/date=*/*.jsonl")):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                place = f"{path.relative_to(folder)}:{number}"
                try:
                    yield _read_line(line, path.parent.parent.name, place)
                except (ValueError, KeyError, TypeError) as error:
                    comparison.unreadable.add(f"{place}: {type(error).__name__} {error}")


def _read_line(line: bytes, stream: str, place: str) -> _Line:
    record = json.loads(line)
    return _Line(place, str(record["_user"]), stream, str(record["id"]), int(record["version"]))


def _judge(line: _Line, share: _Share | None, comparison: Comparison) -> None:
    if share is None or line.record_id not in share.latest:
        comparison.foreign.add(f"{line}: not a record of this user")
    elif line.version > share.shown.get(line.record_id, 0):
        comparison.foreign.add(f"{line}: never shown to this user")
    elif (line.record_id, line.version) in share.found:
        comparison.duplicated.add(str(line))
    else:
        share.found.add((line.record_id, line.version))


def _find_missing(shares: _Shares, comparison: Comparison) -> None:
    for (user, stream), share in shares.items():
        if share.outcome != "complete":
            continue
        comparison.expected += len(share.latest)
        for record in share.latest.items():
            if record not in share.found:
                comparison.missing.add(f"{user} {stream} {record[0]} version {record[1]}")
