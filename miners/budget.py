"""The budget of a page: whether its request may be made now, and what becomes known of the source by making it.

    user    this user's own limits, blocks and breaker, where limits say so or others may mine the user meanwhile
    app     those of all users; asked last, because it is the dearer one to book in vain

Who has to wait for longer than a moment comes back for the slot that is booked (NotYet). Slots are claimed in the
checkpoint before they are used: a message that comes twice does not use one twice.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from miners.work import Work
from shared.adapters.budget_table import BudgetName
from shared.errors import HeadframeError, SourceError, StorageError, TemporaryFailure
from shared.pipeline.budgets import Answer, Ask, Lane, lanes_of
from shared.pipeline.responses import Page
from shared.services import Services

SOON = 2.0
"""Seconds; a wait up to this is waited out."""

SPARE = timedelta(seconds=15)
"""A request counts as under way for longer than it may take by this."""

SPREAD = 5.0
"""Seconds over which those come back who wait for the same thing."""

ROUNDS = 12
LATER = timedelta(seconds=1)

Budgets = list[tuple[str, BudgetName, tuple[Lane, ...]]]
"""Whose, the name, and the limits of each."""

LONGEST_REST = 900.0
"""Seconds that a strand waits at most so that its run has no more than the share of one."""


class NotYet(HeadframeError):
    """The page may not be asked for before `until`."""

    def __init__(self, until: datetime):
        super().__init__("no request may be made yet")
        self.until = until


async def claimed(work: Work, services: Services) -> Work:
    """With the slots that were booked for the page, which nobody else can use from now on. Raises Conflict."""
    if not work.checkpoint.slots:
        return work
    work.slots.claimed(services.now().timestamp())
    return replace(work, checkpoint=await services.checkpoints.replace(replace(work.checkpoint, slots="")))


@asynccontextmanager
async def permitted(work: Work, services: Services) -> AsyncIterator[None]:
    """A request may be made inside. Raises NotYet or Conflict instead."""
    budgets = _budgets(work)
    lease = f"{work.checkpoint.run}|{work.checkpoint.slice}|{int(services.random() * 2**32):08x}"
    has_leases = any(lane.span is None for _, _, lanes in budgets for lane in lanes)
    try:
        await _granted(work, budgets, lease, services)
        yield
    except NotYet:
        await _released(budgets, lease, services)
        await _given_back(work, budgets, services, only_begun=True)
        raise
    finally:
        if has_leases:
            await _released(budgets, lease, services)


async def give_back(work: Work, services: Services) -> None:
    """What was booked for further pages, and is not used."""
    if work.slots.lanes:
        await _given_back(work, _budgets(work), services)


async def note_failure(work: Work, error: SourceError, services: Services) -> None:
    """What a failure says to everybody: a wait that is asked for, or that the source does not answer."""
    with suppress(StorageError):  # it is kept in the checkpoint too
        for name in _concerned(work):
            if isinstance(error, TemporaryFailure) and error.retry_after is None:
                await services.budgets.failed(name, services.now())
            else:
                await services.budgets.succeeded(name)
        if error.retry_after is not None:
            await _block(work, error.retry_after, services, of_app=error.of_app)


async def note_success(work: Work, page: Page, services: Services) -> None:
    """That the source answers, and for how long it wants to be left alone."""
    with suppress(StorageError):
        for name in _concerned(work):
            await services.budgets.succeeded(name)
        if page.wait is not None and page.wait_of != "run":
            await _block(work, page.wait, services, of_app=page.wait_of == "app")


async def _block(work: Work, seconds: float, services: Services, *, of_app: bool) -> None:
    until = services.now() + timedelta(seconds=seconds)
    if of_app:
        await services.budgets.block(BudgetName(work.pipeline.app), until)
    elif _is_watched(work):
        await services.budgets.block(BudgetName(work.pipeline.app, work.user.id), until)


def _is_watched(work: Work) -> bool:
    """Whether the user's own budget is looked at: not where only one message at a time could."""
    return work.pipeline.has_company(work.stream) or any(each.per == "user" for each in work.pipeline.source.limits)


def _concerned(work: Work) -> list[BudgetName]:
    app = work.pipeline.app
    return [BudgetName(app, work.user.id), BudgetName(app)] if _is_watched(work) else [BudgetName(app)]


def _budgets(work: Work) -> Budgets:
    source, name = work.pipeline.source, work.stream.name
    return [
        ("user" if each.user is not None else "app", each, lanes_of(source, name, "user" if each.user else "app"))
        for each in _concerned(work)
    ]


async def _granted(work: Work, budgets: Budgets, lease: str, services: Services) -> None:
    """Raises NotYet where that takes longer than a moment."""
    held = work.slots
    until = services.now() + timedelta(seconds=services.settings.request_seconds) + SPARE
    for _ in range(ROUNDS):
        for whose, name, lanes in budgets:
            quantum, ahead = _quantum(work, services), services.budgets.latency
            ask = Ask(lanes, held.of(whose), lease, until.timestamp(), quantum, ahead)
            answer = await services.budgets.ask(name, ask, services.now())
            held.take(whose, answer)
            if answer.at is not None:
                break
        else:
            now = services.now().timestamp()
            if (rest := held.latest_start(now) - now) > 0:
                await services.sleep(rest)
            if held.use(services.now().timestamp()):
                return
            continue
        await _waited(work, whose, answer, services)
    raise NotYet(services.now() + LATER * (0.5 + services.random()))


async def _waited(work: Work, whose: str, answer: Answer, services: Services) -> None:
    """Until a slot begins, if that is a matter of a moment. Raises NotYet."""
    held, now = work.slots, services.now().timestamp()
    wait = max(0.0, (answer.at or now) - now)
    if wait <= max(SOON, held.lead + 0.5):
        await services.sleep(max(0.0, wait - services.budgets.latency))
        return
    if answer.slots and whose == "app" and work.ledger is not None:
        held.rest = min(LONGEST_REST, wait * max(0.0, work.ledger.open_strands / work.turn(services.settings) - 1))
    early = held.lead if held.begins_at(now + wait) else -services.random() * min(wait, SPREAD)
    raise NotYet(datetime.fromtimestamp(now + wait - early, UTC))


def _quantum(work: Work, services: Services) -> int:
    """How many slots are booked by who has to wait: those of a turn. A strand mines one page, however long its turn."""
    return 1 if work.stream.at_once > 1 else work.turn(services.settings)


async def _given_back(work: Work, budgets: Budgets, services: Services, *, only_begun: bool = False) -> None:
    with suppress(StorageError):  # they are lost
        for whose, name, lanes in budgets:
            if slots := work.slots.handed_back(whose, services.now().timestamp(), only_begun=only_begun):
                await services.budgets.give_back(name, slots, lanes)


async def _released(budgets: Budgets, lease: str, services: Services) -> None:
    with suppress(StorageError):  # it ends by itself
        for _, name, _ in budgets:
            await services.budgets.release(name, lease)
