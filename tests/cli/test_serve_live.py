"""`arno serve` before live providers: a file, the environment, and a real upstream behind it."""

import json
import socket
import subprocess
import urllib.request
from contextlib import contextmanager

import pytest

from arno.cassette.govcr import load
from arno.cassette.recordings import built_in_cassette
from tests.cli.commands import arno, server
from tests.cli.test_serve import models_of, post
from tests.gateway.upstream import Upstream

CLIENT = "client-key-0123456789"
SECRET = "upstream-secret-key"
PATH = "/api/v1/chat/completions"


def answering(name="Hello"):
    """A script that answers whole requests."""

    def script(peer):
        asked = json.loads(peer.body)
        answer = {
            "id": "up-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": name},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010},
        }
        peer.answer(200, json.dumps(answer).encode(), "Content-Type: application/json")

    return script


def failing(peer):
    """A script that answers with a failure."""
    body = b'{"error": {"message": "overloaded"}}'
    peer.answer(503, body, "Content-Type: application/json")


@contextmanager
def gateway(folder, text, *arguments, **variables):
    """A gateway by this configuration: (process, url)."""
    path = folder / "arno.toml"
    path.write_text(text)
    named = ("--config", path, "--data", folder / "data", "--port", 0, *arguments)
    with server("serve", *named, **variables) as (process, url):
        yield process, url


def ask(url, model, **headers):
    """A whole answer: (status, headers, document)."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
    status, fields, answer = post(url + PATH, body.encode(), **headers)
    return status, fields, json.loads(answer)


def generation(url, fields):
    """The gateway's record of an answer."""
    with urllib.request.urlopen(f"{url}/v1/generation?id={fields['x-generation-id']}") as answer:
        return json.load(answer)["data"]


def test_any_model_of_a_provider_of_ones_own(tmp_path):
    with Upstream(answering()) as upstream:
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\nkey_env = "LAB_KEY"\n'
        with gateway(tmp_path, text, LAB_KEY=SECRET) as (_, url):
            status, fields, document = ask(url, "lab/some/model")
        [request] = upstream.requests
    assert (status, document["choices"][0]["message"]["content"]) == (200, "Hello")
    assert (document["model"], fields["x-provider-name"]) == ("lab/some/model", "lab")
    assert json.loads(request.body)["model"] == "some/model"
    assert request.headers["authorization"] == f"bearer {SECRET}"
    assert request.target == "/v1/chat/completions"


def test_a_provider_that_takes_no_unlisted_models(tmp_path):
    with Upstream(answering()) as upstream:
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\nunlisted_models = false\n'
        text += '[model.mine]\ncandidates = ["lab/x"]\n'
        with gateway(tmp_path, text) as (_, url):
            assert ask(url, "lab/x")[0] == 400
            assert ask(url, "mine")[0] == 200
        assert len(upstream.requests) == 1


def test_candidates_are_tried_in_order_and_prices_are_the_files(tmp_path):
    with Upstream(failing) as bad, Upstream(answering()) as good:
        text = f"""
[provider.first]
base_url = "{bad.url}"
[provider.second]
base_url = "{good.url}"
[model."team/writer"]
candidates = ["first/a", "second/b"]
[alias]
fast = "team/writer"
[[price]]
provider = "second"
model = "team/writer"
input = "2"
output = "5"
"""
        with gateway(tmp_path, text) as (_, url):
            status, fields, document = ask(url, "fast")
            record = generation(url, fields)
        assert [len(bad.requests), len(good.requests)] == [1, 1]
    assert (status, fields["x-provider-name"]) == (200, "second")
    assert document["model"] == "fast"
    assert record["total_cost"] == pytest.approx(0.00205)
    assert record["cost_basis"] == "priced"


def test_an_address_in_the_environment_is_enough(tmp_path):
    with Upstream(answering()) as upstream:
        arguments = ("--config", "/dev/null", "--data", tmp_path)
        with server("serve", *arguments, VLLM_BASE_URL=upstream.url) as (_, url):
            assert ask(url, "vllm/qwen")[0] == 200
        assert json.loads(upstream.requests[0].body)["model"] == "qwen"


