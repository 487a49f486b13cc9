"""An answer while it arrives: what is shown, when the first output was, what can be kept."""

from collections.abc import Iterable

from arno.agent.events import (
    AgentEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from arno.agent.watch import Watch
from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
)
from arno.canon.parts import Executor, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from arno.canon.response import FinishReason
from tests.agent.scripted import BROKEN

CALL = ToolCallPart(call_id="a", name="add")


class Clock:
    """Goes on by one second a reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def watch(events: Iterable[Event]) -> tuple[Watch, list[AgentEvent]]:
    watched = Watch(1, Clock())
    shown = [shown for event in events for shown in watched.feed(event)]
    return watched, shown


def test_each_kind_of_part_has_its_event() -> None:
    _, shown = watch(
        [
            ResponseStart(),
            PartStart(0, ReasoningPart()),
            PartDelta(0, Slot.TEXT, "hm"),
            PartDelta(0, Slot.SIGNATURE, "sealed"),
            PartEnd(0),
            PartStart(1, TextPart()),
            PartDelta(1, Slot.TEXT, "Hel"),
            PartDelta(1, Slot.TEXT, "lo"),
            PartDelta(1, Slot.ANNOTATION, {"url": "u"}),
            PartEnd(1),
            PartStart(2, RefusalPart()),
            PartDelta(2, Slot.TEXT, "no"),
            PartEnd(2),
            PartStart(3, CALL),
            PartDelta(3, Slot.ARGUMENTS, '{"x":'),
            PartDelta(3, Slot.ARGUMENTS, "1}"),
            PartEnd(3),
            ChoiceEnd(0, FinishReason.STOP),
            ResponseEnd(),
        ]
    )
    assert shown == [
        ReasoningDelta(1, "hm"),
        TextDelta(1, "Hel"),
        TextDelta(1, "lo"),
        RefusalDelta(1, "no"),
        ToolCallStarted(1, "a", "add"),
        ToolCallDelta(1, "a", '{"x":'),
        ToolCallDelta(1, "a", "1}"),
        ToolCall(1, "a", "add", '{"x":1}'),
    ]


def test_text_in_a_parts_start_is_shown_too() -> None:
    started = ToolCallPart(call_id="a", name="add", arguments="{}")
    _, shown = watch([PartStart(0, TextPart(text="Hi")), PartStart(1, started), PartEnd(1)])
    assert shown == [
        TextDelta(1, "Hi"),
        ToolCallStarted(1, "a", "add"),
        ToolCallDelta(1, "a", "{}"),
        ToolCall(1, "a", "add", "{}"),
    ]


def test_other_choices_and_calls_of_the_provider_are_not_shown() -> None:
    search = ToolCallPart(call_id="s", name="search", executor=Executor.PROVIDER)
    other: list[Event] = [
        PartStart(0, TextPart(), choice=1),
        PartDelta(0, Slot.TEXT, "other"),
        PartEnd(0),
    ]
    watched, shown = watch(other)
    assert shown == []
    assert watched.first_token_s is None
    _, shown = watch(
        [
            *other,
            PartStart(1, search),
            PartDelta(1, Slot.ARGUMENTS, "{}"),
            PartEnd(1),
        ]
    )
    assert shown == []


def test_first_output_is_the_first_piece_that_says_something() -> None:
    """Keep-alives, an opened text and an empty delta are no output."""
    clock = Clock()
    watched = Watch(1, clock)
    quiet: list[Event] = [
        ResponseStart(),
        KeepAlive(),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.TEXT, ""),
    ]
    for event in quiet:
        assert list(watched.feed(event)) == []
    assert watched.first_token_s is None
    list(watched.feed(PartDelta(0, Slot.TEXT, "x")))
    list(watched.feed(PartDelta(0, Slot.TEXT, "y")))
    assert watched.first_token_s == 1.0
    assert clock.now == 2.0


def test_the_start_of_a_call_is_output() -> None:
    watched, _ = watch([PartStart(0, CALL)])
    assert watched.first_token_s == 1.0


def test_what_is_kept_of_an_answer_given_up() -> None:
    done = ToolCallPart(call_id="d", name="add")
    watched, _ = watch(
        [
            PartStart(0, ReasoningPart()),
            PartDelta(0, Slot.TEXT, "whole"),
            PartEnd(0),
            PartStart(1, TextPart()),
            PartDelta(1, Slot.TEXT, "half a sent"),
            PartStart(2, done),
            PartDelta(2, Slot.ARGUMENTS, "{}"),
            PartEnd(2),
            PartStart(3, CALL),
            PartDelta(3, Slot.ARGUMENTS, '{"x'),
            PartStart(4, ReasoningPart()),
            PartDelta(4, Slot.TEXT, "unsigned"),
            PartStart(5, TextPart()),
            PartStart(6, TextPart(), choice=1),
            PartDelta(6, Slot.TEXT, "other"),
        ]
    )
    assert watched.settled_parts == (
        ReasoningPart(text="whole"),
        TextPart(text="half a sent"),
        ToolCallPart(call_id="d", name="add", arguments="{}"),
    )


def test_nothing_arrived_nothing_kept() -> None:
    watched, _ = watch([ResponseStart(), ChoiceEnd(0, FinishReason.STOP)])
    assert watched.settled_parts == ()


def test_ends() -> None:
    well, _ = watch([ResponseStart(), ResponseEnd()])
    assert (well.complete, well.failure) == (True, None)
    badly, _ = watch([StreamError(BROKEN)])
    assert (badly.complete, badly.failure) == (False, BROKEN)
