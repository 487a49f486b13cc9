"""Streams of the responses dialect, read: hosts that say more or less than they should."""

from typing import Any

import pytest

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    Opaque,
    PartDelta,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
)
from arno.canon.failure import FailureKind, Stage
from arno.canon.fold import fold
from arno.canon.parts import (
    Executor,
    MediaPart,
    OpaquePart,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import FinishReason
from arno.dialects import tags
from arno.dialects.responses.stream_decode import ResponsesStreamDecoder
from arno.wire import encode_sse
from tests.dialects.responses.building import (
    Document,
    added,
    created,
    ended,
    item_done,
    message,
    response,
    stream,
    text_delta,
    whole,
)
from tests.laws.harness import decode, failed, folded
from tests.laws.responses import RESPONSES

CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": "",
    "status": "in_progress",
}


def read(*documents: Document, **how: Any) -> list[Event]:
    return decode(stream(*documents, **how), RESPONSES.stream_decoder)


def parts_of(events: list[Event]) -> list[Any]:
    return list(folded(events).choices[0].parts)


def arguments(piece: str, index: int = 0) -> Document:
    kind = "response.function_call_arguments.delta"
    return {"type": kind, "item_id": "fc_1", "output_index": index, "delta": piece}


def test_a_host_without_event_lines_whose_ids_change() -> None:
    """Items are known by their output index; the end mark behind the end means nothing."""
    item = message("Hello", id="msg_tmp_2")
    events = read(
        created(),
        added(message(id="msg_tmp_1", status="in_progress")),
        text_delta("Hel", item_id="msg_tmp_1"),
        text_delta("lo", item_id="msg_tmp_3"),
        item_done(item),
        ended(item),
        named=False,
        done=True,
    )
    (part,) = parts_of(events)
    assert part.text == "Hello"
    assert part.item.id == "msg_tmp_2"


def test_a_host_that_announces_nothing() -> None:
    """Pieces alone, then the end without output."""
    events = read(created(), text_delta("Hel"), text_delta("lo"), ended())
    assert [part.text for part in parts_of(events)] == ["Hello"]


def test_a_host_that_says_all_at_the_end() -> None:
    call = {**CALL, "arguments": "{}", "status": "completed"}
    events = read(created(), ended(message("Hello"), call))
    text, asked = parts_of(events)
    assert (text.text, asked.arguments) == ("Hello", "{}")
    assert folded(events).choices[0].reason is FinishReason.TOOL_CALLS


def test_what_pieces_left_out_is_said_when_the_item_is_done() -> None:
    cited = message("Hello")
    cited["content"][0]["annotations"] = [{"type": "url_citation", "url": "https://x"}]
    events = read(created(), added(message()), text_delta("He"), item_done(cited), ended(cited))
    (part,) = parts_of(events)
    assert (part.text, len(part.annotations)) == ("Hello", 1)


def test_arguments_before_the_name() -> None:
    """A call is withheld until its id and its name are known (R3)."""
    nameless = {**CALL, "name": "", "call_id": None}
    named = {**CALL, "arguments": '{"a":1}'}
    events = read(
        created(), added(nameless), arguments('{"a"'), arguments(":1}"), item_done(named), ended()
    )
    starts = [event for event in events if isinstance(event, PartStart)]
    assert len(starts) == 1
    (call,) = parts_of(events)
    assert (call.call_id, call.name, call.arguments) == ("c1", "f", '{"a":1}')


def test_a_call_without_a_name_is_no_success() -> None:
    events = read(created(), item_done({**CALL, "name": None}), ended())
    last = events[-1]
    assert isinstance(last, StreamError)
    assert last.failure.kind is FailureKind.INVALID_ANSWER


def test_no_arguments_are_an_empty_object_unless_they_were_cut_off() -> None:
    """R3 (i)."""
    (call,) = parts_of(read(created(), item_done({**CALL, "status": "completed"}), ended()))
    assert call.arguments == "{}"
    cut = {**CALL, "status": "incomplete"}
    events = read(created(), item_done(cut), ended(cut, kind="incomplete"))
    assert parts_of(events)[0].arguments == ""


def test_interleaved_calls() -> None:
    second = {**CALL, "id": "fc_2", "call_id": "c2", "name": "g"}
    events = read(
        created(),
        added(CALL),
        added(second, 1),
        arguments('{"x"', 0),
        arguments('{"y"', 1),
        arguments(":1}", 0),
        arguments(":2}", 1),
        item_done({**CALL, "arguments": '{"x":1}'}),
        item_done({**second, "arguments": '{"y":2}'}, 1),
        ended(),
    )
    assert [(p.name, p.arguments) for p in parts_of(events)] == [("f", '{"x":1}'), ("g", '{"y":2}')]


