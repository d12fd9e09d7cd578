"""App settings of a local run."""

import json
from pathlib import Path

import pytest

from devtools.local_host.errors import HostError
from devtools.local_host.settings import AppSettings, Connection, UnresolvedSettingError, load_settings


def folder_with(folder: Path, content: object) -> Path:
    (folder / "local.settings.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_the_environment_wins_over_the_file(tmp_path: Path):
    folder = folder_with(tmp_path, {"Values": {"A": "file", "B": "file"}, "Host": {"LocalHttpPort": 7099}})
    settings = load_settings(folder, {"A": "environment"})
    assert (settings.get("A"), settings.get("B"), settings.http_port) == ("environment", "file", 7099)


def test_without_a_file_the_environment_is_all(tmp_path: Path):
    assert load_settings(tmp_path, {"A": "1"}).values == {"A": "1"}


def test_names_ignore_letter_case_and_spell_the_colon_as_two_underscores():
    settings = AppSettings({"Outer__Inner": "x"})
    assert settings.get("outer:inner") == settings.get("OUTER__INNER") == "x"


def test_references_are_resolved_and_a_missing_one_is_named():
    settings = AppSettings({"QUEUE": "mine", "EMPTY": ""})
    assert settings.resolve("%QUEUE%/$deadletterqueue") == "mine/$deadletterqueue"
    for missing in ("NO_SUCH", "EMPTY"):
        with pytest.raises(UnresolvedSettingError, match=missing):
            settings.resolve(f"%{missing}%")


def test_a_connection_is_a_string_or_an_identity():
    by_identity = {"BUS__fullyQualifiedNamespace": "n.servicebus.windows.net"}
    assert AppSettings({"BUS": "Endpoint=x"}).connection("BUS") == Connection("BUS", "Endpoint=x")
    assert AppSettings({"AzureWebJobsBUS": "Endpoint=x"}).connection("BUS") == Connection(
        "AzureWebJobsBUS", "Endpoint=x"
    )
    assert AppSettings(by_identity).connection("BUS") == Connection(*by_identity, None, "n.servicebus.windows.net")
    assert AppSettings({}).connection("BUS") is None


def test_a_setting_in_parts_is_there_too():
    settings = AppSettings({"AzureWebJobsStorage__accountName": "n", "EMPTY": ""})
    assert settings.has("AzureWebJobsStorage")
    assert not settings.has("EMPTY")


@pytest.mark.parametrize(
    ("name", "value", "disabled"),
    [
        ("AzureWebJobs.mine.Disabled", "true", True),
        ("AzureWebJobs_mine_Disabled", "1", True),
        ("AzureWebJobs.mine.Disabled", "false", False),
        ("AzureWebJobs.other.Disabled", "true", False),
    ],
)
def test_a_setting_disables_a_function(name: str, value: str, disabled: bool):
    assert AppSettings({name: value}).disables("mine") is disabled


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ([], "expected an object"),
        ({"Values": {"A": 1}}, "Values.A must be a text in quotes"),
        ({"IsEncrypted": True, "Values": {}}, "IsEncrypted"),
    ],
)
def test_a_broken_file_is_told_without_its_values(tmp_path: Path, content: object, says: str):
    with pytest.raises(HostError, match=says):
        load_settings(folder_with(tmp_path, content), {})
