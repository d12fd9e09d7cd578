"""Small objects of an output become large ones, and whoever reads by the log of a folder never sees a record twice.

    1 merge   FOLDER/merged-…                  written once; it counts for nobody yet
    2 log     FOLDER/_merged/NUMBER.json       written once: now it counts, and what it replaces does not
    3 sweep   what has been replaced           deleted, `merge_after` later at the earliest

The log decides: of two that merge in one folder, only one is first with a number, and the other leaves off. What was
merged under a number that somebody else has logged can't count any more, and is swept. A delivery that is late may
write an object again that has been replaced and deleted: it still does not count, and goes with the next sweep.
"""

import asyncio
import contextlib
import hashlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from processors.merging import merged, suffix_of
from shared.adapters.objects import Found, ObjectStore
from shared.errors import AlreadyExists, OutputUnavailable
from shared.outcome import Outcome
from shared.pipeline.spec import JsonLines, Parquet
from shared.services import Services

TIME_BOX = timedelta(seconds=200)
FEWEST = 8
"""Objects that are worth a merge, unless they fill one."""

AT_ONCE = 8
MOST_IN_ONE = 5000
"""Objects that become one; their names stand in the log."""

LOG = "_merged/"
LOG_ENTRY = re.compile(r"(\d{8})\.json")
MERGED = re.compile(r"merged-(\d{8})-")
DELIVERED = re.compile(r"\d{8}T\d{6}Z-")
"""How the names of runs begin, and so those of objects. Whatever else lies in a folder is left alone."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Objects of that age are merged until they are so large; fewer than `fewest` small ones are left. What has been
    replaced can be read as long again by who has begun to.
    """

    age: timedelta
    bytes: int
    fewest: int = FEWEST


@dataclass(slots=True)
class Folder:
    """What lies in one folder: objects by the rest of their name, and the log of what was merged."""

    path: str
    objects: dict[str, Found] = field(default_factory=dict)
    log: dict[int, Found] = field(default_factory=dict)
    replaced: dict[str, datetime] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)

    def counted(self) -> list[str]:
        """Every record of the folder is in exactly one of these objects, also when they were merged while it was
        looked at."""
        plain = {name for name in self.objects if not MERGED.match(name)}
        return [f"{self.path}{name}" for name in sorted((plain | self.named) - self.replaced.keys())]

    def needless(self, before: datetime) -> list[Found]:
        """Replaced before then, or merged under a number that another one has logged."""
        return [each for name, each in self.objects.items() if self._is_needless(name, before)]

    def _is_needless(self, name: str, before: datetime) -> bool:
        if name in self.replaced:
            return self.replaced[name] < before
        number = MERGED.match(name)
        return number is not None and name not in self.named and int(number[1]) <= max(self.log, default=0)


async def compact(services: Services) -> Outcome:
    """Merge what is old enough in every output that wants it, as far as the time box goes."""
    deadline, counts = services.now() + TIME_BOX, Counter[str]()
    for pipeline in services.pipelines.values():
        for output in pipeline.outputs:
            if isinstance(output, JsonLines | Parquet) and output.merge_after is not None:
                wanted, place = Wanted(output.merge_after, output.merge_bytes), services.place(output.to)
                for stream in pipeline.streams:
                    prefix = f"{pipeline.pipeline}/{stream.name}/"
                    counts += await _compact_below(prefix, place, wanted, deadline, services)
    return Outcome("compacted", **dict(sorted(counts.items())))


async def _compact_below(
    prefix: str, place: ObjectStore, wanted: Wanted, deadline: datetime, services: Services
) -> Counter[str]:
    counts: Counter[str] = Counter()
    try:
        async for folder in folders_of(place, prefix):
            if services.now() < deadline:
                counts += await compact_folder(folder, place, wanted, services.now())
    except OutputUnavailable:  # the others are looked at all the same
        counts["failed"] += 1
    return counts


