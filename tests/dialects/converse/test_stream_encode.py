"""Streams written: any legal sequence becomes a grammatical stream of this dialect."""

from typing import Any

import pytest

from arno.canon.events import (
    ChoiceEnd,
    Event,
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
from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind
from arno.canon.parts import (
    Executor,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import FinishReason
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Stamp
from arno.dialects.converse import stream_encode
from tests.dialects.converse.building import answer, documents_of, fed
from tests.laws.converse_harness import CONVERSE, decode, encode
from tests.laws.harness import bare, checked, failed, folded, no_price

OWN = "anthropic-claude-v1"
STOP = (ChoiceEnd(0, FinishReason.STOP), ResponseEnd())


def names(events: list[Event]) -> list[str]:
    return [name for name, _ in fed(checked(events))]


def told_of(part: Part) -> list[tuple[str, Any]]:
    """The messages between start and stop for one part."""
    return fed(list(unfold(answer(part))))[1:-1]


def test_the_shape_of_a_stream() -> None:
    usage = Usage(input=3, output=2)
    events: list[Event] = [
        ResponseStart(id="r"),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.TEXT, "a"),
        PartEnd(0),
        PartStart(1, ToolCallPart(call_id="weather:0", name="f")),
        PartDelta(1, Slot.ARGUMENTS, '{"a"'),
        PartDelta(1, Slot.ARGUMENTS, ":1}"),
        PartEnd(1),
        ChoiceEnd(0, FinishReason.TOOL_CALLS, "tool_calls"),
        UsageUpdate(usage),
        ResponseEnd(),
    ]
    assert fed(checked(events)) == [
        ("messageStart", {"role": "assistant", "id": "r"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        (
            "contentBlockStart",
            {
                "contentBlockIndex": 1,
                "start": {"toolUse": {"toolUseId": "arno-weather_3a0", "name": "f"}},
            },
        ),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a"'}}}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": ":1}"}}}),
        ("contentBlockStop", {"contentBlockIndex": 1}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}),
    ]


def test_parts_that_are_open_together_wait_their_turn() -> None:
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartStart(1, TextPart()),
        PartDelta(1, Slot.TEXT, "b"),
        PartDelta(0, Slot.TEXT, "a"),
        PartEnd(1),
        PartDelta(0, Slot.TEXT, "A"),
        PartEnd(0),
        *STOP,
    ]
    said = [d["delta"]["text"] for name, d in fed(checked(events)) if name == "contentBlockDelta"]
    assert said == ["a", "A", "b"]
    read = folded(decode(encode([events]))).choices[0].parts
    assert [part.text for part in read if isinstance(part, TextPart)] == ["aA", "b"]


def test_after_a_failure_what_waited_is_told_and_nothing_is_made_up() -> None:
    """R5."""
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.TEXT, "a"),
        PartStart(1, ToolCallPart(call_id="c", name="f")),
        PartDelta(1, Slot.ARGUMENTS, '{"a'),
        ChoiceEnd(0, FinishReason.TOOL_CALLS),
        UsageUpdate(Usage(input=1)),
        StreamError(Failure(FailureKind.TRUNCATED, "cut")),
    ]
    found = fed(checked(events))
    assert [name for name, _ in found] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStart",
        "contentBlockDelta",
        "!modelStreamErrorException",
    ]
    assert found[-1][1] == {
        "message": "cut",
        "errorType": "provider_unavailable",
        "reason": "upstream_truncated",
    }


def test_a_failure_before_the_start() -> None:
    assert names([StreamError(Failure(FailureKind.RATE_LIMIT, "m"))]) == ["!throttlingException"]


@pytest.mark.parametrize("events", [(), (PartStart(0, TextPart(text="a")), PartEnd(0))])
def test_an_end_without_a_reason_is_a_failure(events: list[Event]) -> None:
    assert failed(decode(encode([[ResponseStart(), *events, ResponseEnd()]])))
    assert not failed(decode(encode([[ResponseStart(), *events, *STOP]])))


