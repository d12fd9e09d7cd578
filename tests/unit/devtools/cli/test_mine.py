"""Whose users a `headframe mine` mines for, and how often it looks how far they are."""

from pathlib import Path

import pytest

from devtools.cli.mine import Job, _settle_users, rest_after
from devtools.cli.users_file import read_users
from tests.fakes.oauth_world import with_users, world_of


async def test_who_is_not_in_the_file_any_more_is_forgotten_with_all_tokens(tmp_path: Path):
    world = await with_users(world_of(), "ann", "bob")
    await world.run()
    assert {row.values["user"] for row in world.tokens.rows.values()} == {"ann", "bob"}
    file = tmp_path / "users.jsonl"
    file.write_text('{"user": "ann", "credentials": {"refresh": "seed-of-ann"}}\n')
    await _settle_users(Job(tmp_path, {}, read_users(file), tmp_path), world.services)
    assert [user.id async for user in world.services.users.all()] == ["ann"]
    assert {row.values["user"] for row in world.tokens.rows.values()} == {"ann"}


@pytest.mark.parametrize(("looked", "seconds"), [(0.001, 0.5), (0.2, 2.0), (90.0, 5.0)])
def test_however_long_a_look_takes_the_next_one_is_not_far(looked: float, seconds: float):
    assert rest_after(looked) == seconds
