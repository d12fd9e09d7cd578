"""Whose users a `headframe mine` mines for."""

from pathlib import Path

from devtools.cli.mine import Job, _settle_users
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
