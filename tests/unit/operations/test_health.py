"""Whether an instance can work, for whoever asks over HTTP."""

from operations.health import health
from tests.fakes.scripted_source import pages_of
from tests.fakes.world import World


async def test_it_is_well_when_storage_answers():
    world = World(pages_of([]))
    await world.services.admission.set(40)
    outcome = await health(world.services)
    assert (outcome.what, outcome.facts) == ("ok", {"pipelines": ["social"], "admission": 40})


async def test_it_says_so_when_storage_is_away():
    world = World(pages_of([]))
    world.control.away = True
    outcome = await health(world.services)
    assert (outcome.what, outcome.facts) == ("unavailable", {"storage": "table storage: away"})


async def test_it_tells_nothing_of_users_and_settings():
    world = World(pages_of([]), settings={"STORAGE": "AccountKey=canary", "CREDENTIAL_KEYS": "canary"})
    await world.add_user("canary", "canary-token")
    assert "canary" not in str((await health(world.services)).facts)