async def folders_of(place: ObjectStore, prefix: str = "") -> AsyncIterator[Folder]:
    """Every folder that has objects which can be merged, with its log read. Raises OutputUnavailable."""
    folder = Folder("")
    async for found in place.list(prefix):
        path, _, name = found.name.rpartition("/")
        path += "/" * bool(path)
        of = path.removesuffix(LOG)
        if of != folder.path:
            if folder.objects:
                yield await _with_log(folder, place)
            folder = Folder(of)
        entry = LOG_ENTRY.fullmatch(name)
        if path.endswith(LOG) and entry is not None:
            folder.log[int(entry[1])] = found
        elif path == of and suffix_of(name) is not None and (DELIVERED.match(name) or MERGED.match(name)):
            folder.objects[name] = found
    if folder.objects:
        yield await _with_log(folder, place)


async def compact_folder(folder: Folder, place: ObjectStore, wanted: Wanted, now: datetime) -> Counter[str]:
    """How many objects were `merged` into how many `objects`, and how many `swept`. Raises OutputUnavailable."""
    counts: Counter[str] = Counter()
    for each in folder.needless(now - wanted.age):
        await place.delete(each.name)
        counts["swept"] += 1
    for number, batch in enumerate(batches(folder, wanted, now), max(folder.log, default=0) + 1):
        if not await _merge(folder, number, batch, place, now):
            break
        counts += Counter(merged=len(batch), objects=1)
    return counts


def batches(folder: Folder, wanted: Wanted, now: datetime) -> list[list[Found]]:
    """What is to become one object each: old and small, of one kind, in the order of their names. Pure."""
    found: list[list[Found]] = []
    open_: dict[str, list[Found]] = {}
    counted = [folder.objects.get(name.removeprefix(folder.path)) for name in folder.counted()]
    for each in filter(None, counted):
        suffix = suffix_of(each.name)
        if suffix is None or each.size > wanted.bytes // 2 or now - each.modified < wanted.age:
            continue
        batch = open_.setdefault(suffix, [])
        batch.append(each)
        if sum(one.size for one in batch) >= wanted.bytes or len(batch) == MOST_IN_ONE:
            found.append(open_.pop(suffix))
    return found + [batch for batch in open_.values() if len(batch) >= wanted.fewest]


async def _with_log(folder: Folder, place: ObjectStore) -> Folder:
    for number in sorted(folder.log):
        entry = json.loads(await place.read(folder.log[number].name) or b"{}")
        folder.named.add(str(entry.get("object")))
        folder.replaced |= dict.fromkeys(entry.get("replaces", ()), folder.log[number].modified)
    return folder


async def _merge(folder: Folder, number: int, batch: Sequence[Found], place: ObjectStore, now: datetime) -> bool:
    """Whether it was done; else somebody else merges here."""
    parts = await _read(batch, place)
    suffix = suffix_of(batch[0].name)
    if parts is None or suffix is None:
        return False
    replaces = [each.name.removeprefix(folder.path) for each in batch]
    digest = hashlib.blake2b("\n".join(replaces).encode(), digest_size=8).hexdigest()
    name = f"merged-{number:08d}-{digest}{suffix}"
    entry = {"object": name, "replaces": replaces, "at": now.isoformat(timespec="seconds")}
    with contextlib.suppress(AlreadyExists):  # the same objects make the same one
        await place.write_once(f"{folder.path}{name}", await asyncio.to_thread(merged, parts, suffix))
    try:
        await place.write_once(f"{folder.path}{LOG}{number:08d}.json", json.dumps(entry, indent=1).encode())
    except AlreadyExists:
        return False
    return True


async def _read(batch: Sequence[Found], place: ObjectStore) -> list[bytes] | None:
    """None where one is gone."""
    parts: list[bytes] = []
    for start in range(0, len(batch), AT_ONCE):
        some = await asyncio.gather(*(place.read(each.name) for each in batch[start : start + AT_ONCE]))
        parts += [part for part in some if part is not None]
        if len(parts) < start + len(some):
            return None
    return parts
