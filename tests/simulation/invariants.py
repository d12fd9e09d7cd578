"""What must hold when a simulation has come to rest. A promise of the project each; later work adds its own."""

import base64
import gzip
import json
from collections import Counter, defaultdict
from itertools import chain, groupby, pairwise
from urllib.parse import parse_qs, urlsplit

from miners.scheduler import CURED_BY_USER
from processors.records import decompressed
from shared.adapters.admission_table import FRESH
from shared.adapters.checkpoint_table import CommittedPage, to_checkpoint
from shared.checkpoint import WHOLE, Checkpoint, RunState
from shared.errors import ErrorKind
from shared.messages import StreamKey, WakeUp
from tests.fakes.world import START
from tests.simulation.budget_invariants import BUDGET_INVARIANTS
from tests.simulation.chain_invariants import CHAIN_INVARIANTS, parents_of
from tests.simulation.history import Commit, commits_of
from tests.simulation.host import SLOTS
from tests.simulation.merged import by_log
from tests.simulation.simulation import Invariant, Simulation, Violation
from tests.simulation.source import BIG, ODD, Shown
from tests.simulation.token_invariants import TOKEN_INVARIANTS
from tests.simulation.turn_invariants import TURN_INVARIANTS
from tests.simulation.workload import BY_POSITION, depth_of, kind_of, settings_of

Line = dict[str, object]

ENDINGS = frozenset(
    {"committed", "split", "shrunk", "left_out", "resent", "ignored", "overtaken", "postponed", "retried", "parked"}
    | {"delivered", "waiting", "replayed", "dropped", "returned"}
)
"""Everything that may become of a message."""

SESSION_GAP = 150 * 60
"""Seconds, as the workloads have it."""

MOST_AHEAD = 10
"""Pages that one user may be ahead while another's wake-up waits: a wake-up is overtaken at most 8 times, one message
may be in front of it and one in hand."""


async def every_record_shown_is_in_one_page(simulation: Simulation) -> None:
    """A committed page is what the source showed there, but for what earlier pages have already."""
    shown = defaultdict(list)
    for fetch in simulation.api.fetches:
        shown[fetch.key, fetch.start].append(fetch.records)
    have: defaultdict[object, set[Shown]] = defaultdict(set)
    for commit in commits_of(simulation.tables["streams"]):
        key, start = commit.before.key, start_of(commit, simulation)
        answers = shown[key, start]
        if commit.count > 1:  # where the later pages start is in no checkpoint
            answers = [records for (of, _), each in shown.items() if of == key for records in each]
        before = have[key, commit.before.index.partition(".")[0]]  # folded or not
        for row in commit.pages or (None,):
            page = [_shown(line) for line in lines_of(simulation, key, row)]
            if not any(_accounts_for(page, records, before, simulation) for records in answers):
                raise Violation(f"{key} at {start!r}: {page} is not what the source showed")
            before.update(page)


def _accounts_for(page: list[Shown], records: tuple[Shown, ...], before: set[Shown], simulation: Simulation) -> bool:
    """Whether the records of an answer are in the page or were committed before, none twice and none invented."""
    work = simulation.workload
    if not work.primary_key:
        return page == list(records)
    known = before | set(page)
    if work.emit == "new":
        return set(page) <= set(records) and {each[0] for each in records} <= {each[0] for each in known}
    return set(page) <= set(records) <= known and not before & set(page)


async def the_output_is_the_committed_pages(simulation: Simulation) -> None:
    """Line by line, each exactly once, whole and under its owner, and of every run, however it ended."""
    committed = Counter(
        line
        for commit in commits_of(simulation.tables["streams"])
        for page in commit.pages
        for line in lines_of(simulation, commit.before.key, page)
    )
    for where, objects in outputs_in(simulation).items():
        delivered = Counter(chain.from_iterable(data.splitlines() for data in objects.values()))
        if committed != delivered:
            missing, extra = committed - delivered, delivered - committed
            example = next(iter(missing or extra))[:200]
            raise Violation(f"{where}: {missing.total()} committed lines missing, {extra.total()} extra: {example!r}")
        for line in map(json.loads, delivered):
            if line["_user"] != line["owner"] or line["big"] != BIG or line["odd"] != ODD:
                raise Violation(f"a record was changed or stands under another user: {line}")


