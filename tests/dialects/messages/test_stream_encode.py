"""Streams of messages for clients: the grammar (R6), failures (R5), what the SDK reads."""

import pytest

from arno.canon.events import (
    ChoiceEnd,
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
from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import (
    Item,
    MediaPart,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Stamp
from arno.dialects.messages import stream_encode
from tests.dialects.messages.documents import MESSAGES, events_of
from tests.laws import messages_grammar as grammar
from tests.laws.harness import folded, no_price

END = (ChoiceEnd(0, FinishReason.STOP), ResponseEnd())
FAILURE = Failure(FailureKind.OVERLOADED, "busy", retryable=True, stage=Stage.MID_STREAM)


def encoder(**stamp):
    return MESSAGES.stream_encoder(Stamp(**stamp), no_price, include_usage=True)


def told(*events, **stamp):
    return encoder(**stamp).feed([ResponseStart(), *events])


def blocks(*events):
    """(type, what its deltas said) of each block."""
    return [(start["type"], said(deltas)) for start, deltas in grammar.check(told(*events))]


def said(deltas):
    keys = ("text", "thinking", "partial_json", "signature")
    return "".join(delta.get(key, "") for delta in deltas for key in keys)


def part(index, empty, *pieces, slot=Slot.TEXT):
    deltas = [PartDelta(index, slot, piece) for piece in pieces]
    return [PartStart(index, empty), *deltas, PartEnd(index)]


def answer(*parts, reason=FinishReason.STOP):
    return Response(choices=(Choice(parts=parts, reason=reason),))


def test_r6_reasoning_then_text_then_two_tools_as_chat_keeps_them_open():
    """Chat ends all parts with the finish: calls wait for one another, text does not."""
    a, b = (ToolCallPart(call_id=id_, name="add") for id_ in "ab")
    events = [
        PartStart(0, ReasoningPart()),
        PartDelta(0, Slot.TEXT, "hm"),
        PartStart(1, TextPart()),
        PartDelta(1, Slot.TEXT, "so"),
        PartStart(2, a),
        PartDelta(2, Slot.ARGUMENTS, '{"x":'),
        PartStart(3, b),
        PartDelta(3, Slot.ARGUMENTS, "{}"),
        PartDelta(2, Slot.ARGUMENTS, "1}"),
        *(PartEnd(n) for n in range(4)),
    ]
    found = blocks(*events, ChoiceEnd(0, FinishReason.TOOL_CALLS), ResponseEnd())
    assert [type_ for type_, _ in found] == ["thinking", "text", "tool_use", "tool_use"]
    assert [text for _, text in found][1:] == ["so", '{"x":1}', "{}"]


def test_text_is_told_at_once_and_only_what_follows_an_open_call_waits():
    writer = encoder()
    writer.feed([ResponseStart(), PartStart(0, TextPart())])
    assert b"so" in writer.feed([PartDelta(0, Slot.TEXT, "so")])
    assert b"tool_use" in writer.feed([PartStart(1, ToolCallPart(call_id="a", name="n"))])
    assert writer.feed([PartDelta(0, Slot.TEXT, "late")]) == b""
    assert b"late" in writer.feed([PartEnd(1)])


def test_interleaved_text_and_reasoning_keep_their_order():
    events = [PartStart(0, ReasoningPart()), PartStart(1, TextPart())]
    events += [PartDelta(n, Slot.TEXT, piece) for n, piece in ((0, "a"), (1, "b"), (0, "c"))]
    found = blocks(*events, PartEnd(0), PartEnd(1), *END)
    assert [type_ for type_, _ in found] == ["thinking", "text", "thinking"]


def test_message_start_waits_for_the_first_thing_to_say_and_knows_usage_by_then():
    writer = encoder(id="gen-1", model="m", provider="Host")
    assert writer.feed([ResponseStart(id="up", model="up/m")]) == b""
    assert writer.feed([KeepAlive(None)]) == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert writer.feed([UsageUpdate(Usage(input=9, output=1))]) == b""
    (start, *_) = grammar.documents(writer.feed([PartStart(0, TextPart(text="x"))]))
    message = start["message"]
    assert (message["id"], message["model"], message["provider"]) == ("gen-1", "m", "Host")
    assert message["usage"] == {"input_tokens": 9, "output_tokens": 1}


def test_usage_at_the_end_has_cost_and_losses():
    stamp = Stamp(losses=(Loss("/sampling/seed", "dropped", "why"),))
    writer = MESSAGES.stream_encoder(stamp, lambda usage, by: "0.0010", include_usage=True)
    usage = UsageUpdate(Usage(input=9, output=1))
    media = PartStart(0, MediaPart(data="eA=="))
    body = writer.feed([ResponseStart(), media, PartEnd(0), usage, *END])
    told_usage = grammar.documents(body)[-2]["usage"]
    assert str(told_usage["cost"]) == "0.0010"
    assert [loss["path"] for loss in told_usage["losses"]] == [
        "/sampling/seed",
        "/choices/0/parts/0",
    ]
    assert [loss.path for loss in writer.losses] == ["/choices/0/parts/0"]


def test_a_cost_that_was_reported_keeps_its_digits():
    usage = UsageUpdate(Usage(input=1, output=1, cost="0.00100"))
    writer = MESSAGES.stream_encoder(Stamp(), lambda usage, by: "7", include_usage=True)
    assert b'"cost":0.00100' in writer.feed([ResponseStart(), usage, *END])


@pytest.mark.parametrize(
    "reasoning",
    [
        ReasoningPart(text="t"),
        ReasoningPart(text="t", signature="s", format="anthropic-claude-v1"),
        ReasoningPart(
            text="t",
            form=ReasoningForm.SUMMARY,
            format="openai-responses-v1",
            item=Item(id="rs:1", index=0),
        ),
        ReasoningPart(
            form=ReasoningForm.SEALED, sealed="x:y", format="openai-responses-v1", id="rs_1"
        ),
        ReasoningPart(form=ReasoningForm.REDACTED, sealed="x", format="anthropic-claude-v1"),
    ],
)
def test_reasoning_of_every_origin_comes_back(reasoning):
    body = told(*[e for e in unfold(answer(reasoning)) if not isinstance(e, ResponseStart)])
    grammar.check(body)
    (read,) = folded(events_of(body)).choices[0].parts
    for field in ("text", "form", "signature", "sealed", "format", "id", "item"):
        assert getattr(read, field) == getattr(reasoning, field), field


def test_this_wire_s_own_reasoning_has_no_tag():
    own = ReasoningPart(text="t", signature="s", format="anthropic-claude-v1")
    body = told(*part(0, own), *END)
    assert b"arno:" not in body
    assert b"arno:" in told(*part(0, ReasoningPart(text="t")), *END)


def test_who_reads_a_signature_may_be_told_at_the_end():
    events = [
        PartStart(0, ToolCallPart(call_id="a", name="n")),
        PartDelta(0, Slot.SIGNATURE, "sig"),
        PartEnd(0, format="google-gemini-v1"),
    ]
    body = told(*events, ChoiceEnd(0, FinishReason.TOOL_CALLS), ResponseEnd())
    assert [s["type"] for s, _ in grammar.check(body)] == ["tool_use", "redacted_thinking"]
    (call,) = folded(events_of(body)).choices[0].parts
    assert (call.signature, call.format) == ("sig", "google-gemini-v1")


def test_other_choices_logprobs_and_media_are_told_as_lost():
    writer = encoder()
    writer.feed(
        [
            ResponseStart(),
            PartStart(0, TextPart(text="a")),
            PartDelta(0, Slot.LOGPROBS, {}),
            PartStart(1, TextPart(text="b"), choice=1),
            PartDelta(1, Slot.TEXT, "b"),
            PartEnd(1),
            PartStart(2, MediaPart()),
            PartEnd(2),
        ]
    )
    assert [loss.path for loss in writer.losses] == [
        "/choices/0/parts/0",
        "/choices/1",
        "/choices/0/parts/2",
    ]


def test_a_refusal_is_told_as_text():
    writer = encoder()
    body = writer.feed([ResponseStart(), *part(0, RefusalPart(), "no"), *END])
    assert [(s["type"], said(d)) for s, d in grammar.check(body)] == [("text", "no")]
    assert [loss.action for loss in writer.losses] == ["approximated"]


@pytest.mark.parametrize(
    ("reason", "native", "word"),
    [
        (FinishReason.STOP, None, "end_turn"),
        (FinishReason.STOP, "stop_sequence", "stop_sequence"),
        (FinishReason.STOP, "completed", "end_turn"),
        (FinishReason.LENGTH, "model_context_window_exceeded", "model_context_window_exceeded"),
        (FinishReason.LENGTH, "MAX_TOKENS", "max_tokens"),
        (FinishReason.CONTENT_FILTER, "SAFETY", "refusal"),
        (FinishReason.OTHER, "pause_turn", "pause_turn"),
        (FinishReason.OTHER, "LANGUAGE", "end_turn"),
    ],
)
def test_reasons(reason, native, word):
    body = told(*part(0, TextPart(), "x"), ChoiceEnd(0, reason, native), ResponseEnd())
    assert grammar.documents(body)[-2]["delta"]["stop_reason"] == word


def test_calls_are_never_hidden_behind_a_plain_end():
    """R4."""
    call = part(0, ToolCallPart(call_id="a", name="n"))
    body = told(*call, ChoiceEnd(0, FinishReason.OTHER, "x"), ResponseEnd())
    assert grammar.documents(body)[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [PartStart(0, TextPart())],
        [PartStart(0, TextPart(text="a"))],
        [PartStart(0, TextPart(text="a")), PartEnd(0), ChoiceEnd(0, FinishReason.STOP)],
        [PartStart(0, ReasoningPart(form=ReasoningForm.SEALED)), PartDelta(0, Slot.SEALED, "x")],
        [
            PartStart(0, ToolCallPart(call_id="a", name="n", arguments="{")),
            PartStart(1, ToolCallPart(call_id="b", name="n", arguments="{}")),
        ],
    ],
)
def test_a_failure_at_any_point_ends_the_stream_and_nothing_is_made_up(events):
    """R5. What waited is said before."""
    body = told(*events, StreamError(FAILURE), id="gen-1")
    found = grammar.check_failed(body)
    error = grammar.documents(body)[-1]
    assert error["error"]["type"] == "overloaded_error"
    assert error["error"]["error_type"] == "provider_overloaded"
    assert error["request_id"] == "gen-1"
    starts = [e for e in events if isinstance(e, PartStart)]
    spoke = [e for e in starts if getattr(e.part, "text", "") or not isinstance(e.part, TextPart)]
    assert len(found) == len(spoke)


def test_a_failure_before_everything_is_the_failure_alone():
    body = encoder().feed([StreamError(FAILURE)])
    assert [d["type"] for d in grammar.documents(body)] == ["error"]


def test_an_end_without_a_reason_is_a_failure():
    grammar.check_failed(told(*part(0, TextPart(), "x"), ResponseEnd()))
    grammar.check(told(*part(0, TextPart(), "x"), *END))


def test_documents_of_this_dialect_go_on_and_others_do_not():
    later = Opaque("messages", {"type": "later", "x": 1})
    body = told(later, Opaque("chat", {"type": "x"}), *part(0, TextPart(), "x"), *END)
    assert [d["type"] for d in grammar.documents(body)][:2] == ["message_start", "later"]
    assert b'"x"' not in body.replace(b'"x":1', b"").replace(b'"text":"x"', b"")


def test_calls_that_wait_cost_no_more_than_they_are():
    """A thousand calls that all end with the answer: work and memory stay in line."""
    calls = [ToolCallPart(call_id=str(n), name="n") for n in range(1000)]
    events = [PartStart(n, call) for n, call in enumerate(calls)]
    events += [PartDelta(n, Slot.ARGUMENTS, "{}") for n in range(1000)]
    events += [PartEnd(n) for n in range(1000)]
    found = blocks(*events, ChoiceEnd(0, FinishReason.TOOL_CALLS), ResponseEnd())
    assert found == [("tool_use", "{}")] * 1000


def test_what_waits_for_a_call_is_bounded(monkeypatch):
    monkeypatch.setattr(stream_encode, "MAX_HELD", 5000)
    call = PartStart(0, ToolCallPart(call_id="a", name="n"))
    piece = PartDelta(1, Slot.TEXT, "x" * 100)
    events = [call, PartStart(1, TextPart()), *[piece] * 20]
    again = [PartStart(2, call.part), *[piece] * 20, PartEnd(2), PartEnd(1)]
    assert len(blocks(*events, PartEnd(0), *again, *END)) == 4, "what was told is kept no more"
    body = told(*events, *[piece] * 20, PartEnd(0), PartEnd(1), *END)
    started = grammar.check_failed(body)
    assert [start["type"] for start, _ in started] == ["tool_use", "text"]
    assert 20 < len(said(started[1][1])) / 100 < 40, "what was kept is told, and nothing after it"


def test_nothing_is_said_behind_a_failure():
    stream = encoder()
    assert stream.feed([ResponseStart(), StreamError(FAILURE)])
    assert stream.feed([PartStart(0, TextPart(text="x")), PartEnd(0), *END]) == b""
