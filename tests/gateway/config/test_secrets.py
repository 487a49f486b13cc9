"""Keys come from the environment or a file, never from the configuration, and are never shown."""

import os

import pytest

from arno.gateway.config.report import as_document, as_text, report
from arno.wire import json
from tests.gateway.config.building import CLIENT, UPSTREAM, configured, problems

CLIENT_KEY = '[[key]]\nname = "me"\n'
PROVIDER = '[provider.lab]\nbase_url = "http://127.0.0.1:9/v1"\n'


def write(path, text, mode=0o600):
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def test_a_client_key_of_a_variable_is_known_by_its_name(tmp_path):
    config = configured(tmp_path, f'{CLIENT_KEY}key_env = "MINE"', {"MINE": CLIENT})
    assert config.keys.key_id(CLIENT.encode()) == "me"
    assert config.keys.key_id(b"another-key-0123456789") is None
    [key] = config.client_keys
    assert key.origin.endswith("arno.toml:1, environment MINE")


def test_a_client_key_of_a_file_beside_the_configuration(tmp_path):
    write(tmp_path / "me.key", f"{CLIENT}\n")
    config = configured(tmp_path, f'{CLIENT_KEY}key_file = "me.key"')
    assert config.keys.key_id(CLIENT.encode()) == "me"
    assert config.warnings == ()


def test_keys_of_the_environment_count_as_well(tmp_path):
    other = "second-key-0123456789"
    environ = {"MINE": CLIENT, "ARNO_KEYS": f"ci:{other}"}
    config = configured(tmp_path, f'{CLIENT_KEY}key_env = "MINE"', environ)
    assert config.keys.key_id(CLIENT.encode()) == "me"
    assert config.keys.key_id(other.encode()) == "ci"
    assert [key.origin for key in config.client_keys][1] == "environment ARNO_KEYS"


def test_a_key_file_of_the_command_line_takes_their_place(tmp_path):
    path = write(tmp_path / "keys", f"file:{CLIENT}\n")
    environ = {"ARNO_KEYS": "ci:second-key-0123456789"}
    config = configured(tmp_path, "", environ, key_file=path)
    assert [key.name for key in config.client_keys] == ["file"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_may_read_is_warned_of(mode, tmp_path):
    write(tmp_path / "lab.key", UPSTREAM, mode)
    config = configured(tmp_path, f'{PROVIDER}key_file = "lab.key"')
    [warning] = config.warnings
    assert "arno.toml:3: the key file" in warning
    assert "chmod 600" in warning
    assert config.upstream_key("lab") == UPSTREAM


MISSING = {
    "a client key's variable": (
        f'{CLIENT_KEY}key_env = "MINE"',
        "arno.toml:3: key.key_env: the environment variable MINE is not set",
    ),
    "a provider's variable": (
        f'{PROVIDER}key_env = "MINE"',
        "arno.toml:3: provider.lab.key_env: the environment variable MINE is not set",
    ),
    "a file": (
        f'{PROVIDER}key_file = "none"',
        "arno.toml:3: provider.lab.key_file: the file cannot be read: No such file or directory",
    ),
    "a folder": (
        f'{PROVIDER}key_file = "."',
        "arno.toml:3: provider.lab.key_file: the file cannot be read: ",
    ),
    "an empty file": (
        f'{PROVIDER}key_file = "empty"',
        "arno.toml:3: provider.lab.key_file: the file is empty",
    ),
    "a file of two lines": (
        f'{PROVIDER}key_file = "two"',
        "arno.toml:3: provider.lab.key_file: expected one key of printable ASCII in it",
    ),
    "a file that is no text": (
        f'{PROVIDER}key_file = "bytes"',
        "arno.toml:3: provider.lab.key_file: the file cannot be read: no UTF-8 text",
    ),
    "both": (
        f'{PROVIDER}key_env = "MINE"\nkey_file = "two"',
        "arno.toml:4: provider.lab.key_file: expected one of key_env and key_file, not both",
    ),
    "neither": (CLIENT_KEY, "arno.toml:1: key: expected key_env or key_file"),
    "the key of a shipped provider": (
        "[provider.groq]\nconnections = 3",
        "arno.toml:1: provider.groq: no key: set GROQ_API_KEY, or say key_env, key_file or "
        "enabled = false",
    ),
    "a client key that is too short": (
        f'{CLIENT_KEY}key_file = "short"',
        "arno.toml:1: key: file ",
    ),
    "a client key twice": (
        f'{CLIENT_KEY}key_file = "good"\n[[key]]\nname = "you"\nkey_file = "good"',
        "arno.toml:4: key: this is the same key as ",
    ),
    "a client key's name twice": (
        f'{CLIENT_KEY}key_file = "good"\n{CLIENT_KEY}key_file = "better"',
        "arno.toml:5: key.name: the name 'me' is taken by ",
    ),
}


@pytest.mark.parametrize("case", MISSING)
def test_a_secret_that_is_not_there_is_told(case, tmp_path):
    text, expected = MISSING[case]
    for name in ("good", "better"):
        write(tmp_path / name, f"{name}-{CLIENT}")
    write(tmp_path / "empty", "\n")
    write(tmp_path / "two", f"{UPSTREAM}\n{UPSTREAM}\n")
    write(tmp_path / "short", "abc")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    [line] = problems(tmp_path, text)
    assert line.startswith(expected)
    assert UPSTREAM not in line
    assert CLIENT not in line


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    [line] = problems(tmp_path, f'{PROVIDER}key_file = "pipe"')
    assert "cannot be read" in line


def test_wrong_keys_of_the_environment_are_told_with_the_rest(tmp_path):
    found = problems(tmp_path, "[server]\nport = -1", {"ARNO_KEYS": "short"})
    assert len(found) == 2
    assert found[0].startswith("ARNO_KEYS, entry 1: a key has 16 to 512 characters")


def test_no_secret_is_in_a_report_or_repr(tmp_path):
    """R34: canaries for every way a key comes in."""
    write(tmp_path / "lab.key", "canary-of-the-file-0123456789")
    text = f"""
[[key]]
name = "me"
key_env = "MINE"
{PROVIDER}
key_file = "lab.key"
[provider.groq]
key_env = "MY_GROQ"
"""
    environ = {
        "MINE": "canary-of-a-client-0123456789",
        "MY_GROQ": "canary-of-a-provider-0123456789",
        "OPENAI_API_KEY": "canary-of-a-row-0123456789",
        "ARNO_KEYS": "ci:canary-of-the-ring-0123456789",
        "HTTPS_PROXY": "http://canary-user:canary-pass@proxy.example:3128",
    }
    config = configured(tmp_path, text, environ)
    found = report(config, tmp_path, "default")
    shown = [as_text(found), json.dumps(as_document(found)).decode(), repr(config)]
    for words in shown:
        assert "canary" not in words
    for name in ("MINE", "MY_GROQ", "OPENAI_API_KEY", "ARNO_KEYS", "lab.key", "proxy.example:3128"):
        assert name in shown[0]
    assert config.upstream_key("lab") == "canary-of-the-file-0123456789"
    assert config.upstream_key("groq") == environ["MY_GROQ"]
    assert config.upstream_key("openai") == environ["OPENAI_API_KEY"]
