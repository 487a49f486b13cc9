"""Which file is read, and what is told of one that cannot be."""

import pytest

from arno.gateway.config.load import MAX_FILE, Option, find, load
from arno.gateway.config.problems import ConfigError
from tests.gateway.config.building import configured, problems


def test_the_option_goes_before_the_variable_and_that_before_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(None, {}) is None
    (tmp_path / "arno.toml").touch()
    assert str(find(None, {})) == "arno.toml"
    assert str(find(None, {"ARNO_CONFIG": "other.toml"})) == "other.toml"
    assert str(find(None, {"ARNO_CONFIG": ""})) == "arno.toml"
    assert str(find("named.toml", {"ARNO_CONFIG": "other.toml"})) == "named.toml"


BROKEN = {
    "no value": ("a = 1\nb =\n", "arno.toml:2: this is no TOML: Invalid value"),
    "an open string": ('a = 1\n\nb = "x', "arno.toml:3: this is no TOML: Unterminated string"),
    "an open array at the end": ("a = 1\nb = [\n\n\n", "arno.toml:2: this is no TOML"),
    "a key twice": ("[server]\nport = 1\nport = 2", "arno.toml:3: this is no TOML: Cannot overwr"),
    "a table twice": ("[tls]\n[server]\n[tls]", "arno.toml:3: this is no TOML: Cannot declare"),
    "too deep": ("a = " + "[" * 5000 + "]" * 5000, "arno.toml: is nested too deep"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_toml_is_told_with_its_line(case, tmp_path):
    text, expected = BROKEN[case]
    [line] = problems(tmp_path, text)
    assert line.startswith(expected)


def test_what_is_no_utf8_is_told_with_its_line(tmp_path):
    path = tmp_path / "arno.toml"
    path.write_bytes(b"# one\n# two\n# \xff\n")
    with pytest.raises(ConfigError, match=r"arno\.toml:3: expected UTF-8 text"):
        load(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_a_file_without_end_is_not_read(tmp_path):
    path = tmp_path / "arno.toml"
    with path.open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(ConfigError, match="is larger than"):
        load(path)


def test_the_command_line_goes_over_the_file(tmp_path):
    options = [(("server", "port"), "--port", 8), (("replay", "scale"), "--scale", 0.5)]
    config = configured(tmp_path, "[server]\nport = 7\ngrace = 3", options=options)
    assert (config.settings.port, config.settings.grace_s, config.scale) == (8, 3, 0.5)
    origin = config.source.origin
    assert origin(("server", "port")) == "option --port"
    assert origin(("server", "grace")).endswith("arno.toml:3")
    assert origin(("server", "cors")) == "default"


def test_a_wrong_option_is_told_by_its_name(tmp_path):
    [line] = problems(tmp_path, "", options=[(("server", "port"), "--port", 70000)])
    assert line.startswith("option --port: server.port: expected a port")


def test_paths_of_the_file_start_from_its_folder_and_those_of_options_from_here(tmp_path):
    text = '[server]\ndata = "data"'
    assert configured(tmp_path, text).data == tmp_path / "data"
    option = (("server", "data"), "--data", "elsewhere")
    assert str(configured(tmp_path, text, options=[option]).data) == "elsewhere"


def test_options_need_no_file():
    loaded = load(None, (Option(("server", "port"), "--port", 8),))
    assert loaded.document.server.port == 8
    assert loaded.problems.found == []
