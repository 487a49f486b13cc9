"""`arno check` as a process: what would be served and who says so, or all that is wrong."""

import json

import pytest

from tests.cli.commands import arno

KEY = "client-key-0123456789"
CONFIG = """\
[server]
port = 8080
data = "data"

[[key]]
name = "me"
key_env = "MY_KEY"

[provider.lab]
base_url = "http://127.0.0.1:9/v1"
connections = 4

[model."team/writer"]
candidates = [
  "lab/writer-7b",
  "groq/writer",
]

[model."team/reader"]
weights = { "lab/reader" = 3, "groq/reader" = 1 }
deadlines.first = 5

[alias]
fast = "team/reader"

[[price]]
provider = "lab"
model = "team/writer"
input = "0.10"
output = "0.40"

[deadlines]
idle = inf
"""
ENVIRON = {"MY_KEY": KEY, "GROQ_API_KEY": "canary-groq", "NO_COLOR": "1"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "arno.toml").write_text(CONFIG)
    return tmp_path


def rows(folder, *arguments, **variables):
    """{section: {(name, value): origin}} of the JSON report."""
    done = arno("check", "--json", *arguments, cwd=folder, **{**ENVIRON, **variables})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    sections = {name: value for name, value in found.items() if name not in ("configuration",)}
    return {
        name: {(row["name"], row["value"]): row["origin"] for row in section}
        for name, section in sections.items()
        if name != "warnings"
    }


def test_every_value_is_shown_with_its_origin(folder):
    found = rows(folder)
    assert found["server"]["port", 8080] == "arno.toml:2"
    assert found["server"]["data", "data"] == "arno.toml:3"
    assert found["server"]["host", "127.0.0.1"] == "default"
    assert found["client_keys"] == {("me", "accepted"): "arno.toml:5, environment MY_KEY"}
    assert found["providers"] == {
        ("groq", "https://api.groq.com/openai/v1"): "shipped row",
        ("groq", "key: environment GROQ_API_KEY"): "environment GROQ_API_KEY",
        ("groq-responses", "groq in the dialect responses"): "shipped row",
        ("lab", "http://127.0.0.1:9/v1"): "arno.toml:10",
        ("lab", "without a key"): "arno.toml:9",
    }
    assert found["providers_that_are_off"]["openai", "set OPENAI_API_KEY"] == "shipped row"
    assert found["models"] == {
        ("arno/harbour-1", "replay/arno/harbour-1"): "built in",
        ("team/writer", "lab/writer-7b"): "arno.toml:15",
        ("team/writer", "groq/writer"): "arno.toml:16",
        ("team/reader", "lab/reader, weight 3"): "arno.toml:20",
        ("team/reader", "groq/reader, weight 1"): "arno.toml:20",
    }
    assert found["other_models"] == {
        ("groq/ID", "by groq"): "shipped row",
        ("lab/ID", "by lab"): "arno.toml:9",
    }
    assert found["aliases"] == {("fast", "team/reader"): "arno.toml:24"}
    prices = found["prices"]
    assert prices["team/writer", "lab: input 0.10, output 0.40"] == "arno.toml:26"
    assert prices["team/writer", "groq: unpriced"] == "no price row"
    assert "shipped row" in prices.values()
    assert found["deadlines"]["idle", None] == "arno.toml:33"
    assert found["deadlines"]["first", 60] == "default"
    assert found["deadlines"]["team/reader: first", 5] == "arno.toml:21"
    assert found["limits"]["lab: connections", 4] == "arno.toml:11"
    assert found["network"]["proxy for https", "none"] == "environment"
    assert found["replay"]["cassette", "built in"] == "default"


def test_proxies_are_named_without_their_passwords(folder):
    found = rows(folder, HTTPS_PROXY="http://user:canary@proxy.example:3128")
    assert found["network"]["proxy for https", "proxy.example:3128"] == "environment"


def test_the_same_for_people_and_without_any_key(folder):
    done = arno("check", cwd=folder, **ENVIRON)
    assert done.returncode == 0
    assert done.stdout.startswith("configuration: arno.toml\n")
    for word in ("arno.toml:16", "environment GROQ_API_KEY", "default", "shipped row", "no limit"):
        assert word in done.stdout
    assert KEY not in done.stdout
    assert "canary" not in done.stdout


def test_without_a_configuration_it_says_what_serve_does_by_default(tmp_path):
    done = arno("check", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("configuration: none\n")
    assert "arno/harbour-1  replay/arno/harbour-1  built in" in done.stdout


def test_the_configuration_is_found_by_option_variable_and_folder(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "some.toml").write_text("[server]\nport = 1\n")
    named = rows(folder, "--config", "other/some.toml")
    assert named["server"]["port", 1] == "other/some.toml:2"
    by_variable = rows(folder, ARNO_CONFIG="other/some.toml")
    assert by_variable["server"]["port", 1] == "other/some.toml:2"
    assert rows(folder)["server"]["port", 8080] == "arno.toml:2"


def test_all_problems_go_to_stderr_with_exit_code_2(folder):
    wrong = CONFIG.replace("port = 8080", "prot = 8080").replace('"lab/reader"', '"lbb/reader"')
    (folder / "arno.toml").write_text(wrong)
    done = arno("check", cwd=folder, GROQ_API_KEY="k")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "arno: the configuration cannot be used:",
        "arno.toml:2: server.prot: unknown key; did you mean 'port'?",
        "arno.toml:7: key.key_env: the environment variable MY_KEY is not set",
        'arno.toml:20: model."team/reader".weights."lbb/reader": there is no provider \'lbb\'; '
        "did you mean 'lab'?",
    ]


def test_serve_refuses_the_same_with_the_same_words(folder):
    (folder / "arno.toml").write_text(CONFIG)
    told = [arno(verb, cwd=folder, GROQ_API_KEY="k") for verb in ("check", "serve")]
    assert [done.returncode for done in told] == [2, 2]
    assert told[0].stderr == told[1].stderr
    assert "MY_KEY" in told[0].stderr


def test_a_key_file_that_others_may_read_is_a_warning(folder):
    (folder / "lab.key").write_text("lab-key")
    (folder / "lab.key").chmod(0o644)
    (folder / "arno.toml").write_text(
        CONFIG.replace("connections = 4", 'key_file = "lab.key"'),
    )
    done = arno("check", cwd=folder, **ENVIRON)
    assert done.returncode == 0
    assert done.stderr.startswith("arno: warning: arno.toml:11: the key file lab.key can be read")
    assert "key: file lab.key" in done.stdout