def test_custom_calls_refusals_and_reasoning_come_in_pieces() -> None:
    custom = {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "sh", "input": ""}
    events = read(
        created(),
        added({"type": "reasoning", "id": "rs", "summary": []}),
        {
            "type": "response.reasoning_summary_part.added",
            "output_index": 0,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
        {
            "type": "response.reasoning_summary_text.delta",
            "output_index": 0,
            "summary_index": 0,
            "delta": "why",
        },
        {
            "type": "response.reasoning_text.delta",
            "output_index": 0,
            "content_index": 0,
            "delta": "because",
        },
        {"type": "response.refusal.delta", "output_index": 1, "content_index": 0, "delta": "No."},
        added(custom, 2),
        {"type": "response.custom_tool_call_input.delta", "output_index": 2, "delta": "ls"},
        ended(),
    )
    summary, full, refusal, call = parts_of(events)
    assert isinstance(summary, ReasoningPart)
    assert (summary.form, summary.text) == (ReasoningForm.SUMMARY, "why")
    assert (full.form, full.text) == (ReasoningForm.FULL, "because")
    assert isinstance(refusal, RefusalPart)
    assert isinstance(call, ToolCallPart)
    assert (refusal.text, call.kind, call.arguments) == ("No.", "custom", "ls")


def test_tools_of_the_upstream_are_not_the_clients() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "in_progress"}
    found = {**search, "status": "completed", "action": {"type": "search", "query": "x"}}
    going_on = {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws_1"}
    events = read(created(), added(search), going_on, item_done(found), ended(found))
    (call,) = parts_of(events)
    assert (call.executor, call.arguments) == (Executor.PROVIDER, '{"type":"search","query":"x"}')
    assert folded(events).choices[0].reason is FinishReason.STOP
    assert any(isinstance(event, Opaque) for event in events)


def test_an_item_of_tomorrow_is_kept_whole() -> None:
    item = {"type": "kind_of_tomorrow", "id": "k", "x": [1]}
    (part,) = parts_of(
        read(created(), added({"type": "kind_of_tomorrow"}), item_done(item), ended())
    )
    assert isinstance(part, OpaquePart)
    assert part.document == item


def test_parts_stand_in_the_order_of_their_items() -> None:
    """A sealed artefact is known when its item is done, behind text that has begun meanwhile."""
    sealed = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "gAAA"}
    events = read(
        created(),
        added({"type": "reasoning", "id": "rs", "summary": []}),
        added(message(), 1),
        text_delta("Hello", 1),
        item_done(sealed),
        ended(),
    )
    assert [type(part) for part in parts_of(events)] == [ReasoningPart, TextPart]


def test_a_signature_on_what_is_no_reasoning_is_put_back() -> None:
    tag = tags.write(tags.Tag(signature="g", format="google-gemini-v1"))
    behind = tags.write(tags.Tag(signature="g", format="google-gemini-v1", on="c1"))
    call = {**CALL, "arguments": "{}", "signature": tag}
    held = {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": behind}
    (part,) = parts_of(read(created(), item_done(call), item_done(held, 1), ended(call, held)))
    assert (part.signature, part.format) == ("g", "google-gemini-v1")
    del call["signature"]  # as a client that drops what it does not know would send it back
    (again,) = whole(response("completed", call, held)).choices[0].parts
    assert (again.signature, again.format) == ("g", "google-gemini-v1")


def test_an_image_is_content() -> None:
    item = {"type": "image_generation_call", "id": "ig", "result": "aGk=", "output_format": "webp"}
    partial = {"type": "response.image_generation_call.partial_image", "output_index": 0}
    (part,) = parts_of(read(created(), partial, item_done(item), ended(item)))
    assert isinstance(part, MediaPart)
    assert (part.media_type, part.data) == ("image/webp", "aGk=")


def test_probabilities_come_with_their_piece() -> None:
    entries = [{"token": "Hi", "logprob": -1}]
    events = read(created(), added(message()), {**text_delta("Hi"), "logprobs": entries}, ended())
    deltas = [event for event in events if isinstance(event, PartDelta)]
    assert [(d.slot, d.value) for d in deltas] == [
        (Slot.TEXT, "Hi"),
        (Slot.LOGPROBS, {"content": entries}),
    ]


INCOMPLETE = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "max_messages": FinishReason.OTHER,
    None: FinishReason.OTHER,
}


@pytest.mark.parametrize("word", INCOMPLETE)
def test_an_incomplete_answer_is_one(word: str | None) -> None:
    details = None if word is None else {"reason": word}
    last = ended(message("Hel"), kind="incomplete", incomplete_details=details)
    events = read(created(), last)
    (end,) = [event for event in events if isinstance(event, ChoiceEnd)]
    assert (end.reason, end.native_reason) == (INCOMPLETE[word], word or "incomplete")
    assert isinstance(events[-1], ResponseEnd)


