"""Streams: pieces and parts, endings, errors where hosts put them, counts that come late."""

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
from arno.canon.failure import FailureKind, Stage
from arno.canon.parts import ReasoningPart, TextPart, ToolCallPart
from arno.canon.response import FinishReason
from arno.wire import json
from tests.dialects.gemini.building import SIGNATURE, answered, body_of
from tests.laws.gemini import GEMINI, decode, failure_of
from tests.laws.harness import RESET, folded, frames_of

A, B = ({"text": text} for text in "ab")


def more(*parts: dict, **members) -> dict:
    return answered(*parts, finish=None, **members)


def texts(body):
    return [part.text for part in folded(decode(body)).choices[0].parts]


def test_a_stream_in_events():
    call = {"functionCall": {"name": "f", "args": {"a": 1}, "id": "1"}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}
    first = {**more(A), "createTime": "2023-11-14T22:13:20.5Z"}
    events = decode(body_of(first, more(B), {**answered(call), "usageMetadata": usage}))
    start, *rest = events
    assert start == ResponseStart(id="r1", model="m1", created=1_700_000_000)
    assert [type(event) for event in rest] == [
        PartStart,
        PartDelta,
        PartDelta,
        PartEnd,
        PartStart,
        PartDelta,
        PartEnd,
        UsageUpdate,
        ChoiceEnd,
        ResponseEnd,
    ]
    (part,) = (e.part for e in events if isinstance(e, PartStart) and e.index == 1)
    assert isinstance(part, ToolCallPart)
    assert (part.call_id, part.arguments) == ("1", "")
    assert PartDelta(1, Slot.ARGUMENTS, '{"a":1}') in events


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([A, B], ["ab"]),
        ([A, {"text": "b", "thought": True}], ["a", "b"]),
        ([{"text": "a", "thought": True}, {"text": "b", "thought": True}, A], ["ab", "a"]),
        ([A, {"text": "", "thoughtSignature": SIGNATURE}], ["a", ""]),
        ([A, {"text": "b", "thoughtSignature": SIGNATURE}, A], ["a", "b", "a"]),
        ([A, {"text": ""}, B], ["ab"]),
        ([A, {"text": "b", "novelty": 1}], ["a", "b"]),
    ],
)
def test_which_pieces_are_one_part(pieces, expected):
    chunks = [more(piece) for piece in pieces]
    assert texts(body_of(*chunks, answered())) == expected
    together = body_of(answered(*pieces))
    assert texts(together) == expected


def test_a_signature_alone_signs_the_thought_before_it():
    thought = {"text": "hm", "thought": True}
    signed = {"text": "", "thought": True, "thoughtSignature": SIGNATURE}
    (part,) = folded(decode(body_of(more(thought), answered(signed)))).choices[0].parts
    assert isinstance(part, ReasoningPart)
    assert (part.text, part.signature, part.format) == ("hm", SIGNATURE, "google-gemini-v1")


def test_the_quick_way_and_the_other_lead_to_the_same_events():
    body = body_of(more(A), more(B), more({"text": "c"}, index=0), answered({"text": "d"}))
    decoder = GEMINI.stream_decoder()
    batches = [decoder.feed(frame) for frame in frames_of(body)]
    assert [batch.plain for batch in batches] == [False, True, True, False]
    assert batches[1].document is None
    slow = body_of(more(A), more(B, novelty=1), more({"text": "c"}), answered({"text": "d"}))
    assert texts(body) == texts(slow) == ["abcd"]