async def every_version_is_there_once(simulation: Simulation) -> None:
    """What the API has at the end is in the output; nothing is there twice."""
    work = simulation.workload
    counts: Counter[tuple[object, ...]] = Counter()
    for name, data in outputs_in(simulation)["the output"].items():
        stream = name.split("/")[0], name.split("/")[1]
        for line in map(json.loads, data.splitlines()):
            run = line["_run"] if work.emit == "all" or not work.primary_key else ""
            counts[(*stream, line["_user"], line["id"], line["version"], run)] += 1
    for name, count in counts.items():
        shown_once = work.is_stable and name[2] not in work.looping_users
        if count > 1 and (work.primary_key or shown_once):
            raise Violation(f"in the output twice: {name}")
    present = {name[:5] for name in counts}
    ids = Counter(name[:4] for name in counts)
    if work.emit == "new" and work.primary_key and (twice := [name for name, count in ids.items() if count > 1]):
        raise Violation(f"in the output with two contents: {twice[0]}")
    for checkpoint in await simulation.checkpoints():
        outlived = work.written and simulation.is_hopeless(checkpoint.key)  # by what was written after its last run
        accountable = kind_of(checkpoint.key.stream) in BY_POSITION or work.is_stable
        if checkpoint.state is RunState.DONE and accountable and not outlived:
            _all_there(simulation, checkpoint.key, present)


def _all_there(simulation: Simulation, key: StreamKey, present: set[tuple[object, ...]]) -> None:
    for identity, latest in simulation.api.truth(key).items():
        versions = range(1, latest) if simulation.workload.emit == "new" else ()
        if not any(
            (key.pipeline, key.stream, key.user, identity, version) in present for version in (latest, *versions)
        ):
            raise Violation(f"missing: {key} record {identity} version {latest}")


async def sessions_are_those_of_the_data(simulation: Simulation) -> None:
    """Records are of one session as long as no pause is as long as the gap.

    Where runs were cancelled, records have moved between the same part of the data being shown twice.
    """
    if "session" not in simulation.workload.windows:
        return
    shown: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for name, data in simulation.output.objects.items():
        for line in map(json.loads, data.splitlines()):
            if "_session" not in line:
                raise Violation(f"{name}: a record without a session: {line}")
            shown[name.split("/")[1], line["_user"]][line["changed"]] = line["_session"]
    for owner, labels in shown.items() if not simulation.workload.events else ():
        for earlier, later in pairwise(sorted(labels)):
            if (labels[earlier] == labels[later]) != (later - earlier < SESSION_GAP):
                raise Violation(f"{owner}: {labels[earlier]} and {labels[later]} at {earlier} and {later}")


async def all_runs_end(simulation: Simulation) -> None:
    """Done, or parked for a reason that was to be expected and with a row that shows it."""
    for checkpoint in await simulation.checkpoints():
        key = checkpoint.key
        if checkpoint.state is RunState.PARKED:
            shown = [row for row in simulation.tables["parked"].rows.values() if row.values["run"] == checkpoint.run]
            if not (checkpoint.reason and shown):
                raise Violation(f"{key} is parked and nobody sees it")
            if checkpoint.reason not in _expected_reasons(simulation, key):
                raise Violation(f"{key} is parked for {checkpoint.reason}: {checkpoint.last_error}")
        elif checkpoint.state is RunState.CANCELLED and simulation.is_hopeless(key):
            continue  # and it can't be started again
        elif checkpoint.state is not RunState.DONE:
            raise Violation(f"{key} is {checkpoint.state}")


def _expected_reasons(simulation: Simulation, key: StreamKey) -> set[str]:
    work = simulation.workload
    reasons: set[str] = set()
    if simulation.is_hopeless(key):
        reasons |= CURED_BY_USER
    if key.user in work.looping_users:
        reasons.add(ErrorKind.CURSOR_LOOP)
    if work.expiring or work.away:
        reasons.add(ErrorKind.REJECTED)
    return reasons


async def the_hopeless_are_parked(simulation: Simulation) -> None:
    """A refused credential gives no output and the reason; a source that goes in circles is stopped."""
    for checkpoint in await simulation.checkpoints():
        key = checkpoint.key
        if key.user in simulation.workload.refused_users and checkpoint.state is RunState.DONE:
            raise Violation(f"{key} with a refused credential is {checkpoint.state} {checkpoint.reason}")
        loops = key.user in simulation.workload.looping_users and key.stream in BY_POSITION
        if loops and checkpoint.state is RunState.DONE:
            raise Violation(f"{key} goes in circles and is {checkpoint.state}")


