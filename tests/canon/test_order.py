"""The order table, row by row (law Order)."""

from typing import Any

import pytest

from arno.canon import events, order
from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import Failure, FailureKind, OrderError
from arno.canon.order import SLOTS, TRANSITIONS, OrderChecker, State
from arno.canon.parts import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.response import FinishReason
from arno.canon.usage import Usage

ERROR = StreamError(Failure(FailureKind.TRUNCATED, "cut"))
START = ResponseStart()
TEXT = PartStart(0, TextPart())
PIECE = PartDelta(0, Slot.TEXT, "a")

KINDS: dict[type, Event] = {
    ResponseStart: START,
    PartStart: PartStart(1, TextPart()),
    PartDelta: PIECE,
    PartEnd: PartEnd(0),
    UsageUpdate: UsageUpdate(Usage()),
    ChoiceEnd: ChoiceEnd(0, FinishReason.STOP),
    ResponseEnd: ResponseEnd(),
    StreamError: ERROR,
    KeepAlive: KeepAlive(),
    Opaque: Opaque("chat", {}),
}
WAYS: dict[State, list[Event]] = {
    State.FRESH: [],
    State.OPEN: [START, TEXT],
    State.ENDED: [START, ERROR],
}
"""Events that lead to each state; in OPEN part 0 is open."""

LEGAL: dict[State, dict[type, State]] = {
    State.FRESH: {
        ResponseStart: State.OPEN,
        StreamError: State.ENDED,
        KeepAlive: State.FRESH,
        Opaque: State.FRESH,
    },
    State.OPEN: {
        **dict.fromkeys(
            (PartStart, PartDelta, PartEnd, UsageUpdate, ChoiceEnd, KeepAlive, Opaque), State.OPEN
        ),
        ResponseEnd: State.ENDED,
        StreamError: State.ENDED,
    },
    State.ENDED: {},
}
"""The drawing at the top of `canon.order`, as the tests read it."""


def feed(sequence: list[Event]) -> OrderChecker:
    checker = OrderChecker()
    for event in sequence:
        checker.feed(event)
    return checker


def test_the_table_is_the_drawing() -> None:
    assert TRANSITIONS == LEGAL


def test_every_kind_of_event_is_tried() -> None:
    assert set(KINDS) == set(events.Event.__args__)
    assert set(SLOTS) == set(Part.__args__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", State)
def test_each_event_in_each_state(state: State, kind: type) -> None:
    before = list(WAYS[state])
    if kind is ResponseEnd and state is State.OPEN:
        before.append(PartEnd(0))
    following = LEGAL[state].get(kind)
    if following is None:
        with pytest.raises(OrderError, match=rf"{kind.__name__} .* {state.value}"):
            feed([*before, KINDS[kind]])
    else:
        assert feed([*before, KINDS[kind]]).state is following


BROKEN: dict[str, tuple[list[Event], str]] = {
    "a part started twice": ([START, TEXT, TEXT], "started twice"),
    "a part started again after its end": ([START, TEXT, PartEnd(0), TEXT], "started twice"),
    "a delta before its start": ([START, PIECE], "not open"),
    "a delta after its end": ([START, TEXT, PartEnd(0), PIECE], "not open"),
    "an end before its start": ([START, PartEnd(0)], "not open"),
    "an end twice": ([START, TEXT, PartEnd(0), PartEnd(0)], "not open"),
    "a part still open at the end": ([START, TEXT, ResponseEnd()], r"\[0\] are still open"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_parts_forbid(case: str) -> None:
    sequence, complaint = BROKEN[case]
    feed(sequence[:-1])
    with pytest.raises(OrderError, match=complaint):
        feed(sequence)


def test_a_failure_may_leave_parts_open() -> None:
    assert feed([START, TEXT, PIECE, ERROR]).state is State.ENDED


def test_parts_may_interleave_and_choices_may_end_again() -> None:
    call = PartStart(1, ToolCallPart(call_id="a", name="f"), 1)
    sequence: list[Event] = [START, TEXT, call, PIECE, PartDelta(1, Slot.ARGUMENTS, "{}"), PIECE]
    stop = ChoiceEnd(1, FinishReason.STOP)
    ends: list[Event] = [PartEnd(1), stop, stop, PartEnd(0), ResponseEnd()]
    assert feed([*sequence, *ends]).state is State.ENDED


EMPTY: dict[type, Any] = {
    TextPart: TextPart(),
    RefusalPart: RefusalPart(),
    ReasoningPart: ReasoningPart(),
    ToolCallPart: ToolCallPart(call_id="a", name="f"),
    ToolResultPart: ToolResultPart(call_id="a"),
    MediaPart: MediaPart(),
    OpaquePart: OpaquePart(dialect="chat", document={}),
}


@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize("kind", SLOTS, ids=lambda kind: kind.__name__)
def test_each_slot_of_each_part(kind: type, slot: Slot) -> None:
    sequence: list[Event] = [START, PartStart(0, EMPTY[kind]), PartDelta(0, slot, "a")]
    if slot in SLOTS[kind]:
        assert feed(sequence).state is State.OPEN
    else:
        with pytest.raises(OrderError, match=f"{kind.__name__} has no slot {slot}"):
            feed(sequence)


def test_a_text_has_no_arguments() -> None:
    """The one row that keeps a delta of one kind out of a part of another."""
    assert Slot.ARGUMENTS not in order.SLOTS[TextPart]
    assert [kind.__name__ for kind in SLOTS if Slot.ARGUMENTS in SLOTS[kind]] == ["ToolCallPart"]