def test_counts_add_up_and_late_ones_are_told_at_the_end():
    early = {**more(A), "usageMetadata": {"trafficType": "ON_DEMAND"}}
    quick = {**more(B), "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 6}}
    events = decode(body_of(early, quick, answered()))
    usages = [event.usage for event in events if isinstance(event, UsageUpdate)]
    assert [(usage.input, usage.output) for usage in usages] == [(5, 1)]
    cut = decode(body_of(early, quick))
    assert isinstance(cut[-2], UsageUpdate)
    assert (cut[-2].usage.input, cut[-2].usage.output) == (5, None)
    decoder = GEMINI.stream_decoder()
    for frame in frames_of(body_of(early, quick)):
        decoder.feed(frame)
    assert [type(event) for event in decoder.abort(RESET).events] == [UsageUpdate, StreamError]


def test_a_refused_prompt_ends_the_stream_well():
    document = {"promptFeedback": {"blockReason": "SAFETY"}, "responseId": "r1"}
    for body in (body_of(document), body_of(more(), document)):
        events = decode(body)
        assert isinstance(events[-1], ResponseEnd)
        (end,) = (event for event in events if isinstance(event, ChoiceEnd))
        assert (end.reason, end.native_reason) == (FinishReason.CONTENT_FILTER, "SAFETY")


ERROR = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "tail",
    [
        body_of(ERROR),
        json.dumps(ERROR) + b"\r\n\r\n",
        json.dumps(ERROR),
        b'{\n  "error": {\n    "code": 503,\n    "status": "UNAVAILABLE"\n  }\n}\n',
        b"[" + json.dumps(ERROR) + b"]",
    ],
)
def test_an_error_counts_wherever_a_host_puts_it(tail):
    for body, stage in (
        (body_of(more(A)), Stage.MID_STREAM),
        (body_of(answered(A)), Stage.MID_STREAM),
        (b"", Stage.BEFORE_OUTPUT),
    ):
        failure = failure_of(decode(body + tail))
        assert (failure.kind, failure.code) == (FailureKind.OVERLOADED, "UNAVAILABLE")
        assert failure.stage is stage


@pytest.mark.parametrize(
    "data",
    [b"{", b"7", b'"x"', b'{"candidates":7}', b'{"candidates":[7]}', b"[DONE]"],
)
def test_a_bad_document_is_a_failure(data):
    good = body_of(more(A))
    bad = b"data: " + data + b"\r\n\r\n"
    failure = failure_of(decode(good + bad + body_of(answered())))
    assert (failure.kind, failure.stage) == (FailureKind.INVALID_ANSWER, Stage.MID_STREAM)
    assert isinstance(decode(good + body_of(answered()))[-1], ResponseEnd)


def test_a_broken_ending_is_a_failure_with_the_hosts_own_word():
    body = body_of(more(A), answered(finish="MALFORMED_FUNCTION_CALL", finishMessage="f("))
    failure = failure_of(decode(body))
    assert (failure.kind, failure.code) == (FailureKind.SERVER, "MALFORMED_FUNCTION_CALL")
    assert failure.stage is Stage.MID_STREAM


def test_every_candidate_must_end():
    def of(index: int, finish: str | None) -> dict:
        return {"candidates": [{**answered(A, finish=finish)["candidates"][0], "index": index}]}

    one = body_of(of(0, None), of(1, None), of(0, "STOP"))
    assert failure_of(decode(one)).kind is FailureKind.TRUNCATED
    both = folded(decode(one + body_of(of(1, "MAX_TOKENS"))))
    assert [choice.reason for choice in both.choices] == [FinishReason.STOP, FinishReason.LENGTH]


def test_a_flood_of_candidates_is_refused():
    flood = {"candidates": [{"index": number} for number in range(65)]}
    assert failure_of(decode(body_of(flood))).kind is FailureKind.INVALID_ANSWER
    assert failure_of(decode(body_of({"candidates": [{"index": 0}]}))).kind is FailureKind.TRUNCATED


def test_signs_of_life_and_what_nobody_knows():
    events = decode(b": waiting\r\n\r\n" + body_of({"novelty": 1}, {}, more(A), answered()))
    assert KeepAlive("waiting") in events
    assert Opaque("gemini", {"novelty": 1}) in events


