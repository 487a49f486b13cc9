"""Streams toward clients: what waits and what does not, endings, what cannot be told."""

import gc
import tracemalloc
import weakref

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
from arno.canon.failure import Failure, FailureKind
from arno.canon.parts import (
    Executor,
    MediaKind,
    MediaPart,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.response import FinishReason
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects import bounds
from arno.dialects.base import Stamp
from arno.dialects.gemini import stream_encode
from arno.wire import json
from tests.dialects.gemini.building import answer, chunks_of, fed
from tests.laws.gemini import GEMINI, decode, encode, failure_of
from tests.laws.harness import failed, folded, no_price

CALL = ToolCallPart(call_id="1", name="f")
STOP = ChoiceEnd(0, FinishReason.STOP, "stop")


def parts(documents: list[dict]) -> list[dict]:
    return [
        part
        for document in documents
        for candidate in document.get("candidates", ())
        for part in candidate["content"]["parts"]
    ]


def test_a_stream_in_chunks():
    events = [
        ResponseStart(id="a1", model="m", created=1_700_000_000),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.TEXT, "hé"),
        PartEnd(0),
        ChoiceEnd(0, FinishReason.LENGTH, "length"),
        UsageUpdate(Usage(input=1, output=2)),
        ResponseEnd(),
    ]
    tail = {"modelVersion": "m", "createTime": "2023-11-14T22:13:20Z", "responseId": "a1"}
    body, losses = encode([events])
    assert losses == ()
    assert chunks_of(body) == [
        {
            "candidates": [{"content": {"parts": [{"text": "hé"}], "role": "model"}, "index": 0}],
            **tail,
        },
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": ""}], "role": "model"},
                    "index": 0,
                    "finishReason": "MAX_TOKENS",
                }
            ],
            "usageMetadata": {
                "promptTokenCount": 1,
                "candidatesTokenCount": 2,
                "totalTokenCount": 3,
            },
            **tail,
        },
    ]
    assert body.endswith(b"}\r\n\r\n")
    assert body.count(b"\r\n\r\n") == 2


def test_a_call_is_told_whole_and_text_does_not_wait_for_it():
    events = [
        ResponseStart(),
        PartStart(0, CALL),
        PartDelta(0, Slot.ARGUMENTS, '{"a": '),
        PartStart(1, TextPart()),
        PartDelta(1, Slot.TEXT, "now"),
        PartDelta(0, Slot.ARGUMENTS, "1}"),
        PartEnd(0),
    ]
    said = fed(events)
    assert parts(said) == [
        {"text": "now"},
        {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
    ]


def test_calls_keep_their_order_whichever_ends_first():
    other = ToolCallPart(call_id="2", name="g")
    begun = [ResponseStart(), PartStart(0, CALL), PartStart(1, other), PartEnd(1)]
    assert fed(begun) == []
    said = fed([*begun, PartEnd(0), STOP])
    assert [part["functionCall"]["id"] for part in parts(said)] == ["1", "2"]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FinishReason.TOOL_CALLS, {"args": {}}),
        (FinishReason.STOP, {"args": {}}),
        (FinishReason.LENGTH, {"willContinue": True}),
        (FinishReason.CONTENT_FILTER, {"willContinue": True}),
    ],
)
def test_a_call_that_was_cut_short_gets_no_arguments_made_up(reason, told):
    """Which is known only when the answer ends; a call with arguments need not wait for it."""
    bare = ToolCallPart(call_id="1", name="f")
    value = answer(bare, reason=reason)
    body, losses = encode([list(unfold(value))])
    (call,) = parts(chunks_of(body))[:1]
    document, whole_losses = GEMINI.encode_response(value)
    assert call == {"functionCall": {"id": "1", "name": "f", **told}}
    whole = json.loads(json.dumps(document))
    assert whole["candidates"][0]["content"]["parts"] == [call]
    lost = [] if "args" in told else ["approximated"]
    assert [loss.action for loss in losses] == [loss.action for loss in whole_losses] == lost
    (read,) = folded(decode(body)).choices[0].parts
    assert isinstance(read, ToolCallPart)
    assert read.arguments == ("{}" if "args" in told else "")
    begun = [ResponseStart(), PartStart(0, bare)]
    assert fed([*begun, PartEnd(0)]) == []
    assert len(fed([*begun, PartDelta(0, Slot.ARGUMENTS, "{}"), PartEnd(0)])) == 1


