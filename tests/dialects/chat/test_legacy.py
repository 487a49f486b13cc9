"""Calls in the older words (`functions`, `function_call`): read as calls, written as they came."""

from typing import Any

import pytest

from arno.canon.events import StreamError
from arno.canon.failure import FailureKind
from arno.canon.parts import ToolCallPart
from arno.canon.response import FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.chat.building import delta, documents_of, fed, restamped, stream, whole
from tests.laws.harness import CHAT, bare, decode, folded, no_price

CALL = ToolCallPart(call_id="call_0", name="f", arguments='{"x":1}')
SAID = {"name": "f", "arguments": '{"x":1}'}
STREAM = stream(
    delta(function_call={"name": "f", "arguments": ""}),
    delta(function_call={"arguments": '{"x"'}),
    delta(function_call={"arguments": ":1}"}),
    delta("function_call"),
)
STAMP = Stamp(id="gen-1", model="asked/model", provider="Our Host")


def whole_answer(**call: Any) -> Response:
    answer = CHAT.decode_response(whole({"content": None, "function_call": call}, "function_call"))
    assert isinstance(answer, Response)
    return answer


def test_an_answer_asks_for_a_tool_like_any_other() -> None:
    for answer in (whole_answer(**SAID), folded(decode(STREAM))):
        (choice,) = answer.choices
        assert bare(choice.parts) == bare((CALL,))
        assert (choice.reason, choice.native_reason) == (FinishReason.TOOL_CALLS, "function_call")


def test_a_whole_call_without_arguments_has_empty_ones() -> None:
    bodies = (delta(function_call={"name": "f"}), delta("function_call"))
    for answer in (whole_answer(name="f", arguments=""), folded(decode(stream(*bodies)))):
        (part,) = answer.choices[0].parts
        assert isinstance(part, ToolCallPart)
        assert part.arguments == "{}"


@pytest.mark.parametrize("call", [{}, {"name": "", "arguments": ""}, {"name": 5}, "f"])
def test_an_empty_call_is_none(call: Any) -> None:
    """One host puts an empty one on every answer."""
    body = whole({"content": "hi", "function_call": call}, "stop")
    answer = CHAT.decode_response(body)
    assert isinstance(answer, Response)
    assert not [part for part in answer.choices[0].parts if isinstance(part, ToolCallPart)]
    assert json.equal(CHAT.encode_response(answer)[0], json.loads(body))
    streamed = folded(decode(stream(delta(content="hi", function_call=call), delta("stop"))))
    assert bare(streamed.choices[0].parts) == bare(answer.choices[0].parts)


def test_arguments_of_nothing_are_no_answer() -> None:
    last = decode(stream(delta(function_call={"arguments": "{}"}), delta("function_call")))[-1]
    assert isinstance(last, StreamError)
    assert last.failure.kind is FailureKind.INVALID_ANSWER


def test_the_same_dialect_gets_its_own_words_back() -> None:
    answer = whole_answer(**SAID)
    document: Any = CHAT.encode_response(answer)[0]
    choice = document["choices"][0]
    assert (choice["message"]["function_call"], choice["finish_reason"]) == (SAID, "function_call")
    chunks = [document["choices"][0] for document in fed(list(unfold(answer)))]
    assert [chunk["delta"].get("function_call") for chunk in chunks] == [
        {"name": "f", "arguments": ""},
        {"arguments": '{"x":1}'},
        None,
    ]
    assert chunks[-1]["finish_reason"] == "function_call"
    assert not any("tool_calls" in chunk["delta"] for chunk in chunks)


def test_restamping_leaves_the_words_alone() -> None:
    chunks = [document["choices"][0] for document in documents_of(restamped(STREAM, STAMP))]
    told = [document["choices"][0] for document in documents_of(STREAM)]
    assert [chunk["delta"] for chunk in chunks] == [chunk["delta"] for chunk in told]
    assert [chunk["finish_reason"] for chunk in chunks] == [None, None, None, "function_call"]
    body = whole({"content": None, "function_call": SAID}, "function_call")
    answer = CHAT.decode_response(body)
    assert isinstance(answer, Response)
    document: Any = json.loads(CHAT.restamp_response(body, answer, STAMP, no_price))
    choice = document["choices"][0]
    assert (choice["message"]["function_call"], choice["finish_reason"]) == (SAID, "function_call")


def test_other_dialects_read_of_a_legacy_call_as_of_any() -> None:
    """Without what chat noted for itself, it is told as an entry of `tool_calls`."""
    (part,) = whole_answer(**SAID).choices[0].parts
    assert isinstance(part, ToolCallPart)
    assert bare(part) == bare(CALL)


TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "q"},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "function", "name": "f", "content": "1"},
    {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
    {"role": "function", "name": "f", "content": "2"},
    {"role": "function", "name": "g", "content": "nobody asked"},
]


def test_results_answer_the_call_before_them() -> None:
    body = json.dumps({"model": "m", "messages": TURNS})
    request = CHAT.decode_request(body)
    ids = [getattr(part, "call_id", None) for m in request.messages for part in m.parts]
    assert ids == [None, "call_1", "call_1", "call_3", "call_3", ""]
    again, losses = CHAT.encode_request(request)
    assert json.equal(json.loads(again), json.loads(body))
    assert not losses
