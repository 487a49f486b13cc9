"""Operations beside the dialects, as the openai package asks them: embeddings pass through, legacy
completions are wrapped for an upstream that only chats.
"""

import base64
import struct

import openai
import pytest

from arno.wire import json
from tests.engine.harness import DONE, HELLO, STOP, answer
from tests.faults.gateways import serving
from tests.sdk.clients import KEY
from tests.transport.upstream import Script, ThreadedUpstream

VECTOR = [0.5, -0.25, 1.0]
ENCODED = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()

CONFIGURED = """
[replay]
cassettes = []
[provider.up]
base_url = "{}/v1"
unlisted_models = true
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """(the upstream, the gateway's URL)"""

    def serve(request):
        if request.path == "/v1/embeddings":
            row = {"object": "embedding", "index": 0, "embedding": ENCODED}
            usage = {"prompt_tokens": 8, "total_tokens": 8}
            return Script.json(
                json.dumps({"object": "list", "data": [row], "model": "e", "usage": usage})
            )
        assert request.path == "/v1/chat/completions", request.path
        if json.loads(request.body).get("stream"):
            return Script.sse(*HELLO, STOP, DONE)
        return Script.json(answer("Hello"))

    folder = tmp_path_factory.mktemp("endpoints")
    with (
        ThreadedUpstream(serve) as upstream,
        serving(folder, CONFIGURED.format(upstream.url)) as (url, _),
    ):
        yield upstream, url


every_prefix = pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])


def client_of(url, prefix):
    return openai.OpenAI(base_url=url + prefix, api_key=KEY, max_retries=0)


@every_prefix
def test_embeddings_pass_through(place, prefix):
    upstream, url = place
    with client_of(url, prefix) as client:
        found = client.embeddings.create(model="up/e", input=["sea"], dimensions=3)
    assert found.data[0].embedding == VECTOR
    assert found.usage.prompt_tokens == 8
    asked = json.loads(upstream.requests[-1].body)
    assert (asked["model"], asked["input"], asked["dimensions"]) == ("e", ["sea"], 3)


@every_prefix
def test_a_completion_of_an_upstream_that_only_chats(place, prefix):
    upstream, url = place
    with client_of(url, prefix) as client:
        found = client.completions.create(model="up/m", prompt="Say hello", max_tokens=9)
    [choice] = found.choices
    assert (choice.text, choice.finish_reason) == ("Hello", "stop")
    assert found.usage.completion_tokens == 5
    asked = json.loads(upstream.requests[-1].body)
    assert asked["messages"] == [{"role": "user", "content": "Say hello"}]
    assert asked.get("max_tokens", asked.get("max_completion_tokens")) == 9


@every_prefix
def test_a_completion_in_a_stream(place, prefix):
    _, url = place
    with client_of(url, prefix) as client:
        chunks = list(client.completions.create(model="up/m", prompt="Say hello", stream=True))
    texts = [choice.text for chunk in chunks for choice in chunk.choices]
    ends = [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert ("".join(texts), ends) == ("Hello", ["stop"])
    assert {chunk.object for chunk in chunks} == {"text_completion"}


@every_prefix
def test_a_completion_of_an_unknown_model(place, prefix):
    _, url = place
    with client_of(url, prefix) as client, pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="no/such", prompt="Say hello")
    assert "not a valid model ID" in caught.value.message