def test_text_of_which_nothing_can_be_cited_is_not_kept():
    encoder = GEMINI.stream_encoder(Stamp(), no_price, include_usage=True)
    encoder.feed([ResponseStart(), PartStart(0, TextPart()), PartStart(1, ReasoningPart())])
    tracemalloc.start()
    try:
        for number in range(64):
            piece = str(number) * 65536
            encoder.feed([PartDelta(0, Slot.TEXT, piece), PartDelta(1, Slot.TEXT, piece)])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1024 * 1024


def test_many_open_calls_are_told_in_a_time_that_grows_with_their_number():
    """Counted in steps, not in seconds: each part that ends looks at no others but the first."""

    class Counted(dict):
        looks = 0

        def __getitem__(self, key):
            Counted.looks += 1
            return super().__getitem__(key)

        def items(self):
            Counted.looks += len(self)
            return super().items()

    encoder = stream_encode.GeminiStreamEncoder(Stamp(), no_price)
    encoder._waiting = Counted()
    calls = range(2000)
    start = [PartStart(n, ToolCallPart(call_id=str(n), name="f", arguments="{}")) for n in calls]
    encoder.feed([ResponseStart(), *start])
    body = encoder.feed([PartEnd(n) for n in reversed(calls)])
    assert [part["functionCall"]["id"] for part in parts(chunks_of(body))] == [
        str(n) for n in calls
    ]
    assert Counted.looks < 10 * len(calls)


def test_what_waits_behind_an_open_call_is_bounded():
    picture = MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="A" * (3 * 1024 * 1024))
    events = [ResponseStart(), PartStart(0, CALL)]
    for number in range(1, 4):
        events += [PartStart(number, picture), PartEnd(number)]
    told = fed(events)
    assert told[-1]["error"]["code"] == 502
    assert all("error" not in chunk for chunk in fed(events[:-2]))
    free = [events[0], *events[2:]]
    assert len(fed(free)) == 3


def test_citations_are_told_up_to_a_bound():
    note = {"type": "url_citation", "url_citation": {"url": "https://a.test"}}
    begun = [ResponseStart(), PartStart(0, TextPart()), PartDelta(0, Slot.TEXT, "a")]
    for many, lost in ((1000, []), (1001, ["dropped"])):
        cited = [PartDelta(0, Slot.ANNOTATION, note)] * many
        body, losses = encode([[*begun, *cited, PartEnd(0), STOP, ResponseEnd()]])
        told = chunks_of(body)[-1]["candidates"][0]["groundingMetadata"]["groundingSupports"]
        assert len(told) == 1000
        assert [loss.action for loss in losses] == lost


def test_a_failure_tells_what_is_whole_and_no_finish():
    """R5: everything that was received, no invented end, no invented usage."""
    failure = Failure(FailureKind.TRUNCATED, "cut", retryable=True)
    other = ToolCallPart(call_id="2", name="g")
    begun = [
        ResponseStart(),
        PartStart(0, CALL),
        PartDelta(0, Slot.ARGUMENTS, '{"a"'),
        PartStart(1, other),
        PartEnd(1),
        STOP,
    ]
    body, _ = encode([[*begun, StreamError(failure), STOP]])
    call, error = chunks_of(body)
    assert [part["functionCall"]["id"] for part in parts([call])] == ["2"]
    assert (error["error"]["code"], error["error"]["status"]) == (502, "UNAVAILABLE")
    assert b"finishReason" not in body
    assert b"usageMetadata" not in body
    # The same document stands behind the event as plain JSON, for the SDKs that look for it there.
    assert body.endswith(b"}\r\n")
    assert body.count(b'{"error":') == 2
    assert failure_of(decode(body)).kind is FailureKind.TRUNCATED
    assert not failed(decode(encode([[*begun, PartEnd(0), ResponseEnd()]])[0]))


