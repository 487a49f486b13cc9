"""Streams and answers passed on in the same dialect: only the stamp changes."""

import pytest

from arno.canon.ext import Loss
from arno.canon.response import Response
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.messages.documents import (
    MESSAGES,
    STOP,
    block,
    call,
    ended,
    event,
    restamped,
    started,
    text,
    whole,
)
from tests.laws import messages_grammar as grammar
from tests.laws.harness import no_price

STAMP = Stamp(id="gen-1", model="a/b", provider="Host")
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Hm"},
    {"type": "signature_delta", "signature": "c2ln"},
)
BODY = started() + event("ping") + THINKING + text(1, "Hi") + ended() + STOP


def test_without_a_stamp_every_byte_stays():
    odd = BODY.replace(b'"text":"Hi"', b'"text" : "H\\u0069"').replace(b"\n", b"\r\n")
    assert restamped(BODY) == BODY
    assert restamped(odd) == odd


def test_the_stamp_is_written_into_the_start_and_nowhere_else():
    frames, stamped = BODY.split(b"\n\n"), restamped(BODY, STAMP).split(b"\n\n")
    assert frames[1:] == stamped[1:]
    message = grammar.documents(stamped[0] + b"\n\n")[0]["message"]
    assert (message["id"], message["model"], message["provider"]) == ("gen-1", "a/b", "Host")


def test_an_upstream_s_own_provider_stays():
    start = grammar.documents(restamped(started(provider="Own") + BODY[len(started()) :], STAMP))[0]
    assert start["message"]["provider"] == "Own"


def test_cost_and_losses_stand_in_the_usage_of_the_end():
    stamp = Stamp(losses=(Loss("/n", "dropped", "why"),))
    body = restamped(BODY, stamp, cost="0.00120")
    usage = grammar.documents(body)[-2]["usage"]
    assert usage["output_tokens"] == 5
    assert str(usage["cost"]) == "0.00120"
    assert usage["losses"] == [{"path": "/n", "action": "dropped", "why": "why"}]
    assert body.count(b"cost") == 1


def test_a_cost_that_the_upstream_reports_stays():
    body = started() + text(0, "x") + ended(usage={"output_tokens": 5, "cost": 3}) + STOP
    assert restamped(body, cost="7") == body


def test_r4_a_reason_that_hides_calls_is_told_as_what_it_is():
    body = restamped(started() + call(0, "a", "{}") + ended("end_turn") + STOP)
    assert grammar.documents(body)[-2]["delta"]["stop_reason"] == "tool_use"
    kept = started() + call(0, "a", "{}") + ended("max_tokens") + STOP
    assert restamped(kept) == kept


def test_events_get_their_names():
    """The SDKs read no event without one."""
    nameless = b"\n".join(line for line in BODY.split(b"\n") if not line.startswith(b"event:"))
    assert restamped(nameless) == BODY


def test_a_missing_end_is_added_and_a_cut_becomes_a_failure():
    assert restamped(BODY[: -len(STOP)]) == BODY
    cut = restamped(started() + text(0, "Hi", stop=False))
    assert cut.startswith(started() + text(0, "Hi", stop=False))
    grammar.check_failed(cut)


def test_half_a_frame_is_not_passed_on():
    whole_frames = started() + text(0, "Hi", stop=False)
    cut = restamped(whole_frames + b'event: content_block_delta\ndata: {"ty')
    assert cut.startswith(whole_frames + b"event: error\n")


@pytest.mark.parametrize("type_", ["overloaded_error", "authentication_error"])
def test_errors_are_told_in_our_words(type_):
    error = event("error", error={"type": type_, "message": "key sk-ant-secret12345"})
    body = restamped(started() + text(0, "Hi", stop=False) + error, STAMP)
    grammar.check_failed(body)
    assert b"secret" not in body


def answers(body, stamp, cost=None):
    """What both ways make of a whole answer: the glance's, and the decoder's."""
    response, glanced = MESSAGES.decode_response(body), MESSAGES.glance(body)
    assert isinstance(response, Response)
    assert glanced is not None
    pricer = no_price if cost is None else (lambda usage, served_by: cost)
    one = MESSAGES.restamp_response(body, response, stamp, pricer)
    assert one == MESSAGES.restamp_glanced(glanced, stamp, pricer)
    return one


def test_a_whole_answer_keeps_the_bytes_of_its_content():
    body = b'{"content": [{"type": "text",  "text": "H\\u0069"}], "stop_reason": "end_turn"}'
    stamped = answers(body, STAMP)
    assert b'[{"type": "text",  "text": "H\\u0069"}]' in stamped
    document = json.loads(stamped)
    assert (document["id"], document["model"], document["provider"]) == ("gen-1", "a/b", "Host")


def test_a_whole_answer_with_cost_losses_and_calls():
    call_ = {"type": "tool_use", "id": "a", "name": "n", "input": {}}
    stamp = Stamp(losses=(Loss("/n", "dropped", "why"),))
    document = json.loads(answers(whole(call_, provider="Own"), stamp, cost="0.5"))
    assert document["stop_reason"] == "tool_use"
    assert document["provider"] == "Own"
    assert str(document["usage"]["cost"]) == "0.5"
    assert document["usage"]["losses"][0]["path"] == "/n"


@pytest.mark.parametrize(
    "body",
    [
        whole(stop_reason=None),
        whole(stop_reason="tomorrow"),
        whole({"type": "tool_use", "id": "", "name": "n"}),
        b'{"content": [], "stop_reason": "end_turn", "x": "\\ud83d\\ude42"}',
    ],
)
def test_answers_that_are_not_plain_are_not_glanced_at(body):
    assert MESSAGES.glance(body) is None
