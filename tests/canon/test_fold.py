"""Fold: a stream's events become the one answer they spell."""

from typing import Any

import pytest

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
from arno.canon.failure import Failure, FailureKind
from arno.canon.fold import Fold, fold, merge_ext
from arno.canon.parts import (
    Item,
    MediaPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage

FAILURE = Failure(FailureKind.TRUNCATED, "cut")


def part_of(start: Any, *deltas: tuple[Slot, Any], end: PartEnd | None = None) -> Any:
    """The part that its start, deltas and end make."""
    pieces: list[Event] = [PartDelta(0, slot, value) for slot, value in deltas]
    sequence: list[Event] = [ResponseStart(), PartStart(0, start), *pieces, end or PartEnd(0)]
    (part,) = fold([*sequence, ResponseEnd()]).response.choices[0].parts
    return part


CALL = ToolCallPart(call_id="a", name="f")
JOINED: dict[str, tuple[Any, list[tuple[Slot, Any]], Any]] = {
    "nothing": (TextPart(), [], TextPart()),
    "text joins": (
        TextPart(text="a"),
        [(Slot.TEXT, "b"), (Slot.TEXT, "c")],
        TextPart(text="abc"),
    ),
    "refusal joins": (RefusalPart(), [(Slot.TEXT, "no")], RefusalPart(text="no")),
    "arguments join": (
        CALL,
        [(Slot.ARGUMENTS, '{"x"'), (Slot.ARGUMENTS, ":1}")],
        ToolCallPart(call_id="a", name="f", arguments='{"x":1}'),
    ),
    "a signature replaces": (
        ReasoningPart(text="a", signature="old"),
        [(Slot.SIGNATURE, "b"), (Slot.SIGNATURE, "c")],
        ReasoningPart(text="a", signature="c"),
    ),
    "a sealed artefact replaces": (
        ReasoningPart(sealed="old"),
        [(Slot.SEALED, "new")],
        ReasoningPart(sealed="new"),
    ),
    "annotations add": (
        TextPart(annotations=(1,)),
        [(Slot.ANNOTATION, 2), (Slot.TEXT, "a"), (Slot.ANNOTATION, 3)],
        TextPart(text="a", annotations=(1, 2, 3)),
    ),
    "media joins": (MediaPart(data="A"), [(Slot.MEDIA, "A=")], MediaPart(data="AA=")),
    "media begins": (MediaPart(), [(Slot.MEDIA, "AA")], MediaPart(data="AA")),
    "a transcript joins": (
        MediaPart(),
        [(Slot.TRANSCRIPT, "he"), (Slot.TRANSCRIPT, "llo")],
        MediaPart(transcript="hello"),
    ),
    "media of a result adds": (
        ToolResultPart(call_id="a", parts=(TextPart(text="x"),)),
        [(Slot.MEDIA, MediaPart(url="u"))],
        ToolResultPart(call_id="a", parts=(TextPart(text="x"), MediaPart(url="u"))),
    ),
    "text of a result is one text more": (
        ToolResultPart(call_id="a"),
        [(Slot.TEXT, "x"), (Slot.TEXT, "y"), (Slot.MEDIA, MediaPart(url="u"))],
        ToolResultPart(call_id="a", parts=(TextPart(text="xy"), MediaPart(url="u"))),
    ),
}


@pytest.mark.parametrize("case", JOINED)
def test_deltas_of_each_slot(case: str) -> None:
    start, deltas, expected = JOINED[case]
    assert part_of(start, *deltas) == expected


def test_a_parts_end_may_add_its_envelope_and_residue() -> None:
    item = Item(id="msg_1", status="completed")
    end = PartEnd(0, item=item, ext={"chat": {"b": 2}})
    part = part_of(TextPart(text="a", ext={"chat": {"a": 1}}), end=end)
    assert part == TextPart(text="a", item=item, ext={"chat": {"a": 1, "b": 2}})


def test_a_parts_end_may_tell_who_reads_its_signature() -> None:
    signed = (Slot.SIGNATURE, "c2ln")
    part = part_of(TextPart(text="a"), signed, end=PartEnd(0, format="f-v1"))
    assert part == TextPart(text="a", signature="c2ln", format="f-v1")


def test_logprobs_stay_beside_the_answer() -> None:
    result = fold(
        [
            ResponseStart(),
            PartStart(0, TextPart(), 1),
            PartDelta(0, Slot.LOGPROBS, {"a": 1}),
            PartEnd(0),
            ResponseEnd(),
        ]
    )
    assert result.logprobs == {1: [{"a": 1}]}
    assert result.response.choices[0].parts == (TextPart(),)


def test_the_answer_of_several_choices() -> None:
    events: list[Event] = [
        KeepAlive(),
        ResponseStart(id="x", model="m", served_by="p", created=7, ext={"chat": {"a": 1}}),
        PartStart(0, TextPart(), 1),
        PartStart(1, CALL, 0),
        PartStart(2, TextPart(text="late"), 1),
        PartDelta(0, Slot.TEXT, "first"),
        Opaque("chat", {}),
        *(PartEnd(index) for index in range(3)),
        ChoiceEnd(1, FinishReason.STOP, "end_turn"),
        UsageUpdate(Usage(input=1)),
        UsageUpdate(Usage(input=2)),
        ResponseEnd(ext={"chat": {"b": 2}}),
    ]
    result = fold(events)
    assert result.response == Response(
        id="x",
        model="m",
        served_by="p",
        created=7,
        choices=(
            Choice(0, (CALL,)),
            Choice(
                1, (TextPart(text="first"), TextPart(text="late")), FinishReason.STOP, "end_turn"
            ),
        ),
        usage=Usage(input=2),
        ext={"chat": {"a": 1, "b": 2}},
    )
    assert (result.complete, result.failure) == (True, None)


def test_the_first_reason_counts_and_a_repeat_may_add() -> None:
    events: list[Event] = [
        ResponseStart(),
        ChoiceEnd(0, FinishReason.LENGTH, "max", {"chat": {"a": 1}}),
        ChoiceEnd(0, FinishReason.STOP, "stop", {"chat": {"b": 2}}),
        ChoiceEnd(0, FinishReason.ERROR),
        ResponseEnd(),
    ]
    expected = Choice(0, (), FinishReason.LENGTH, "max", {"chat": {"a": 1, "b": 2}})
    assert fold(events).response.choices == (expected,)


@pytest.mark.parametrize("last", [[], [StreamError(FAILURE)]])
def test_what_did_not_end_well_is_no_answer_but_keeps_what_was_said(last: list[Event]) -> None:
    pieces: list[Event] = [PartStart(0, TextPart()), PartDelta(0, Slot.TEXT, "par")]
    result = fold([ResponseStart(id="x"), *pieces, *last])
    with pytest.raises(ValueError, match="did not complete"):
        _ = result.response
    assert result.partial == Response(id="x", choices=(Choice(0, (TextPart(text="par"),)),))
    assert result.failure is (FAILURE if last else None)


def test_nothing_is_an_empty_answer() -> None:
    assert Fold().partial == Response()


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ({}, {}, {}),
        ({"chat": {"a": 1}}, {}, {"chat": {"a": 1}}),
        ({}, {"chat": {"a": 1}}, {"chat": {"a": 1}}),
        ({"chat": {"a": 1}}, {"chat": {"a": 2, "b": 3}}, {"chat": {"a": 2, "b": 3}}),
        ({"chat": {"a": 1}}, {"gemini": {"b": 2}}, {"chat": {"a": 1}, "gemini": {"b": 2}}),
    ],
)
def test_merge_ext(first: Any, second: Any, both: Any) -> None:
    assert merge_ext(first, second) == both