def test_an_answer_that_does_not_say_why_it_ends_is_a_failure():
    body, _ = encode([list(unfold(answer(TextPart(text="a"), reason=None)))])
    assert failure_of(decode(body)).kind is FailureKind.INVALID_ANSWER


def test_nothing_is_told_behind_the_end():
    events = list(unfold(answer(TextPart(text="a"))))
    assert encode([[*events, *events]])[0] == encode([events])[0]


def test_what_must_be_told_whole_is_bounded(monkeypatch):
    monkeypatch.setattr(stream_encode, "MAX_HELD", 2 * bounds.PIECE + 500)
    begun = [ResponseStart(), PartStart(0, CALL), PartDelta(0, Slot.ARGUMENTS, "x" * 100)]
    assert fed(begun) == []
    (error,) = fed([*begun, PartDelta(0, Slot.ARGUMENTS, "x" * 500)])
    assert error["error"]["code"] == 502


def test_reasoning_of_another_wire_is_told_and_read_back():
    said = (
        ReasoningPart(text="a", signature="s", format="anthropic-claude-v1"),
        ReasoningPart(text="b", form=ReasoningForm.SUMMARY, id="rs", format="openai-responses-v1"),
        ReasoningPart(text="c", form=ReasoningForm.SUMMARY, id="rs", format="openai-responses-v1"),
        ReasoningPart(form=ReasoningForm.SEALED, sealed="x", format="openai-responses-v1"),
        ReasoningPart(form=ReasoningForm.REDACTED, sealed="y", format="anthropic-claude-v1"),
        ReasoningPart(text="d"),
        ReasoningPart(text="e"),
        RefusalPart(text="no"),
    )
    body, losses = encode([list(unfold(answer(*said)))])
    assert losses == ()
    read = folded(decode(body)).choices[0].parts
    kept = [(p.text, getattr(p, "form", None), p.signature, p.format, p.id) for p in read]
    assert kept == [(p.text, getattr(p, "form", None), p.signature, p.format, p.id) for p in said]
    assert [getattr(p, "sealed", None) for p in read] == [getattr(p, "sealed", None) for p in said]


def test_a_format_that_is_told_at_the_end_is_kept():
    events = [
        ResponseStart(),
        PartStart(0, ReasoningPart()),
        PartDelta(0, Slot.TEXT, "hm"),
        PartDelta(0, Slot.SIGNATURE, "sig"),
        PartEnd(0, format="anthropic-claude-v1"),
        STOP,
        ResponseEnd(),
    ]
    (part,) = folded(decode(encode([events])[0])).choices[0].parts
    assert (part.signature, part.format) == ("sig", "anthropic-claude-v1")


def test_media_and_what_has_no_form_here():
    picture = MediaPart(kind=MediaKind.AUDIO, media_type="audio/wav", transcript="t")
    ran = ToolCallPart(call_id="1", name="web", executor=Executor.PROVIDER)
    given = ToolResultPart(call_id="1", executor=Executor.PROVIDER)
    events = [
        ResponseStart(),
        PartStart(0, ran),
        PartDelta(0, Slot.ARGUMENTS, "{}"),
        PartEnd(0),
        PartStart(1, given),
        PartDelta(1, Slot.TEXT, "x"),
        PartEnd(1),
        PartStart(2, picture),
        PartDelta(2, Slot.MEDIA, "aGk="),
        PartEnd(2),
        PartStart(3, TextPart()),
        PartDelta(3, Slot.LOGPROBS, {}),
        PartEnd(3),
        STOP,
        ResponseEnd(),
    ]
    body, losses = encode([events])
    assert parts(chunks_of(body)) == [
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
        {"text": ""},
    ]
    assert [loss.path for loss in losses] == [
        "/choices/0/parts/0",
        "/choices/0/parts/1",
        "/choices/0/parts/2/transcript",
        "/choices/0/parts/3/logprobs",
    ]
    assert [entry["path"] for entry in chunks_of(body)[-1]["usageMetadata"]["losses"]] == [
        loss.path for loss in losses
    ]


