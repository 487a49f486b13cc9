"""Legacy completions: a prompt wrapped as one message, the answer's text unwrapped."""

import pytest

from arno.wire import json
from tests.gateway.harness import post
from tests.gateway.test_live import WHOLE, chunks_of, delta
from tests.gateway.upstream import STREAM, Upstream, live

PATH = "/v1/completions"
ASK = {"model": "a/b", "prompt": "Once upon", "max_tokens": 5, "stop": ["\n"], "temperature": 0.5}


def whole(peer):
    peer.answer(200, WHOLE, "Content-Type: application/json")


def streamed(peer):
    peer.send(STREAM)
    for piece in (delta(" a"), delta(" time"), delta("", "length"), b"data: [DONE]\n\n"):
        peer.chunk(piece)
    peer.end()


def test_a_prompt_is_one_user_message_and_the_answer_is_its_text():
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, ASK, path=PATH)
    [peer] = upstream.requests
    sent = json.loads(peer.body)
    assert peer.target == "/v1/chat/completions"
    assert sent["messages"] == [{"role": "user", "content": "Once upon"}]
    assert (sent["max_tokens"], sent["stop"], float(sent["temperature"])) == (5, ["\n"], 0.5)
    assert "prompt" not in sent
    assert reply.document["object"] == "text_completion"
    [choice] = reply.document["choices"]
    assert (choice["text"], choice["finish_reason"], choice["index"]) == ("Hello", "stop", 0)
    assert "message" not in choice
    assert reply.document["usage"]["prompt_tokens"] == 3
    assert reply.document["model"] == "a/b"


def test_a_stream_of_chunks_is_a_stream_of_texts():
    with Upstream(streamed) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "stream": True}, path=PATH)
    documents = chunks_of(reply.body)
    choices = [choice for document in documents for choice in document["choices"]]
    assert {document["object"] for document in documents} == {"text_completion"}
    assert "".join(choice["text"] for choice in choices) == " a time"
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["length"]
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_cut_stream_is_no_success():
    def cut(peer):
        peer.send(STREAM)
        peer.chunk(delta(" a"))
        peer.end()

    with Upstream(cut) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "stream": True}, path=PATH)
    documents = chunks_of(reply.body)
    assert documents[0]["choices"][0]["text"] == " a"
    assert documents[-1]["error"]["code"] == 502
    assert documents[-1]["choices"][0]["finish_reason"] == "error"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"suffix": "the end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"model": ""}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_what_a_wrapped_prompt_cannot_say_is_refused_by_name(changed, field):
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, **changed}, path=PATH)
    assert reply.status == 400
    assert field in reply.document["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize("neutral", [{"echo": False}, {"best_of": 1}, {"prompt": ["Once upon"]}])
def test_members_that_ask_for_nothing_are_no_reason_to_refuse(neutral):
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, **neutral}, path=PATH)
    assert (reply.status, len(upstream.requests)) == (200, 1)
    assert "x-arno-loss" not in reply.headers


def test_members_that_are_unknown_are_dropped_and_told():
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "logprobs": 3, "foo_bar": 1}, path=PATH)
    [peer] = upstream.requests
    assert not {"logprobs", "foo_bar"} & json.loads(peer.body).keys()
    assert reply.headers["x-arno-loss"] == "logprobs=dropped, foo_bar=dropped"
    paths = [loss["path"] for loss in reply.document["usage"]["losses"]]
    assert paths == ["logprobs", "foo_bar"]


def test_a_strict_request_is_refused_instead():
    with Upstream(whole) as upstream, live(upstream) as url:
        reply = post(url, {**ASK, "foo_bar": 1}, {"X-Arno-Strict": "true"}, path=PATH)
    assert (reply.status, upstream.requests) == (400, [])
    assert "foo_bar" in reply.document["error"]["message"]
