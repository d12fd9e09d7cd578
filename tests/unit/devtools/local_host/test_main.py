"""The command line."""

import pytest

from devtools.local_host.main import main


def test_help_teaches_with_an_example(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert "host start --port 0 --ready-file" in shown


@pytest.mark.parametrize("arguments", [[], ["stop"], ["host"], ["host", "start", "--port", "x"]])
def test_anything_but_start_is_refused(arguments: list[str]):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    file = tmp_path / "missing" / "ready.json"
    assert main(["start", "--script-root", str(tmp_path), "--ready-file", str(file)]) == 2
    assert f"error: {file}: its folder is not there" in capsys.readouterr().err


def test_an_impossible_port_is_refused(tmp_path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    assert main(["start", "--port", "70000", "--script-root", str(tmp_path)]) == 2
    assert "error: port 70000, allowed: 0 to 65535" in capsys.readouterr().err