def test_the_stamp_the_cost_and_the_losses_of_the_request():
    stamp = Stamp(id="ours", model="alias", losses=(Loss("/user", "dropped", "why"),))
    events = list(unfold(answer(TextPart(text="a"))))
    events.insert(-1, UsageUpdate(Usage(input=1, output=2)))
    last = fed(events, stamp, lambda usage, host: "0.0000001")[-1]
    assert (last["responseId"], last["modelVersion"]) == ("ours", "alias")
    assert str(last["usageMetadata"]["cost"]) == "1E-7"
    assert last["usageMetadata"]["losses"] == [{"path": "/user", "action": "dropped", "why": "why"}]


def test_citations_are_told_while_their_text_is_open():
    note = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.test", "start_index": 1, "end_index": 2},
    }
    events = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.TEXT, "é"),
        PartDelta(0, Slot.TEXT, "b"),
        PartDelta(0, Slot.ANNOTATION, note),
        PartEnd(0),
        PartStart(1, CALL),
        PartEnd(1),
        ChoiceEnd(0, FinishReason.TOOL_CALLS),
        ResponseEnd(),
    ]
    body, losses = encode([events])
    assert losses == ()
    assert folded(decode(body)).choices[0].parts[0].annotations == (note,)
    chunks = chunks_of(body)
    told = [c["candidates"][0].get("groundingMetadata") for c in chunks]
    assert told[2] == told[-1] is not None


def test_signs_of_life_are_chunks_that_every_sdk_reads():
    (beat,) = fed([KeepAlive("x")])
    assert beat == {
        "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}]
    }
    assert GEMINI.heartbeat() == encode([[KeepAlive()]])[0]
    assert decode(GEMINI.heartbeat() + encode([list(unfold(answer(TextPart(text="a"))))])[0])
    assert fed([Opaque("gemini", {"a": 1}), Opaque("chat", {"b": 1})]) == [{"a": 1}]
    assert GEMINI.stream_done() == b""


@pytest.mark.parametrize("reason", [None, "SAFETY"])
def test_a_refused_prompt_is_told_as_one(reason):
    feedback = {"promptFeedback": {"blockReason": reason or "OTHER"}}
    ext = {"gemini": {"@blocked": True, **(feedback if reason else {})}}
    end = ChoiceEnd(0, FinishReason.CONTENT_FILTER, reason, ext)
    assert fed([ResponseStart(), end, ResponseEnd()]) == [feedback]


def test_each_choice_has_its_own_end():
    events = [
        ResponseStart(),
        PartStart(0, TextPart(), 0),
        PartStart(1, TextPart(), 1),
        PartDelta(1, Slot.TEXT, "b"),
        PartDelta(0, Slot.TEXT, "a"),
        PartEnd(0),
        PartEnd(1),
        STOP,
        ChoiceEnd(1, FinishReason.LENGTH),
        ChoiceEnd(0, FinishReason.LENGTH),
        ResponseEnd(),
    ]
    read = folded(decode(encode([events])[0]))
    assert [(c.parts[0].text, c.reason) for c in read.choices] == [
        ("a", FinishReason.STOP),
        ("b", FinishReason.LENGTH),
    ]


def test_an_encoder_is_no_part_of_a_cycle():
    """Thousands of streams are not left to the collector."""
    encoder = GEMINI.stream_encoder(Stamp(), no_price, include_usage=True)
    encoder.feed(list(unfold(answer(TextPart(text="a"), CALL))))
    decoder = GEMINI.stream_decoder()
    gc.disable()
    try:
        watched = [weakref.ref(encoder), weakref.ref(decoder)]
        del encoder, decoder
        assert [each() for each in watched] == [None, None]
    finally:
        gc.enable()
