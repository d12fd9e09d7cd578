"""The command line: what is wrong is one line and status 2, and --help teaches."""

import json
import re
from pathlib import Path

import pytest

import devtools.service_bus_emulator
from devtools.service_bus_emulator import config
from devtools.service_bus_emulator.__main__ import main
from devtools.service_bus_emulator.properties import NAMES

README = (Path(devtools.service_bus_emulator.__file__).parent / "README.md").read_text()


@pytest.fixture
def queues(tmp_path):
    path = tmp_path / "queues.json"
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Queues": [{"Name": "orders"}]}]}}))
    return path


def test_help_shows_an_example_that_can_be_pasted(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])

    assert caught.value.code == 0
    assert "python -m devtools.service_bus_emulator --config queues.json" in capsys.readouterr().out


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_only_loopback_addresses_are_bound(queues, capsys, host):
    assert main(["--config", str(queues), "--host", host]) == 2

    assert capsys.readouterr().err.startswith(f"service bus emulator: --host: found {host!r}, allowed: a loopback")


def test_a_missing_configuration_is_one_line(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "none.json")]) == 2

    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "none.json: cannot be read" in error


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(queues, capsys, port):
    with pytest.raises(SystemExit) as caught:
        main(["--config", str(queues), "--port", port])

    assert caught.value.code == 2
    assert "allowed: 0 to 65535" in capsys.readouterr().err


def test_a_port_file_that_cannot_be_written_is_one_line(queues, tmp_path, capsys):
    missing = tmp_path / "no" / "port"

    assert main(["--config", str(queues), "--port", "0", "--port-file", str(missing)]) == 2

    assert "the port file cannot be written" in capsys.readouterr().err


def test_the_readme_names_every_option_and_every_property(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    options = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}

    assert [name for name in sorted(options | NAMES) if f"`{name}" not in README] == []


def test_the_configurations_of_the_readme_and_of_help_are_good(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    for text in (README, capsys.readouterr().out):
        (example,) = re.findall(r"<<'JSON'\n(.*?)\n *JSON", text, re.DOTALL)
        (tmp_path / "queues.json").write_text(example)
        assert list(config.read(tmp_path / "queues.json")) == ["orders"]
