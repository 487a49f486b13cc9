"""What a client is sent for each batch: the upstream's bytes, and what replaces a broken end."""

import pytest

from arno.exchange.writers import Silent
from arno.wire import json
from tests.exchange.attempt import (
    BROKEN,
    DONE,
    SMALL,
    WHOLE,
    delta,
    exchange,
    feed,
    finish,
    output,
)

ERROR = {"error": {"code": 502, "message": "boom"}}
CHOICE = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}


def sse(document, event=b""):
    return event + b"data: " + json.dumps(document) + b"\n\n"


READABLE = {
    "with choices": sse({**ERROR, "choices": [CHOICE]}),
}
"""Error chunks that client SDKs read: they pass as they came."""

UNREADABLE = {
    "without choices": sse(ERROR),
    "with no choice in them": sse({**ERROR, "choices": []}),
    "as an error event": sse({**ERROR, "choices": [CHOICE]}, b"event: error\n"),
    "as a text": sse({"error": "boom", "choices": [CHOICE]}),
    "as a finish alone": sse({"choices": [CHOICE]}),
    "as no JSON": b"data: {oops\n\n",
    "as no object": b"data: 7\n\n",
}
"""Failing frames that client SDKs would take for nothing, or stumble over."""


@pytest.mark.parametrize("name", READABLE)
def test_an_error_that_clients_read_passes_as_it_came(name):
    """Row 15: the upstream's own code and words."""
    steps = feed(exchange("contract"), [delta("a") + READABLE[name]])
    assert output(steps) == delta("a") + READABLE[name]


@pytest.mark.parametrize("row", ["contract", "plain", "encode"])
@pytest.mark.parametrize("name", [*READABLE, *UNREADABLE])
def test_a_failing_frame_is_told_as_one_error_chunk(name, row):
    """R5 c, rows 14 to 16: top-level error, finish reason error, no end mark."""
    frame = {**READABLE, **UNREADABLE}[name]
    said = output(feed(exchange(row), [delta("a"), frame]))
    tail = json.loads(said.split(b"data: ")[-1])
    assert tail["error"]["message"]
    assert isinstance(tail["error"]["code"], int)
    assert tail["choices"][0]["finish_reason"] == "error"
    assert said.count(b'"error":{') == 1
    assert DONE not in said
    if b"502" in frame:
        assert tail["error"]["code"] == 502


LAST_WORDS = {
    "a finish of error": {"delta": {"content": "bye"}, "finish_reason": "error"},
    "a fragment of nobody": {
        "delta": {"content": "bye", "tool_calls": [{"function": {"arguments": "{"}}]},
        "finish_reason": None,
    },
}


@pytest.mark.parametrize("row", ["contract", "plain", "encode"])
@pytest.mark.parametrize("name", LAST_WORDS)
def test_the_text_of_the_document_that_fails_is_delivered(name, row):
    """R5: what was received is delivered, then the failure; no finish beside the text."""
    document = {"id": "up-1", "choices": [{"index": 0, **LAST_WORDS[name]}]}
    said = output(feed(exchange(row), [delta("a"), sse(document)]))
    documents = [json.loads(block[6:]) for block in said.split(b"\n\n")[:-1]]
    assert [d["choices"][0]["delta"].get("content") or "" for d in documents] == ["a", "bye", ""]
    assert [d["choices"][0]["finish_reason"] for d in documents] == [None, None, "error"]
    assert "tool_calls" not in documents[1]["choices"][0]["delta"]
    assert DONE not in said


@pytest.mark.parametrize("row", ["contract", "plain", "encode"])
def test_arguments_in_the_document_that_fails_do_no_harm(row):
    """A call that is begun in one document and goes on in the one that fails."""
    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
    more = {"index": 0, "function": {"arguments": '"x":'}}
    begun = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    fails = {"choices": [{"index": 0, "delta": {"tool_calls": [more, 7]}}]}
    said = output(feed(exchange(row), [sse(begun), sse(fails)]))
    assert json.loads(said.split(b"data: ")[-1])["error"]["message"]
    assert said.count(b'"error":{') == 1


@pytest.mark.parametrize("row", ["contract", "plain", "encode"])
def test_an_end_mark_is_said_once(row):
    """R5 e, row 8: whether the upstream says it or not."""
    for body in (SMALL, SMALL.removesuffix(DONE)):
        assert output(feed(exchange(row), [body])).count(DONE) == 1


def test_an_unfinished_frame_is_never_passed_on():
    """Its bytes would run into what is said next."""
    for rest in (b"data: {", b": half a comm", b"data: [DONE]", b"data: [DONE]\n"):
        said = output(feed(exchange("contract"), [delta("a") + finish() + rest]))
        assert said == delta("a") + finish() + DONE
        broken = output(feed(exchange("contract"), [delta("a") + rest], broken=BROKEN))
        assert broken.startswith(delta("a") + b'data: {"')
        assert broken.count(b"\n\n") == 2


def test_a_whole_answer_of_the_contract_passes_with_its_padding():
    body = b'\n   \n{"id":"u","choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    steps = feed(exchange("contract", streamed=False), [body[:9], body[9:]], headers=WHOLE)
    assert output(steps) == body


def test_another_answer_carries_our_stamp():
    body = b'{"id":"u","x":1.50,"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'
    steps = feed(exchange("plain", streamed=False), [body], headers=WHOLE)
    document = json.loads(output(steps))
    assert (document["id"], document["model"], document["provider"]) == (
        "gen-1",
        "test/model",
        "Plain",
    )
    assert document["x"] == json.loads("1.50")


def test_nobody_is_told_nothing():
    machine = exchange("silent")
    assert output(feed(machine, [SMALL])) == b""
    assert machine.seen.complete
    assert Silent().whole(b"{}", None) == b""