FAILURES: dict[str, tuple[Document, FailureKind, str]] = {
    "failed": (
        {
            "type": "response.failed",
            "response": response("failed", error={"code": "server_error", "message": "boom"}),
        },
        FailureKind.SERVER,
        "boom",
    ),
    "failed without an error": (
        {"type": "response.failed", "response": response("failed")},
        FailureKind.SERVER,
        "upstream says that the answer has failed",
    ),
    "cancelled": (
        {"type": "response.cancelled", "response": response("cancelled")},
        FailureKind.SERVER,
        "upstream says that the answer was cancelled",
    ),
    "error": (
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None},
        FailureKind.RATE_LIMIT,
        "slow down",
    ),
    "error of a gateway": (
        {"type": "response.error", "error": {"code": 429, "message": "slow down"}},
        FailureKind.RATE_LIMIT,
        "slow down",
    ),
    "error member": (
        {"type": "response.in_progress", "error": {"code": 503, "message": "busy"}},
        FailureKind.OVERLOADED,
        "busy",
    ),
    "context": (
        {
            "type": "response.failed",
            "response": response(
                "failed", error={"code": "context_length_exceeded", "message": "too long"}
            ),
        },
        FailureKind.CONTEXT_LENGTH,
        "too long",
    ),
    "goes on": (
        ended(kind="in_progress") | {"type": "response.completed"},
        FailureKind.INVALID_ANSWER,
        "the last event tells of an answer that goes on",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_in_a_stream(case):
    """R5 (c): what was said stands, the rest is a failure; the same frames without it are none."""
    document, kind, text = FAILURES[case]
    before = (created(), added(message()), text_delta("Hello"))
    events = read(*before, document)
    result = fold(events)
    assert result.failure is not None
    assert (result.failure.kind, result.failure.message) == (kind, text)
    assert result.failure.stage is Stage.MID_STREAM
    assert result.partial.choices[0].parts[0].text == "Hello"
    assert not failed(read(*before, ended(message("Hello"))))


def test_the_operators_account_is_not_told() -> None:
    error = {"code": "insufficient_quota", "message": "add money to org-123"}
    events = read(created(), {"type": "error", "error": error})
    assert isinstance(events[-1], StreamError)
    assert "org-123" not in events[-1].failure.message
    assert events[-1].failure.kind is FailureKind.PAYMENT_REQUIRED


BROKEN = {
    "no JSON": b"data: {\n\n",
    "no object": b"data: [1]\n\n",
    "no UTF-8": b'data: {"type":"response.output_text.delta","output_index":0,"delta":"\xff"}\n\n',
    "a piece that is no text": stream({"type": "response.output_text.delta", "delta": {"a": 1}}),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_document_is_a_failure(case: str) -> None:
    events = decode(stream(created()) + BROKEN[case], RESPONSES.stream_decoder)
    last = events[-1]
    assert isinstance(last, StreamError)
    assert last.failure.kind is FailureKind.INVALID_ANSWER


@pytest.mark.parametrize("done", [False, True])
def test_an_end_without_evidence_is_a_cut(done: bool) -> None:
    events = read(created(), text_delta("Hello"), done=done)
    last = events[-1]
    assert isinstance(last, StreamError)
    assert last.failure.kind is FailureKind.TRUNCATED


def test_hosts_that_never_say_more_than_the_end_mark() -> None:
    body = stream(created(), text_delta("Hello"), done=True)

    def lenient() -> ResponsesStreamDecoder:
        return ResponsesStreamDecoder(finish_optional=True)

    assert not failed(decode(body, lenient))
    assert failed(decode(body.removesuffix(b"data: [DONE]\n\n"), lenient))


def test_comments_are_signs_of_life_and_nothing_follows_the_end() -> None:
    body = b": PROCESSING\n\n" + stream(created(), ended(message("Hello")), text_delta("ghost"))
    events = decode(body, RESPONSES.stream_decoder)
    assert events[0] == KeepAlive("PROCESSING")
    assert isinstance(events[1], ResponseStart)
    assert [part.text for part in parts_of(events)] == ["Hello"]


def test_a_stream_that_begins_with_pieces() -> None:
    body = encode_sse(b'{"type":"response.output_text.delta","output_index":0,"delta":"Hi"}')
    events = decode(body + stream(ended()), RESPONSES.stream_decoder)
    assert [part.text for part in parts_of(events)] == ["Hi"]


@pytest.mark.parametrize(
    "document",
    [
        {"type": "response.output_item.added", "item": 3},
        {"type": "response.output_item.done", "item": None},
        {"type": "response.content_part.added", "part": "x"},
        {"type": "response.output_text.annotation.added"},
        {"type": "response.created", "response": []},
        {"type": 5},
        {},
    ],
)
def test_odd_documents_raise_nothing(document: Any) -> None:
    kind = document.get("type")
    body = stream({**document, "type": kind if isinstance(kind, str) else ""}, named=False)
    events = decode(stream(created()) + body + stream(ended()), RESPONSES.stream_decoder)
    assert isinstance(events[-1], ResponseEnd)
