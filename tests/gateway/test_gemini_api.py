"""The Gemini endpoints: model and stream in the path, events or one JSON array by the query."""

import pytest

from arno.wire import json
from tests.gateway.harness import get, post
from tests.gateway.test_live import WHOLE, chunks_of, delta
from tests.gateway.upstream import STREAM, Upstream, live

ASK = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
PREFIXES = ("/v1beta", "/api/v1beta", "/v1", "/api/v1")


def streamed(peer):
    peer.send(STREAM)
    for piece in (
        delta("Hel"),
        b": waiting\n",
        delta("lo"),
        delta("", "stop"),
        b"data: [DONE]\n\n",
    ):
        peer.chunk(piece)
    peer.end()


def cut(peer):
    peer.send(STREAM)
    peer.chunk(delta("Hel"))
    peer.end()


def whole(peer):
    peer.answer(200, WHOLE, "Content-Type: application/json")


def text_of(documents):
    return "".join(
        part["text"]
        for document in documents
        for candidate in document.get("candidates", ())
        for part in candidate.get("content", {}).get("parts", ())
    )


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_whole_answer_at_every_prefix(prefix):
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, ASK, path=f"{prefix}/models/a/b:generateContent")
    assert reply.status == 200
    assert text_of([reply.document]) == "Hello"
    assert reply.document["candidates"][0]["finishReason"] == "STOP"
    assert json.loads(upstream.requests[0].body)["model"] == "b-upstream"


@pytest.mark.parametrize(
    "path", ["models/a/b", "models/a%2Fb", "models/models/a/b", "a/b", "a%2Fb"]
)
def test_a_model_with_slashes_is_named_in_any_way(path):
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, ASK, path=f"/v1beta/{path}:generateContent")
    assert (reply.status, len(upstream.requests)) == (200, 1)


def test_events_where_the_query_asks_for_them():
    with Upstream(streamed) as upstream, live(upstream) as url:
        reply = post(url, ASK, path="/v1beta/models/a/b:streamGenerateContent?alt=sse")
    assert reply.headers["content-type"] == "text/event-stream"
    assert text_of(chunks_of(reply.body.replace(b"\r\n", b"\n"))) == "Hello"
    assert json.loads(upstream.requests[0].body)["stream"] is True


def test_one_array_where_it_does_not():
    with Upstream(streamed) as upstream, live(upstream) as url:
        reply = post(url, ASK, path="/v1beta/models/a/b:streamGenerateContent")
    documents = json.loads(reply.body)
    assert reply.headers["content-type"] == "application/json"
    assert text_of(documents) == "Hello"
    assert documents[-1]["candidates"][0]["finishReason"] == "STOP"


@pytest.mark.parametrize("query", ["", "?alt=sse"])
def test_a_cut_stream_ends_in_an_error(query):
    with Upstream(cut) as upstream, live(upstream) as url:
        reply = post(url, ASK, path=f"/v1beta/models/a/b:streamGenerateContent{query}")
    events = reply.body.replace(b"\r\n", b"\n")
    documents = chunks_of(events) if query else json.loads(reply.body)
    assert text_of(documents[:1]) == "Hel"
    assert documents[-1]["error"]["code"] == 502
    assert all("finishReason" not in str(document) for document in documents)


def test_a_refusal_before_the_stream_is_a_plain_error():
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, ASK, path="/v1beta/models/no/such:streamGenerateContent")
    assert (reply.status, reply.document["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_tokens_are_counted_or_estimated():
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, ASK, path="/v1beta/models/a/b:countTokens")
    assert reply.document == {"totalTokens": 5, "estimated": True}
    assert reply.headers["x-arno-estimated"] == "input_tokens"
    assert upstream.requests == []


def test_models_are_listed_as_this_dialect_does():
    with Upstream(whole) as upstream, live(upstream) as url:
        [model] = get(url, "/v1beta/models").document["models"]
    assert (model["name"], model["displayName"]) == ("models/a/b", "B")
    assert "inputTokenLimit" not in model


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/v1beta/models/a/b:embedContent", lambda document: document["error"]["status"]),
        ("/v1/messages/batches", lambda document: document["error"]["type"]),
        ("/v1/responses/a/b/c", lambda document: document["error"]["type"]),
        ("/v1/nothing", lambda document: document["error"]["metadata"]["error_type"]),
    ],
)
def test_nothing_at_a_path_is_said_in_the_callers_dialect(path, where):
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, ASK, path=path)
    assert reply.status == 404
    assert where(reply.document)
