"""Settings are read once; a wrong one is named, with what was found and what is allowed."""

import pytest

from shared.errors import InvalidSettings
from shared.settings import Settings

LEAST = {"SERVICE_BUS": "Endpoint=sb://canary-bus/", "STORAGE": "AccountKey=canary-storage"}


def test_two_connections_are_all_that_must_be_set():
    settings = Settings.read(LEAST)
    assert settings.queue_mine == "mine"
    assert settings.output == "blob://output"
    assert settings.delivery_records == 1000


def test_identity_takes_the_place_of_connection_strings():
    settings = Settings.read(
        {
            "SERVICE_BUS__fullyQualifiedNamespace": "name.servicebus.windows.net",
            "STORAGE__tableServiceUri": "https://name.table.core.windows.net",
            "STORAGE__blobServiceUri": "https://name.blob.core.windows.net",
        }
    )
    assert settings.service_bus is None
    assert settings.service_bus_namespace == "name.servicebus.windows.net"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"STORAGE": ""}, "setting STORAGE: found nothing, allowed: a connection string"),
        ({"SERVICE_BUS": ""}, "setting SERVICE_BUS: found nothing, allowed: a connection string"),
        ({"OUTPUT": "s3://bucket"}, "setting OUTPUT: found 's3://bucket', allowed: blob://CONTAINER or file:///FOLDER"),
        ({"OUTPUT": "file://relative"}, "setting OUTPUT: found 'file://relative', allowed: "),
        ({"OUTPUT": "blob://UPPER"}, "setting OUTPUT: found 'blob://UPPER', allowed: "),
        ({"QUEUE_MINE": "no queue!"}, "setting QUEUE_MINE: found 'no queue!', allowed: a Service Bus queue name"),
        ({"DELIVERY_RECORDS": "many"}, "setting DELIVERY_RECORDS: found 'many', allowed: a valid integer"),
        ({"DELIVERY_RECORDS": "0"}, "setting DELIVERY_RECORDS: found '0', allowed: greater than or equal to 1"),
        ({"REQUEST_SECONDS": "-1"}, "setting REQUEST_SECONDS: found '-1', allowed: greater than 0"),
        ({"SCHEDULES": "never"}, "setting SCHEDULES: found 'never', allowed: 'cron' or 'requested'"),
    ],
)
def test_a_wrong_setting_is_one_line(values: dict[str, str], line: str):
    with pytest.raises(InvalidSettings) as refusal:
        Settings.read({**LEAST, **values})
    assert str(refusal.value).startswith(line)
    assert "\n" not in str(refusal.value)


def test_every_mistake_is_named_at_once():
    with pytest.raises(InvalidSettings) as refusal:
        Settings.read({**LEAST, "DELIVERY_BYTES": "x", "CLIENT_LIMIT": "y"})
    assert "DELIVERY_BYTES" in str(refusal.value)
    assert "CLIENT_LIMIT" in str(refusal.value)


def test_no_secret_is_shown():
    """Neither in an error nor in what a debugger or a log prints of the settings."""
    with pytest.raises(InvalidSettings) as refusal:
        Settings.read({**LEAST, "CREDENTIAL_KEYS": "canary-key", "OUTPUT": "nowhere", "DELIVERY_BYTES": "x"})
    settings = Settings.read({**LEAST, "CREDENTIAL_KEYS": "canary-key"})
    assert "canary" not in str(refusal.value) + repr(settings) + str(settings)


def test_settings_of_other_things_are_left_alone():
    """The environment is full of them."""
    assert Settings.read({**LEAST, "PATH": "/bin", "AzureWebJobsStorage": "x"}) == Settings.read(LEAST)


def test_an_empty_value_is_the_default():
    """Azure shows a setting that was cleared as an empty text."""
    assert Settings.read({**LEAST, "DELIVERY_RECORDS": ""}).delivery_records == 1000


def test_every_setting_has_a_name_of_its_own_and_says_what_it_is_for():
    """But the schedules, whose names are made from those of pipelines."""
    fields = Settings.model_fields
    assert all(field.description for field in fields.values())
    assert [name for name, field in fields.items() if not field.alias] == ["schedule_overrides"]
    assert len({field.alias for field in fields.values()}) == len(fields)