async def sequences_are_gap_free(simulation: Simulation) -> None:
    """Pages of a run are committed one after the other from 0, each once, and each object holds what its name says.

    A run that was mined by strands and left slices out goes on alone, behind the pages of them all.
    """
    following: dict[tuple[str, str], int] = {}
    for commit in commits_of(simulation.tables["streams"]):
        run, seq = (commit.before.run, commit.before.slice), commit.before.next_seq
        goes_on = seq == following.get(run, 0) or (commit.before.next_part and run[1] == WHOLE and seq > following[run])
        within = all(seq <= page.seq < commit.after.next_seq for page in commit.pages)
        if not (goes_on and within and commit.count > 0):
            raise Violation(f"run {run} went from page {following.get(run, 0)} to {seq} to {commit.after.next_seq}")
        following[run] = commit.after.next_seq
    for name, data in chain.from_iterable(objects.items() for objects in outputs_in(simulation).values()):
        if "/merged-" in name:
            continue
        first, last = (int(part) for part in name.partition(".jsonl")[0].rsplit("-", 2)[1:])
        found = {int(json.loads(line)["_page"]) for line in data.splitlines()}
        if min(found) < first or max(found) > last:
            raise Violation(f"{name} holds pages {sorted(found)}")


async def slices_keep_their_limit(simulation: Simulation) -> None:
    """Never more slices of a run at a time than allowed, and a run is not done before the last of them."""
    standing: dict[tuple[str, str], Checkpoint] = {}
    for _, together in groupby(simulation.tables["streams"].changes, key=lambda change: change.transaction):
        changed = [to_checkpoint(each.after) for each in together if each.after.key.startswith("checkpoint|")]
        standing |= {(str(each.key), each.slice): each for each in changed}
        for checkpoint in changed:
            _check_strands(standing, checkpoint)


def _check_strands(standing: dict[tuple[str, str], Checkpoint], changed: Checkpoint) -> None:
    run = standing[str(changed.key), WHOLE]
    strands = [each for (key, slice_), each in standing.items() if key == str(changed.key) and slice_ != WHOLE]
    going_on = [each for each in strands if each.run == run.run and each.is_open]
    if len(going_on) > 3 or (run.strands and len(going_on) > run.strands):
        raise Violation(f"{changed.key} has {len(going_on)} slices at a time")
    if going_on and run.state in {RunState.DONE, RunState.PARTIAL}:
        raise Violation(f"{changed.key} is {run.state} while {len(going_on)} slices go on")
    if run.strands and run.is_open and len(going_on) != run.open_strands:
        raise Violation(f"{changed.key} counts {run.open_strands} strands and has {len(going_on)}")


async def nothing_is_left(simulation: Simulation) -> None:
    """No plan, no page, no message."""
    for row in simulation.tables["streams"].rows.values():
        if row.key.startswith("page|"):
            raise Violation(f"left behind: {row.key}")
    for delivery in await simulation.outside.deliveries.all():
        if any(progress.plan or progress.ahead for progress in delivery.outputs.values()):
            raise Violation(f"left behind: {delivery.outputs}")


async def every_message_ends(simulation: Simulation) -> None:
    """As done, parked, sent on or dropped, and with a reason where it was dropped."""
    broker = simulation.broker
    ended = broker.ended["completed"] + broker.ended["lost"]
    if broker.accepted != ended + len(broker.messages):
        raise Violation(
            f"{broker.accepted} messages were accepted, {ended} have ended, {len(broker.messages)} are left"
        )
    timers = {("schedule", "scheduled"), ("reconcile", "reconciled"), ("compact", "compacted")}
    for function, what in simulation.outcomes:
        if what not in ENDINGS and (function, what) not in timers:
            raise Violation(f"{function} says {what}")


async def calls_are_bounded(simulation: Simulation) -> None:
    """A page is fetched once, and once more for each bad answer and for each fault, repetition or lost lock."""
    pages = sum(commit.count for commit in commits_of(simulation.tables["streams"]))
    work, ended = simulation.workload, simulation.broker.ended
    faults = sum(work.processes * SLOTS if strike.what == "kill_all" else SLOTS for strike in simulation.weather.struck)
    again = ended["repeated"] + ended["lock lost"] + ended["dead-lettered"]
    disturbed = sum(count for (_, what), count in simulation.outcomes.items() if what in {"overtaken", "parked"})
    turn = settings_of(work.settings).pages_per_message * work.heavy
    lost = (faults + again + disturbed) * turn  # it is lost as a whole
    most = pages + simulation.api.bad + lost + len(simulation.api.leaks)
    if len(simulation.api.calls) > most:
        raise Violation(f"{len(simulation.api.calls)} calls for {pages} pages, {simulation.api.bad} bad answers")