def test_a_part_without_content_is_no_block() -> None:
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartEnd(0),
        PartStart(1, TextPart(text="a")),
    ]
    found = fed([*events, PartEnd(1), *STOP])
    assert found[1] == ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "a"}})


REASONS = {
    ("stop", None): "end_turn",
    ("stop", "stop_sequence"): "stop_sequence",
    ("length", "max_output_tokens"): "max_tokens",
    ("length", "model_context_window_exceeded"): "model_context_window_exceeded",
    ("content_filter", "SAFETY"): "content_filtered",
    ("content_filter", "guardrail_intervened"): "guardrail_intervened",
    ("other", "language"): "end_turn",
    ("tool_calls", "end_turn"): "tool_use",
}


@pytest.mark.parametrize(("reason", "word"), REASONS.items())
def test_words_for_an_end(reason: tuple[str, str | None], word: str) -> None:
    end = ChoiceEnd(0, FinishReason(reason[0]), reason[1])
    assert fed([ResponseStart(), end, ResponseEnd()])[-1] == ("messageStop", {"stopReason": word})


def test_the_first_choice_alone_is_told() -> None:
    encoder = CONVERSE.stream_encoder(Stamp(), no_price, include_usage=True)
    events: list[Event] = [ResponseStart()]
    for choice in range(3):
        events += [PartStart(choice, TextPart(text=str(choice)), choice), PartEnd(choice)]
        events.append(ChoiceEnd(choice, FinishReason.STOP))
    found = documents_of(encoder.feed([*events, ResponseEnd()]))
    assert [d["delta"] for name, d in found if name == "contentBlockDelta"] == [{"text": "0"}]
    assert [loss.path for loss in encoder.losses] == ["/choices/1", "/choices/2"]


LOST: dict[str, Part] = {
    "run by another provider": ToolCallPart(call_id="a", name="f", executor=Executor.PROVIDER),
    "a document of another dialect": OpaquePart(dialect="chat", document={}),
    "sound": MediaPart(kind=MediaKind.AUDIO, media_type="audio/wav", data="YQ=="),
    "an image by URL": MediaPart(
        kind=MediaKind.IMAGE, media_type="image/png", url="https://x.test"
    ),
}


@pytest.mark.parametrize("part", LOST.values(), ids=LOST)
def test_what_a_stream_cannot_show_is_told(part: Part) -> None:
    encoder = CONVERSE.stream_encoder(Stamp(), no_price, include_usage=True)
    found = documents_of(encoder.feed(list(unfold(answer(part)))))
    assert [name for name, _ in found] == ["messageStart", "messageStop", "metadata"]
    assert [(loss.path, loss.action) for loss in encoder.losses] == [
        ("/choices/0/parts/0", "dropped")
    ]
    assert found[-1][1]["usage"]["losses"][0]["path"] == "/choices/0/parts/0"


def test_usage_tells_cost_losses_and_tier() -> None:
    lost = Loss("/sampling/seed", "dropped", "why")
    stamp = Stamp(id="gen-1", model="m", provider="Host", created=7, losses=(lost,))
    encoder = CONVERSE.stream_encoder(
        stamp, lambda usage, host: f"0.{len(host or '')}", include_usage=False
    )
    usage = UsageUpdate(Usage(input=1, output=2, tier="priority"))
    found = documents_of(encoder.feed([ResponseStart(id="up"), STOP[0], usage, ResponseEnd()]))
    assert found[0][1] == {
        "role": "assistant",
        "id": "gen-1",
        "model": "m",
        "provider": "Host",
        "created": 7,
    }
    told = found[-1][1]
    assert str(told["usage"]["cost"]) == "0.4"
    assert told["usage"]["losses"] == [{"path": lost.path, "action": "dropped", "why": "why"}]
    assert told["serviceTier"] == {"type": "priority"}


def test_without_usage_nothing_is_told_of_it() -> None:
    assert fed([ResponseStart(), *STOP])[-1][0] == "messageStop"


