"""A setting takes the place of a schedule in a pipeline file."""

import pytest

from shared.errors import InvalidSettings
from shared.pipeline.loader import load_text
from shared.pipeline.schedules import rescheduled
from shared.pipeline.spec import Pipeline
from shared.services import open_services
from shared.settings import Settings

HOURLY, DAILY, WEEKLY, YEARLY = "0 0 * * * *", "0 0 3 * * *", "0 0 3 * * 1", "0 0 3 1 1 *"


def pipeline(name: str, *streams: str) -> Pipeline:
    text = f"pipeline: {name}\nsource: {{ base_url: http://a, auth: {{ type: none }} }}\nstreams:\n"
    for stream in streams:
        text += f"  - {{ name: {stream}, paginator: {{ type: single_page }} }}\n"
    return load_text(text, "pipeline.yaml")


def schedules(name: str, overrides: dict[str, str], *streams: str) -> dict[str, str]:
    changed = rescheduled({name: pipeline(name, *streams)}, overrides)[name]
    return {stream.name: changed.schedule_of(stream) for stream in changed.streams}


def test_a_setting_for_a_pipeline_is_that_of_all_its_streams():
    assert schedules("shop", {"SCHEDULE_SHOP": DAILY}, "orders", "items") == {"orders": DAILY, "items": DAILY}


def test_a_setting_for_a_stream_counts_more():
    overrides = {"SCHEDULE_SHOP": DAILY, "SCHEDULE_SHOP_ORDERS": WEEKLY}
    assert schedules("shop", overrides, "orders", "items") == {"orders": WEEKLY, "items": DAILY}


def test_a_stream_that_has_a_schedule_of_its_own_keeps_it():
    stream = pipeline("shop", "orders").streams[0].model_copy(update={"schedule": YEARLY})
    before = pipeline("shop", "orders").model_copy(update={"streams": (stream,)})
    after = rescheduled({"shop": before}, {"SCHEDULE_SHOP": DAILY})["shop"]
    assert after.schedule_of(after.streams[0]) == YEARLY


def test_a_dash_is_written_as_an_underscore():
    assert schedules("my-shop", {"SCHEDULE_MY_SHOP_ALL_ORDERS": DAILY}, "all-orders") == {"all-orders": DAILY}


def test_settings_of_other_things_are_left_alone():
    assert schedules("shop", {"SCHEDULE_OTHER": "whenever"}, "orders") == {"orders": HOURLY}


def test_every_wrong_setting_is_named_with_what_is_allowed():
    with pytest.raises(InvalidSettings) as refusal:
        schedules("shop", {"SCHEDULE_SHOP": "hourly", "SCHEDULE_SHOP_ORDERS": "* * * * *"}, "orders")
    assert str(refusal.value).startswith("setting SCHEDULE_SHOP: found 'hourly', allowed: an NCRONTAB of six fields")
    assert "; setting SCHEDULE_SHOP_ORDERS: found '* * * * *', allowed: " in str(refusal.value)


def test_a_setting_that_may_mean_two_schedules_is_refused():
    pipelines = {"a": pipeline("a", "b-c"), "a-b": pipeline("a-b", "c")}
    with pytest.raises(InvalidSettings, match="SCHEDULE_A_B_C: found a/b-c and a-b/c, which share this name"):
        rescheduled(pipelines, {"SCHEDULE_A_B_C": DAILY})
    assert rescheduled(pipelines, {}) == pipelines


def test_the_scheduler_s_own_timer_is_no_schedule_of_a_pipeline():
    settings = Settings.read({"SERVICE_BUS": "b", "STORAGE": "s", "SCHEDULE_CRON": DAILY, "SCHEDULE_SHOP": WEEKLY})
    assert settings.schedule_overrides == {"SCHEDULE_SHOP": WEEKLY}


async def test_a_wrong_one_stops_the_app_at_its_start():
    settings = Settings.read({"SERVICE_BUS": "bus", "STORAGE": "storage", "SCHEDULE_SHOP": "hourly"})
    with pytest.raises(InvalidSettings, match="SCHEDULE_SHOP"):
        await open_services(settings, {"shop": pipeline("shop", "orders")})
