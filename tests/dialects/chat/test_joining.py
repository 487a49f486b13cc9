"""Requests of other dialects as conversations that the chat wire takes."""

from typing import Any

from arno.canon.ext import Ext
from arno.canon.parts import OpaquePart, Part, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Request, Role
from arno.wire import json
from tests.laws.harness import CHAT

HI = Message(Role.USER, (TextPart(text="hi"),))
FOREIGN = OpaquePart(dialect="messages", document={"type": "tool_addition"})


def calls(*ids: str, text: str = "", ext: Ext | None = None) -> Message:
    said: list[Part] = [TextPart(text=text)] if text else []
    asked = [ToolCallPart(call_id=id_, name="f", arguments="{}") for id_ in ids]
    return Message(Role.ASSISTANT, (*said, *asked), ext=ext or {})


def result(id_: str) -> Message:
    return Message(Role.TOOL, (ToolResultPart(call_id=id_, parts=(TextPart(text="x"),)),))


def sent(*messages: Message) -> tuple[list[Any], list[tuple[str, str]]]:
    body, losses = CHAT.encode_request(Request(model="m", messages=messages))
    document: Any = json.loads(body)
    return document["messages"], [(loss.path, loss.action) for loss in losses]


def test_turns_with_calls_that_follow_each_other_are_one_message() -> None:
    messages, losses = sent(HI, calls("1"), calls("2"), result("1"), result("2"))
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == ["1", "2"]
    assert losses == []


def test_words_between_the_calls_are_told_with_them() -> None:
    messages, losses = sent(calls("1", text="one"), calls("2", text="two"), result("2"))
    assert [entry["text"] for entry in messages[0]["content"]] == ["one", "two"]
    assert losses == [("/messages/1", "approximated")]
    messages, _ = sent(calls("1", text="one"), calls("2"), result("2"))
    assert messages[0]["content"] == "one"


def test_turns_without_calls_and_those_of_the_wire_itself_stay_apart() -> None:
    said = Message(Role.ASSISTANT, (TextPart(text="a"),))
    assert len(sent(said, calls("1"), result("1"))[0]) == 3
    assert len(sent(calls("1", ext={"chat": {}}), calls("2", ext={"chat": {}}))[0]) == 2


def test_a_message_of_which_nothing_is_left_is_none() -> None:
    messages, losses = sent(HI, Message(Role.SYSTEM, (FOREIGN,)))
    assert [message["role"] for message in messages] == ["user"]
    assert losses == [("/messages/1/parts/0", "dropped")]
    # One that never said anything is the client's own.
    assert len(sent(HI, Message(Role.USER, ()))[0]) == 2


def test_a_result_of_which_nothing_is_left_is_an_empty_text() -> None:
    answer = Message(Role.TOOL, (ToolResultPart(call_id="1", parts=(FOREIGN,)),))
    messages, losses = sent(calls("1"), answer)
    assert messages[1]["content"] == ""
    assert losses == [("/messages/1/parts/0/parts/0", "dropped")]
