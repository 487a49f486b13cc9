"""The three invariants of histories: one result a call, in call order, repair is idempotent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.agent.history import NO_RESULT, repair, user
from arno.canon.parts import Executor, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Role
from tests.agent.scripted import outline, unanswered


def asks(*call_ids: str) -> Message:
    calls = tuple(ToolCallPart(call_id=call_id, name="t") for call_id in call_ids)
    return Message(Role.ASSISTANT, (TextPart(text="…"), *calls))


def says(call_id: str, text: str = "ok") -> Message:
    return Message(Role.TOOL, (part(call_id, text),))


def part(call_id: str, text: str = "ok") -> ToolResultPart:
    return ToolResultPart(call_id=call_id, parts=(TextPart(text=text),), is_error=False)


HELLO = user("hello")
PROVIDER_CALL = Message(
    Role.ASSISTANT, (ToolCallPart(call_id="s", name="search", executor=Executor.PROVIDER),)
)

REPAIRS: dict[str, tuple[list[Message], list[str]]] = {
    "nothing": ([], []),
    "already whole": (
        [HELLO, asks("a", "b"), says("a"), says("b")],
        ["user", "assistant a b", "tool a: ok", "tool b: ok"],
    ),
    "no result at the end": ([asks("a")], ["assistant a", f"tool a! {NO_RESULT}"]),
    "one of two missing": (
        [asks("a", "b"), says("b")],
        ["assistant a b", f"tool a! {NO_RESULT}", "tool b: ok"],
    ),
    "results in another order": (
        [asks("a", "b"), says("b"), says("a")],
        ["assistant a b", "tool a: ok", "tool b: ok"],
    ),
    "a result after the next message": (
        [asks("a"), HELLO, says("a")],
        ["assistant a", "tool a: ok", "user"],
    ),
    "a result without a call": ([HELLO, says("x")], ["user"]),
    "two results for one call": (
        [asks("a"), says("a", "first"), says("a", "second")],
        ["assistant a", "tool a: first"],
    ),
    "an id that comes again in a later step": (
        [asks("a"), says("a", "1"), asks("a"), says("a", "2")],
        ["assistant a", "tool a: 1", "assistant a", "tool a: 2"],
    ),
    "the later of two equal ids is answered": (
        [asks("a"), asks("a"), says("a", "2")],
        ["assistant a", f"tool a! {NO_RESULT}", "assistant a", "tool a: 2"],
    ),
    "one id twice in one step": (
        [asks("a", "a"), says("a", "1"), says("a", "2")],
        ["assistant a a", "tool a: 1", "tool a: 2"],
    ),
    "two results in one message": (
        [asks("a", "b"), Message(Role.TOOL, (part("a"), TextPart(text="?"), part("b")))],
        ["assistant a b", "tool a: ok", "tool b: ok"],
    ),
    "a tool message without a result": (
        [HELLO, Message(Role.TOOL, (TextPart(text="?"),))],
        ["user"],
    ),
    "a call that the provider runs": ([PROVIDER_CALL], ["assistant s"]),
}


@pytest.mark.parametrize(("messages", "expected"), REPAIRS.values(), ids=REPAIRS)
def test_repair(messages: list[Message], expected: list[str]) -> None:
    assert outline(repair(messages)) == expected


def test_messages_that_need_nothing_are_the_same_objects() -> None:
    messages = [HELLO, asks("a"), says("a")]
    assert all(a is b for a, b in zip(repair(messages), messages, strict=True))


IDS = st.sampled_from("abc")
MESSAGES = st.one_of(
    st.just(HELLO),
    st.lists(IDS, max_size=4).map(lambda ids: asks(*ids)),
    IDS.map(says),
    st.lists(IDS, max_size=3).map(lambda ids: Message(Role.TOOL, tuple(map(part, ids)))),
)


@given(st.lists(MESSAGES, max_size=12))
def test_a_repaired_history_holds_all_three_invariants(messages: list[Message]) -> None:
    repaired = repair(messages)
    assert unanswered(repaired) == []
    assert repair(repaired) == repaired


@given(st.lists(MESSAGES, max_size=12))
def test_repair_keeps_every_message_that_is_no_result(messages: list[Message]) -> None:
    kept = [message for message in repair(messages) if message.role is not Role.TOOL]
    assert kept == [message for message in messages if message.role is not Role.TOOL]
