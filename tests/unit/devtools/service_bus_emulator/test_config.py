"""The configuration file: Microsoft's format is read, and whatever is wrong is named in one line."""

import json

import pytest

from devtools.service_bus_emulator import config
from devtools.service_bus_emulator.errors import StartError
from devtools.service_bus_emulator.properties import QueueProperties

MICROSOFTS_SAMPLE = """
{
  "UserConfig": {
    "Namespaces": [
      {
        "Name": "sbemulatorns",
        "Queues": [
          {
            "Name": "Queue.1",
            "Properties": {
              "DeadLetteringOnMessageExpiration": false,
              "DefaultMessageTimeToLive": "PT1H",
              "DuplicateDetectionHistoryTimeWindow": "PT20S",
              "ForwardDeadLetteredMessagesTo": "",
              "ForwardTo": "",
              "LockDuration": "PT1M",
              "MaxDeliveryCount": 3,
              "RequiresDuplicateDetection": false,
              "RequiresSession": false
            }
          }
        ],
        "Topics": []
      }
    ],
    "Logging": {"Type": "File"}
  }
}
"""


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "queues.json"
        path.write_text(text if isinstance(text, str) else json.dumps(text))
        return config.read(path)

    return read_text


def document(*queues, **namespace):
    return {"UserConfig": {"Namespaces": [{"Queues": list(queues), **namespace}]}}


def test_the_format_of_microsofts_emulator_is_read(read):
    expected = QueueProperties(60_000, 3, 20_000, False, 3_600_000, False, False)

    assert read(MICROSOFTS_SAMPLE) == {"queue.1": expected}


def test_what_is_left_out_is_azures_default(read):
    assert read(document({"Name": "orders"})) == {"orders": QueueProperties()}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ([], "the document: found [], allowed: an object with UserConfig"),
        ({}, 'the document: found "no key UserConfig", allowed: UserConfig'),
        ({"UserConfig": {"Namespaces": {}}}, "UserConfig.Namespaces: found {}, allowed: a list"),
        (document(Topics=[{"Name": "t"}]), 'UserConfig.Namespaces[0].Topics: found "1 topic(s)", allowed: none'),
        (document({"Name": "a b"}), 'UserConfig.Namespaces[0].Queues[0].Name: found "a b", allowed: 1 to 260'),
        (document({"Name": "a"}, {"Name": "A"}), 'Queues[1].Name: found "A", allowed: every name once'),
        (document({"Name": "a", "Size": 1}), 'Queues[0]: found "key Size", allowed: Name, Properties'),
        (document({"Name": "a", "Properties": {"LockTime": 1}}), 'Properties: found "key LockTime", allowed: Dead'),
        (
            document({"Name": "a", "Properties": {"LockDuration": "PT10M"}}),
            'Queues[0].Properties.LockDuration: found "PT10M", allowed: an ISO 8601 duration longer than PT0S',
        ),
        ('{"UserConfig": ', "line 1, column 16: not JSON"),
    ],
)
def test_a_mistake_is_named_with_file_path_found_and_allowed(read, broken, message):
    with pytest.raises(StartError) as caught:
        read(broken)

    assert "queues.json: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(StartError, match=r"missing\.json: cannot be read: No such file"):
        config.read(tmp_path / "missing.json")
