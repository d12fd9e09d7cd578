"""What a local run reads from host.json."""

import os
from typing import Any

import pytest

from devtools.local_host.errors import HostError
from devtools.local_host.host_json import load_host_options, parse_host_options, parse_time_span


def service_bus(**options: Any) -> dict[str, Any]:
    return {"version": "2.0", "extensions": {"serviceBus": options}}


def test_the_defaults_are_those_of_the_real_host():
    options = parse_host_options({"version": "2.0"})
    assert options.function_timeout == 1800
    assert options.route_prefix == "api"
    assert options.service_bus.prefetch_count == 0
    assert options.service_bus.max_concurrent_calls == 16 * (os.cpu_count() or 1)
    assert options.service_bus.max_auto_lock_renewal == 300
    assert not options.has_extension_bundle


def test_what_is_written_is_followed():
    content = service_bus(prefetchCount=3, maxConcurrentCalls=5, maxAutoLockRenewalDuration="00:01:00")
    content |= {"functionTimeout": "-1", "extensionBundle": {}, "logging": {"logLevel": {"default": "Warning"}}}
    content["extensions"]["http"] = {"routePrefix": ""}
    options = parse_host_options(content)
    assert options.function_timeout is None
    assert (options.route_prefix, options.log_level, options.has_extension_bundle) == ("", "WARNING", True)
    assert options.service_bus.prefetch_count == 3
    assert options.service_bus.max_concurrent_calls == 5
    assert options.service_bus.max_auto_lock_renewal == 60


@pytest.mark.parametrize(("text", "seconds"), [("00:00:01", 1), ("1:02:03", 3723), ("1.00:00:00", 86400)])
def test_time_spans_are_seconds(text: str, seconds: float):
    assert parse_time_span(text, "key") == seconds


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], '"version" must be "2.0"'),
        ({"version": "1.0"}, '"version" must be "2.0"'),
        ({"version": "2.0", "functionTimeout": 30}, "functionTimeout is 30"),
        ({"version": "2.0", "functionTimeout": "00:99:00"}, "functionTimeout is '00:99:00'"),
        (
            service_bus(maxConcurrentCalls=0),
            "extensions.serviceBus.maxConcurrentCalls is 0, allowed: a whole number from 1",
        ),
        (service_bus(prefetchCount=True), "prefetchCount is True"),
        (service_bus(autoCompleteMessages=False), "autoCompleteMessages must be true"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "'Loud', allowed: trace"),
    ],
)
def test_a_mistake_names_key_finding_and_what_is_allowed(content: object, says: str):
    with pytest.raises(HostError) as refused:
        parse_host_options(content)
    assert says in str(refused.value)


def test_a_file_that_is_no_json_is_named(tmp_path):
    (tmp_path / "host.json").write_text("{")
    with pytest.raises(HostError, match="not JSON"):
        load_host_options(tmp_path)