async def nobody_is_passed_over(simulation: Simulation) -> None:
    """While a user's wake-up waits, no other user of the same priority gets further than its turn."""
    most = MOST_AHEAD * len(simulation.workload.streams)
    committed: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for commit in commits_of(simulation.tables["streams"]):
        committed[commit.before.key.pipeline, commit.before.key.user].append(commit.at)
    if max(map(len, committed.values()), default=0) <= most:
        return
    for wait in simulation.broker.waits:
        wake_up = WakeUp.decode(wait.outgoing.body)
        since, until = ((moment - START).total_seconds() for moment in (wait.since, wait.until))
        for (pipeline, user), moments in committed.items():
            ahead = sum(since < moment < until for moment in moments)
            if wake_up.kind == "mine" and (pipeline, user) != (wake_up.pipeline, wake_up.user) and ahead > most:
                raise Violation(f"{user} got {ahead} pages while {wake_up.user} waited")


async def a_stop_stops(simulation: Simulation) -> None:
    """With admission at 0, nothing is fetched once every instance has had time to see it."""
    stalled = any(strike.what in {"stall", "late"} for strike in simulation.weather.struck)
    if stalled:  # what was admitted before the stop may sleep through it
        return
    for since, until in simulation.stops:
        seen = since + FRESH + 3
        if any(seen < moment < until for moment, _ in simulation.api.calls):
            raise Violation(f"fetched while admission was 0, from {since:.1f} to {until:.1f}")


async def no_secret_leaves(simulation: Simulation) -> None:
    """Tokens stand nowhere but, encrypted, in the tables for them, and go to the source alone."""
    if leaks := simulation.api.leaks + simulation.token_endpoint.leaks:
        raise Violation(f"the credential of {leaks[0]} went to another host")
    changes = chain.from_iterable(table.changes for table in simulation.tables.values())
    values = chain.from_iterable(change.after.values.values() for change in changes)
    written = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    objects = (simulation.output, simulation.second, simulation.pages)
    written += [*simulation.broker.bodies, *chain.from_iterable(each.written.values() for each in objects)]
    written += [line.encode() for line in simulation.said]
    everything = b"\n".join(written)
    for tokens in (*simulation.tokens.values(), simulation.token_server.every):
        for token in map(str.encode, tokens):
            if token in everything or base64.b64encode(token) in everything:
                raise Violation(f"the token {token.decode()} leaked")


INVARIANTS: tuple[Invariant, ...] = (
    every_record_shown_is_in_one_page,
    the_output_is_the_committed_pages,
    every_version_is_there_once,
    sessions_are_those_of_the_data,
    all_runs_end,
    the_hopeless_are_parked,
    sequences_are_gap_free,
    slices_keep_their_limit,
    nothing_is_left,
    every_message_ends,
    calls_are_bounded,
    nobody_is_passed_over,
    a_stop_stops,
    no_secret_leaves,
    *BUDGET_INVARIANTS,
    *CHAIN_INVARIANTS,
    *TOKEN_INVARIANTS,
    *TURN_INVARIANTS,
)


def start_of(commit: Commit, simulation: Simulation) -> str:
    """Where the committed page starts, in the source's own terms (see source.py)."""
    if not depth_of(commit.before.key.stream):
        return _start_of(commit.before.cursor, commit.before.key.stream)
    parents = ",".join(map(str, parents_of(commit.before, simulation.tables["streams"])))
    return f"{parents}@{commit.before.cursor or ''}"


def _start_of(cursor: str | None, kind: str) -> str:
    if cursor is None:
        return {"page_number": "1", "offset": "0"}.get(kind, "")
    if kind in {"json_link", "header_link"}:
        return parse_qs(urlsplit(cursor).query)["after"][0]
    if kind == "next_query":
        return str(json.loads(cursor)["after"])
    return cursor


def lines_of(simulation: Simulation, key: StreamKey, page: CommittedPage | None) -> list[bytes]:
    """The output lines of a committed page."""
    if page is None:
        return []
    lines = page.lines
    if page.blob:
        lines = simulation.pages.written[page.blob]
    return decompressed(lines).splitlines()


def outputs_in(simulation: Simulation) -> dict[str, dict[str, bytes]]:
    """The lines of every object that counts, by output and name."""
    found = {"the output": by_log(simulation.output.objects)}
    if simulation.workload.second:
        plain = {name: gzip.decompress(data) for name, data in simulation.second.objects.items()}
        found["the second output"] = plain
    return found


def _shown(line: bytes) -> Shown:
    record = json.loads(line)
    return record["id"], record["version"]
