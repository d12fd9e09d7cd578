"""Triggers of the mining layer: decode, call, return."""

import azure.functions as func

from miners.miner import mine as mine_page
from miners.reconciler import reconcile as reconcile_runs
from miners.scheduler import schedule as schedule_runs
from processors.blueprint import letter_of, queue_trigger
from processors.dedupe import SeenCache
from shared.log import invocation
from shared.services import services

blueprint = func.Blueprint()

cache = SeenCache()
"""The instance's memory of dedupe indexes; see processors/dedupe.py for why it can't be wrong."""


@blueprint.timer_trigger(arg_name="timer", schedule="%SCHEDULE_CRON%", run_on_startup=False)
async def schedule(timer: func.TimerRequest) -> None:
    async with invocation("schedule") as log:
        log.outcome = await schedule_runs(await services())


@blueprint.timer_trigger(arg_name="timer", schedule="%RECONCILE_CRON%", run_on_startup=False)
async def reconcile(timer: func.TimerRequest) -> None:
    async with invocation("reconcile") as log:
        log.outcome = await reconcile_runs(await services())


@queue_trigger(blueprint, "%QUEUE_MINE_HIGH%")
async def mine_high(message: func.ServiceBusMessage) -> None:
    await _mine(message, "queue_mine_high")


@queue_trigger(blueprint, "%QUEUE_MINE%")
async def mine(message: func.ServiceBusMessage) -> None:
    await _mine(message, "queue_mine")


@queue_trigger(blueprint, "%QUEUE_MINE_LOW%")
async def mine_low(message: func.ServiceBusMessage) -> None:
    await _mine(message, "queue_mine_low")


async def _mine(message: func.ServiceBusMessage, queue: str) -> None:
    async with invocation("mine") as log:
        ready = await services()
        log.outcome = await mine_page(letter_of(message, getattr(ready.settings, queue)), ready, cache)