def test_citations_come_once_however_often_they_are_told():
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.test"}}],
        "groundingSupports": [{"segment": {"endIndex": 1}, "groundingChunkIndices": [0]}],
    }
    body = body_of(
        more(A, groundingMetadata={}),
        more(B, groundingMetadata=grounding),
        answered(groundingMetadata=grounding),
    )
    (part,) = folded(decode(body)).choices[0].parts
    assert isinstance(part, TextPart)
    assert part.annotations == (
        {
            "type": "url_citation",
            "url_citation": {"url": "https://a.test", "start_index": 0, "end_index": 1},
        },
    )


def test_counts_that_only_the_quick_way_could_read_count_nothing():
    digits = b"1" * 6000
    odd = body_of(more(B)).replace(
        b'"responseId"', b'"usageMetadata":{"promptTokenCount":3,"x":' + digits + b'},"responseId"'
    )
    plain = odd.replace(digits, b"1")
    assert failure_of(decode(body_of(more(A)) + odd)).kind is FailureKind.TRUNCATED
    cut = decode(body_of(more(A)) + plain)
    assert failure_of(cut).kind is FailureKind.TRUNCATED
    assert any(isinstance(event, UsageUpdate) for event in cut)


@pytest.mark.parametrize("call", [{"args": {}}, {"name": "", "args": {}}, {"name": 7}, 7])
@pytest.mark.parametrize("member", ["functionCall", "function_call"])
def test_a_call_that_names_no_tool_is_a_failure(member, call):
    failure = failure_of(decode(body_of(more(A), answered({member: call}))))
    assert (failure.kind, failure.stage) == (FailureKind.INVALID_ANSWER, Stage.MID_STREAM)
    good = folded(decode(body_of(more(A), answered({member: {"name": "f"}}))))
    assert good.choices[0].reason is FinishReason.TOOL_CALLS


def test_a_call_behind_the_word_for_a_good_end_is_what_the_answer_ended_for():
    call = answered({"functionCall": {"name": "f", "args": {"a": 1}}})
    told = folded(decode(body_of(answered(A), call))).choices[0]
    assert (told.reason, told.native_reason) == (FinishReason.TOOL_CALLS, "STOP")
    assert [type(part) for part in told.parts] == [TextPart, ToolCallPart]
    events = decode(body_of(answered(A), answered(B), answered(finish="MAX_TOKENS")))
    (end,) = (event for event in events if isinstance(event, ChoiceEnd))
    assert end.reason is FinishReason.LENGTH
    assert [part.text for part in folded(events).choices[0].parts] == ["ab"]


def test_a_cited_candidate_is_cited_a_thousand_times_at_most():
    def grounding(supports: int, sources: int) -> dict:
        return {
            "groundingChunks": [{"web": {"uri": f"https://{n}.test"}} for n in range(sources)],
            "groundingSupports": [
                {"segment": {"endIndex": 1}, "groundingChunkIndices": list(range(sources))}
            ]
            * supports,
        }

    for supports, sources, told in ((30, 30, 900), (300, 300, 1000)):
        meta = grounding(supports, sources)
        events = decode(body_of(*[more(A, groundingMetadata=meta)] * 3, answered()))
        cited = [event for event in events if isinstance(event, PartDelta) and event.value != "a"]
        assert len(cited) == told
        (end,) = (event for event in events if isinstance(event, ChoiceEnd))
        assert end.ext["gemini"]["groundingMetadata"] == meta


def test_what_is_kept_for_the_end_is_bounded():
    long = "y" * (3 * 1024 * 1024)
    chunks = [more(A, **{f"k{number}": long}) for number in range(3)]
    assert failure_of(decode(body_of(*chunks, answered()))).kind is FailureKind.INVALID_ANSWER
    assert isinstance(decode(body_of(*chunks[:2], answered()))[-1], ResponseEnd)
    again = [more(A, k=long)] * 4
    assert isinstance(decode(body_of(*again, answered()))[-1], ResponseEnd)
    beside = [{**more(A), f"k{number}": long} for number in range(3)]
    assert failure_of(decode(body_of(*beside, answered()))).kind is FailureKind.INVALID_ANSWER
