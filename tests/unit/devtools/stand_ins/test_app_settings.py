import json
import re
import stat
from pathlib import Path

import pytest

from devtools.places import QUEUES_FILE, ROOT
from devtools.stand_ins import app_settings, azurite, service_bus
from shared.errors import BadInput
from shared.settings import Settings

FIXED = app_settings.for_local_file(azurite.FIXED_PORTS, service_bus.FIXED_PORTS)


def test_the_app_accepts_the_settings():
    settings = Settings.read(FIXED)
    assert settings.storage == azurite.connection_string(azurite.FIXED_PORTS)
    assert settings.service_bus == service_bus.connection_string(service_bus.FIXED_PORTS)


def test_the_sample_file_has_the_connections_of_the_fixed_ports():
    """Whoever copies it can run `func start` against `make start`'s stand-ins."""
    sample = app_settings.read_local_settings(ROOT / "local.settings.sample.json")
    assert FIXED.items() <= sample.items()


def test_the_sample_file_has_every_setting_that_a_trigger_names():
    """A host resolves `%NAME%` from settings only: without it the function does not start."""
    blueprints = [file.read_text() for file in ROOT.glob("*/blueprint.py")]
    named = {name for text in blueprints for name in re.findall(r"%([A-Z_]+)%", text)}
    assert named
    assert named <= app_settings.read_local_settings(ROOT / "local.settings.sample.json").keys()


def test_the_defaults_are_all_settings_of_the_app():
    """They are set in the environment of a run, so that a setting of the surroundings can't slip in."""
    settings = app_settings.defaults()
    assert settings["QUEUE_MINE"] == "mine"
    assert settings["SERVICE_BUS__fullyQualifiedNamespace"] == ""
    assert Settings.read(settings | FIXED) == Settings.read(FIXED)


def test_the_queues_of_the_broker_are_those_of_the_settings():
    (namespace,) = json.loads(QUEUES_FILE.read_text())["UserConfig"]["Namespaces"]
    queues = {queue["Name"] for queue in namespace["Queues"]}
    settings = Settings.read(FIXED)
    assert queues == {
        settings.queue_mine_high,
        settings.queue_mine,
        settings.queue_mine_low,
        settings.queue_deliver,
    }


def test_written_settings_keep_what_a_person_wrote(tmp_path: Path):
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"Values": {"STORAGE": "mine", "OTHER": "x"}}))
    app_settings.write_local_settings(file, FIXED)
    values = app_settings.read_local_settings(file)
    assert values["STORAGE"] == "mine"
    assert values["OTHER"] == "x"
    assert values["SERVICE_BUS"] == FIXED["SERVICE_BUS"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"Values": []}', "{}"])
def test_a_settings_file_that_is_none_is_refused(tmp_path: Path, text: str):
    file = tmp_path / "local.settings.json"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"local\.settings\.json: found no settings, allowed: JSON such as"):
        app_settings.read_local_settings(file)


def test_no_proxy_stands_between_the_app_and_the_stand_ins(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.setenv("AZURITE_ACCOUNTS", "other:key")
    environ = app_settings.environment({"A": "b"})
    assert environ["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert environ["A"] == "b"
    assert "AZURITE_ACCOUNTS" not in environ
