"""Runs of a range: what the options ask for, and where the scheduler finds it."""

import pytest

from devtools.cli.backfill import extent_of, request
from shared.checkpoint import Extent
from shared.errors import BadInput
from shared.pipeline.loader import load_text
from shared.pipeline.spec import Stream
from tests.fakes.scripted_source import answer
from tests.fakes.world import World

PIPELINE = """
pipeline: social
source:
  base_url: https://api.example.com/v1
  auth: {{ type: bearer, token: "{{credentials.token}}" }}
streams:
  - name: posts
    path: /me/posts
    records: data
    {options}
    paginator: {{ type: single_page }}
"""
SINCE = "incremental: { cursor_path: at, start_param: since, end_param: until }"


def stream(options: str = SINCE) -> Stream:
    return load_text(PIPELINE.format(options=options), "social.yaml").streams[0]


def test_marks_are_read_in_the_format_of_the_stream():
    extent = extent_of(stream(), "2026-01-01", "2026-02-01T12:00:00+01:00", full=False)
    assert extent == Extent("2026-01-01T00:00:00.000000Z", "2026-02-01T11:00:00.000000Z")
    numbered = stream("incremental: { cursor_path: at, format: number, start_param: since }")
    assert extent_of(numbered, "17", "", full=False) == Extent("17")


def test_everything_anew_needs_no_range():
    assert extent_of(stream("emit: all"), "", "", full=True) == Extent(full=True)


@pytest.mark.parametrize(
    ("options", "since", "until", "full", "said"),
    [
        (SINCE, "", "", False, "--from: found nothing, allowed: --from, --to or both, or --full"),
        (SINCE, "2026-01-01", "", True, "--full: found it with --from or --to, allowed: one or the other"),
        (SINCE, "yesterday", "", False, "--from: found 'yesterday', allowed: a mark of format iso"),
        ("emit: all", "2026-01-01", "", False, "--from: found a range for posts, allowed: a stream with incremental"),
        (SINCE.replace(", end_param: until", ""), "", "2026-01-01", False, "--to: found it for posts, allowed: with"),
    ],
)
def test_what_can_not_be_asked_for_is_said(options: str, since: str, until: str, full: bool, said: str):
    with pytest.raises(BadInput) as refused:
        extent_of(stream(options), since, until, full=full)
    assert str(refused.value).startswith(said)


async def test_the_scheduler_starts_what_was_asked_for():
    world = World(lambda call: answer({"data": []}), PIPELINE.format(options=SINCE))
    await world.add_user()
    await world.schedule()
    await world.run()
    world.later(hours=1)
    pipeline = world.services.pipelines["social"]
    extent = extent_of(pipeline.streams[0], "2026-01-01", "2026-02-01", full=False)
    await request(pipeline, pipeline.streams[0], extent, world.services)
    await world.schedule()
    await world.run()
    last = world.source.calls[-1]
    assert (last.query("since"), last.query("until")) == ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")