def test_recordings_are_served_beside_and_never_go_elsewhere(tmp_path):
    asked = load(built_in_cassette()).interactions[0].request.body
    with Upstream(answering()) as upstream:
        text = f"""
[provider.lab]
base_url = "{upstream.url}"
contract = true
[model.mine]
candidates = ["lab/x"]
[replay]
scale = 0
"""
        with gateway(tmp_path, text) as (_, url):
            assert models_of(url) == ["arno/harbour-1", "mine"] or models_of(url) == [
                "mine",
                "arno/harbour-1",
            ]
            assert post(url + PATH, asked)[0] == 200
            assert ask(url, "arno/harbour-1")[0] == 424
            assert upstream.requests == []
            assert ask(url, "mine")[0] == 200
        assert len(upstream.requests) == 1


def test_client_keys_of_the_file(tmp_path):
    (tmp_path / "me.key").write_text(CLIENT)
    (tmp_path / "me.key").chmod(0o600)
    with Upstream(answering()) as upstream:
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\n[[key]]\nname = "me"\n'
        with gateway(tmp_path, text + 'key_file = "me.key"\n') as (_, url):
            assert ask(url, "lab/x")[0] == 401
            assert ask(url, "lab/x", authorization=f"Bearer {CLIENT}")[0] == 200
        [request] = upstream.requests
    assert CLIENT not in request.head.decode()


def test_a_client_names_no_address_and_no_key_of_an_upstream(tmp_path):
    """R35: neither its body nor its headers lead anywhere else."""
    with Upstream(answering()) as upstream, socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.setblocking(False)
        there = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/v1"
        text = f'[provider.lab]\nbase_url = "{upstream.url}"\nkey_env = "LAB_KEY"\n'
        with gateway(tmp_path, text, LAB_KEY=SECRET) as (_, url):
            for model in (there, f"lab/{there}", f"lab@{there}/x"):
                ask(url, model, **{"x-base-url": there, "x-forwarded-host": there})
            body = {"model": "lab/x", "messages": [], "base_url": there, "api_base": there}
            headers = {"x-api-key": "mine", "openai-organization": "o"}
            post(url + PATH, json.dumps(body).encode(), **headers)
        with pytest.raises(BlockingIOError):
            elsewhere.accept()
        for request in upstream.requests:
            assert request.headers["authorization"] == f"bearer {SECRET}"
            assert request.target == "/v1/chat/completions"
            assert "x-base-url" not in request.headers


def test_the_operator_is_told_what_is_served(tmp_path):
    text = '[provider.lab]\nbase_url = "http://127.0.0.1:9/v1"\n'
    with gateway(tmp_path, text, stderr=subprocess.PIPE) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        told = process.stderr.readline()
    folder = tmp_path / "data"
    assert told == (
        f"arno: providers: lab; models: 1; ledger: {folder}; "
        f"configuration: {tmp_path / 'arno.toml'}\n"
    )


def test_estimates_come_when_the_gateway_already_serves(tmp_path):
    pytest.importorskip("genai_prices", reason="the package with the estimates is not here")
    with Upstream(answering()) as upstream:
        text = f'[provider.groq]\nbase_url = "{upstream.url}"\nkey_env = "LAB_KEY"\n'
        with gateway(tmp_path, text, LAB_KEY="k", stderr=subprocess.PIPE) as (process, url):
            assert process.stderr.readline().startswith("arno: providers: groq; models: 1;")
            assert "estimates included" in process.stderr.readline()
            listed = [model for model in models_of(url) if model.startswith("groq/")]
            assert listed
            status, fields, _ = ask(url, listed[0])
            assert status == 200
            assert generation(url, fields)["cost_basis"] == "estimated"


def test_no_estimates_are_asked_for_where_the_file_says_so(tmp_path):
    text = '[provider.groq]\nkey_env = "LAB_KEY"\n[estimates]\nenabled = false\n'
    (tmp_path / "arno.toml").write_text(text)
    done = arno("check", cwd=tmp_path, LAB_KEY="k")
    assert done.returncode == 0
    assert "enabled  no" in done.stdout
    assert "models more" not in done.stdout


def test_offline_serves_recordings_alone(tmp_path):
    text = '[provider.lab]\nbase_url = "http://127.0.0.1:9/v1"\n'
    with gateway(tmp_path, text, "--offline", OPENAI_API_KEY="k") as (_, url):
        assert models_of(url) == ["arno/harbour-1"]
        assert ask(url, "lab/x")[0] == 400


def test_the_command_line_goes_before_the_file(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = f"[server]\nport = {taken.getsockname()[1]}\n"
        (tmp_path / "arno.toml").write_text(text)
        done = arno("serve", "--data", "d", cwd=tmp_path)
        assert done.returncode == 2
        with gateway(tmp_path, text) as (_, url):
            assert models_of(url) == ["arno/harbour-1"]