SHOWN: dict[str, tuple[Part, list[Any]]] = {
    "own proof": (
        ReasoningPart(text="t", signature="s", format=OWN),
        [{"reasoningContent": {"text": "t"}}, {"reasoningContent": {"signature": "s"}}],
    ),
    "redacted": (
        ReasoningPart(form=ReasoningForm.REDACTED, sealed="abc", format=OWN),
        [{"reasoningContent": {"redactedContent": "YWJj"}}],
    ),
    "refusal": (RefusalPart(text="no"), [{"text": "no"}]),
    "image": (
        MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="YQ=="),
        [{"image": {"source": {"bytes": "YQ=="}}}],
    ),
    "cited": (
        TextPart(
            text="a",
            annotations=({"type": "url_citation", "url_citation": {"url": "u", "start_index": 1}},),
        ),
        [{"citation": {"location": {"web": {"url": "u", "startIndex": 1}}}}, {"text": "a"}],
    ),
}


@pytest.mark.parametrize(("part", "deltas"), SHOWN.values(), ids=SHOWN)
def test_parts(part: Part, deltas: list[Any]) -> None:
    found = [d["delta"] for name, d in told_of(part) if name == "contentBlockDelta"]
    assert found == deltas


TAGGED: dict[str, Part] = {
    "a summary": ReasoningPart(
        text="t", form=ReasoningForm.SUMMARY, signature="s", format="openai-responses-v1"
    ),
    "sealed": ReasoningPart(form=ReasoningForm.SEALED, sealed="s", format="openai-responses-v1"),
    "on a call": ToolCallPart(
        call_id="a", name="f", arguments="{}", signature="s", format="google-gemini-v1"
    ),
    "on a text": TextPart(text="a", signature="s", format="google-gemini-v1"),
    "looks like a tag": ReasoningPart(text="t", signature='arno:{"signature":"x"}', format=OWN),
}


@pytest.mark.parametrize("part", TAGGED.values(), ids=TAGGED)
def test_artefacts_of_other_wires_are_told_apart_and_come_back(part: Part) -> None:
    (found,) = folded(decode(encode([list(unfold(answer(part)))]))).choices[0].parts
    assert bare(found) == bare(part)
    plain = [{"reasoningContent": {"signature": part.signature}}, {"text": part.signature}]
    assert not [d for name, d in told_of(part) if d.get("delta") in plain]


def test_events_of_this_dialect_that_nothing_else_knows_go_on() -> None:
    known = Opaque("converse", {"contentBlockDelta": {"contentBlockIndex": 7, "delta": {"x": 1}}})
    events: list[Event] = [ResponseStart(), known, Opaque("chat", {"metadata": {}}), *STOP]
    assert [name for name, _ in fed(events)] == ["messageStart", "contentBlockDelta", "messageStop"]


def test_what_waits_for_its_turn_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_encode, "MAX_HELD", 5000)
    piece = PartDelta(1, Slot.TEXT, "x" * 100)
    late = PartDelta(2, Slot.TEXT, "y" * 100)
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartStart(1, TextPart()),
        *[piece] * 20,
    ]
    turns: list[Event] = [PartEnd(0), PartStart(2, TextPart()), *[late] * 20, PartEnd(1)]
    told = fed(checked([*events, *turns, PartEnd(2), *STOP]))
    assert [name for name, _ in told[-2:]] == ["contentBlockStop", "messageStop"]
    told = fed([*events, *[piece] * 20, PartEnd(0), PartEnd(1), *STOP])
    assert told[-1][0] == "!modelStreamErrorException"
    said = [document["delta"]["text"] for name, document in told if name == "contentBlockDelta"]
    assert said == ["x" * 100] * (len(told) - 2), "what was kept is told, and nothing after it"
    assert len(said) > 20


def test_parts_that_wait_count_with_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_encode, "MAX_HELD", 5000)
    starts = [PartStart(n, TextPart(text="x" * 1000)) for n in range(6)]
    assert len(fed([ResponseStart(), *starts[:3]])) == 2
    assert fed([ResponseStart(), *starts])[-1][0] == "!modelStreamErrorException"
