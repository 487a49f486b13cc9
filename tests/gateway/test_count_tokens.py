"""`count_tokens`: asked of who would serve the model, else an estimate that says so."""

import pytest

from arno.canon.parts import MediaKind, MediaPart, TextPart
from arno.canon.request import Message, Request, Role, Tool
from arno.gateway.count_tokens import TOKENS_PER_MEDIA, estimate
from arno.wire import json
from tests.gateway.harness import post
from tests.gateway.test_translated import answering, sent, world

PATH = "/v1/messages/count_tokens"
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}


@pytest.mark.parametrize(
    ("dialect", "answer", "target"),
    [
        ("messages", {"input_tokens": 11}, "/v1/messages/count_tokens"),
        ("gemini", {"totalTokens": 11}, "/v1/models/there-alpha:countTokens"),
        ("responses", {"input_tokens": 11}, "/v1/responses/input_tokens"),
        ("converse", {"inputTokens": 11}, "/v1/model/there-alpha/count-tokens"),
    ],
)
def test_who_would_serve_counts(tmp_path, dialect, answer, target):
    with answering(answer) as up, world(tmp_path, alpha=(up, dialect)) as (url, sink):
        reply = post(url, ASK, path=PATH)
        assert sink.recent(10) == ()
    assert (reply.status, reply.document) == (200, {"input_tokens": 11})
    assert "x-arno-estimated" not in reply.headers
    assert up.requests[0].target == target
    assert "Hello there" in str(sent(up))


def test_without_anybody_who_counts_it_is_an_estimate(tmp_path):
    with answering({}) as up, world(tmp_path, alpha=(up, "chat")) as (url, _):
        reply = post(url, ASK, path=PATH)
    assert up.requests == []
    assert reply.document == {"input_tokens": 4 + 3, "estimated": True}
    assert reply.headers["x-arno-estimated"] == "input_tokens"


@pytest.mark.parametrize(
    ("answer", "status"), [({}, 200), (b"no JSON", 200), ({"error": {}}, 500), ({}, 404)]
)
def test_who_cannot_tell_is_passed_over(tmp_path, answer, status):
    with answering(answer, status) as up, world(tmp_path, alpha=(up, "messages")) as (url, _):
        reply = post(url, ASK, path=PATH)
    assert len(up.requests) == 1
    assert (reply.status, reply.document["estimated"]) == (200, True)


def test_the_next_one_is_asked(tmp_path):
    with (
        answering({}, 503) as one,
        answering({"input_tokens": 5}) as two,
        world(tmp_path, one=(one, "messages"), two=(two, "messages")) as (url, _),
    ):
        reply = post(url, ASK, path=PATH)
    assert reply.document == {"input_tokens": 5}


def test_a_request_that_is_wrong_is_told_so(tmp_path):
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no such role"}}
    with answering(error, 400) as up, world(tmp_path, alpha=(up, "messages")) as (url, _):
        reply = post(url, ASK, path=PATH)
        unknown = post(url, {**ASK, "model": "no/such"}, path=PATH)
        broken = post(url, b"{", path=PATH)
    assert (reply.status, reply.document["type"]) == (400, "error")
    assert "no such role" in reply.document["error"]["message"]
    assert "no/such" in unknown.document["error"]["message"]
    assert {unknown.status, broken.status} == {400}
    assert len(up.requests) == 1


def test_the_estimate_counts_text_tools_and_media():
    text = Message(Role.USER, (TextPart(text="a" * 40),))
    picture = MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="AAAA")
    plain = estimate(Request(model="m", messages=(text,)))
    assert plain == 4 + 10
    shown = Request(model="m", messages=(Message(Role.USER, (*text.parts, picture)),))
    assert estimate(shown) == plain + TOKENS_PER_MEDIA
    tool = Tool(name="weather", description="now", parameters={"type": "object"})
    added = len("weather") + len("now") + len(json.dumps(tool.parameters))
    assert estimate(Request(model="m", messages=(text,), tools=(tool,))) == 4 + -(
        -(40 + added) // 4
    )
