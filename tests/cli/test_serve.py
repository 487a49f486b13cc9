"""`arno serve` and `arno replay` as processes: first line, drain, refusals, bytes (case 0)."""

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from arno.cassette.govcr import load
from arno.cassette.recordings import BUILT_IN, built_in_cassette
from tests.cli.commands import arno, server
from tests.shared import SHARED

CASSETTES = [pytest.param(BUILT_IN, id="shipped")]
if SHARED is not None:
    CASSETTES.append(pytest.param(str(SHARED / "seed/tool_streaming.yaml"), id="seed"))


def recorded(name, folder):
    """The cassette's path and its interactions."""
    path = Path(name)
    if name == BUILT_IN:
        path = folder / BUILT_IN
        path.write_bytes(built_in_cassette())
    return path, load(path.read_bytes()).interactions


def post(url, body, **headers):
    """POST JSON; (status, headers, body) whatever the status."""
    request = urllib.request.Request(
        url, data=body, headers={"content-type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def models_of(url):
    """The ids of the models that are listed."""
    with urllib.request.urlopen(f"{url}/v1/models", timeout=30) as answer:
        return [model["id"] for model in json.load(answer)["data"]]


@pytest.mark.parametrize("name", CASSETTES)
@pytest.mark.parametrize("verb", ["serve", "replay"])
def test_both_bodies_are_byte_identical(verb, name, tmp_path):
    path, interactions = recorded(name, tmp_path)
    what = ("--cassette", path, "--data", tmp_path / "data") if verb == "serve" else (path,)
    with server(verb, *what, "--scale", "0") as (_, url):
        for interaction in interactions:
            status, headers, body = post(f"{url}/api/v1/chat/completions", interaction.request.body)
            assert status == 200
            assert body == interaction.response.body
            assert headers["content-type"] == "text/event-stream"


def test_the_built_in_models_are_served_by_default(tmp_path):
    with server("serve", "--data", tmp_path) as (_, url):
        assert models_of(url) == ["arno/harbour-1"]


def test_a_cassettes_models_replace_the_built_in_ones(tmp_path):
    path, _ = recorded(BUILT_IN, tmp_path)
    path.write_bytes(path.read_bytes().replace(b"arno/harbour-1", b"other/model-no1"))
    with server("serve", "--cassette", path, "--data", tmp_path / "d") as (_, url):
        assert models_of(url) == ["other/model-no1"]


@pytest.mark.parametrize("verb", ["serve", "replay"])
def test_an_unmatched_request_names_the_nearest_recorded_one(verb, tmp_path):
    path, interactions = recorded(BUILT_IN, tmp_path)
    what = ("--cassette", path, "--data", tmp_path / "data") if verb == "serve" else (path,)
    asked = interactions[0].request.body.replace(b"Port Amber", b"Port Umber")
    with server(verb, *what, "--scale", "0") as (_, url):
        status, _, body = post(f"{url}/api/v1/chat/completions", asked)
    assert status == 424
    message = json.loads(body)["error"]["message"]
    assert "harbour.yaml" in message or "#0" in message
    assert "/messages/1/content" in message


def test_the_ledger_outlives_the_process(tmp_path):
    _, interactions = recorded(BUILT_IN, tmp_path)
    with server("serve", "--scale", "0", "--data", tmp_path) as (process, url):
        _, headers, _ = post(f"{url}/v1/chat/completions", interactions[0].request.body)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with server("serve", "--data", tmp_path) as (_, url):
        query = f"{url}/v1/generation?id={headers['x-generation-id']}"
        with urllib.request.urlopen(query, timeout=30) as answer:
            assert json.load(answer)["data"]["cost_reported"] == "0.0001136"


@pytest.mark.slow
def test_replay_lets_a_stream_end_when_it_is_told_to_stop(tmp_path):
    """The stream lasts longer than what a server without a grace period would give it (5 s)."""
    path, interactions = recorded(BUILT_IN, tmp_path)
    asked = interactions[1].request.body
    with server("replay", path, "--scale", "4") as (process, url):
        request = urllib.request.Request(f"{url}/api/v1/chat/completions", data=asked)
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = answer.read1(65536)
            process.send_signal(signal.SIGTERM)
            refused, _, text = post_until_refused(f"{url}/api/v1/chat/completions", b"{}")
            body += answer.read()
        assert process.wait(20) == 0
    assert (refused, json.loads(text)["error"]["metadata"]["reason"]) == (503, "shutting_down")
    assert body == interactions[1].response.body
    assert body.endswith(b"data: [DONE]\n\n")


def post_until_refused(url, body):
    """The answer of a server that has begun to drain; it does at the first turn of its loop."""
    for _ in range(1000):
        answer = post(url, body)
        if answer[0] == 503:
            return answer
    raise AssertionError("the server does not drain")


def test_replay_logs_no_prompt(tmp_path):
    path, _ = recorded(BUILT_IN, tmp_path)
    asked = b'{"model": "arno/harbour-1", "messages": [{"content": "canary-prompt"}]}'
    with server("replay", path, "--scale", "0", stderr=subprocess.PIPE) as (process, url):
        status, _, body = post(f"{url}/api/v1/chat/completions", asked)
        process.send_signal(signal.SIGTERM)
        log = process.stderr.read()
    assert (status, b"canary-prompt" in body) == (424, True)
    assert re.search(r"nearest #0 of \S*harbour\.yaml: .*/messages/0/content", log)
    assert "canary-prompt" not in log
    assert "Port Amber" not in log


REFUSED = {
    "off loopback without keys": (("serve", "--host", "0.0.0.0"), {}, "without client keys"),
    "a short key": (("serve",), {"ARNO_KEYS": "short"}, "16"),
    "no such cassette": (("serve", "--cassette", "none.yaml"), {}, "none.yaml"),
    "recordings off loopback": (("replay", BUILT_IN, "--host", "0.0.0.0"), {}, "--public"),
    "no such recording": (("replay", "none.yaml"), {}, "none.yaml"),
    "a scale below 0": (("serve", "--scale", "-1"), {}, "0 or more"),
    "an empty data folder": (("serve", "--data", ""), {}, "empty path"),
    "no home": (("serve",), {"ARNO_DATA": "", "HOME": ""}, "no HOME"),
    "a data folder that is a file": (("serve", "--data", "/dev/null"), {}, "/dev/null"),
    "cors without keys": (("serve", "--cors"), {}, "keys"),
    "no command": ((), {}, "COMMAND"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_run_is_refused_with_a_reason(case, tmp_path):
    arguments, variables, reason = REFUSED[case]
    recorded(BUILT_IN, tmp_path)
    variables = {"ARNO_DATA": str(tmp_path / "data"), **variables}
    done = arno(*arguments, cwd=tmp_path, **variables)
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_is_a_clear_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = arno("serve", "--port", port, "--data", tmp_path)
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr


def test_recordings_are_served_off_loopback_to_whoever_says_public(tmp_path):
    path, interactions = recorded(BUILT_IN, tmp_path)
    arguments = ("replay", path, "--scale", "0", "--host", "0.0.0.0", "--public")
    with server(*arguments) as (_, url):
        url = url.replace("0.0.0.0", "127.0.0.1") + "/api/v1/chat/completions"
        fields = {"host": "replay.internal", "origin": "https://page.example"}
        assert post(url, interactions[0].request.body, **fields)[0] == 200


def test_off_loopback_with_keys_a_key_is_needed(tmp_path):
    key = "test-key-0123456789"
    arguments = ("serve", "--host", "0.0.0.0", "--data", tmp_path, "--scale", "0")
    _, interactions = recorded(BUILT_IN, tmp_path)
    body = interactions[0].request.body
    with server(*arguments, ARNO_KEYS=f"me:{key}") as (_, url):
        url = url.replace("0.0.0.0", "127.0.0.1") + "/v1/chat/completions"
        assert post(url, body)[0] == 401
        assert post(url, body, authorization="Bearer wrong-key-0123456789")[0] == 401
        assert post(url, body, authorization=f"Bearer {key}")[0] == 200
        assert post(url, body, **{"x-api-key": key})[0] == 200
