"""Streams of messages: what an upstream says, and what it must not be taken for."""

import pytest

from arno.canon.events import (
    KeepAlive,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    StreamError,
)
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import Executor, OpaquePart, ReasoningForm, ReasoningPart
from arno.canon.response import FinishReason
from arno.dialects.messages import stream_decode
from tests.dialects.messages.documents import (
    MESSAGES,
    STOP,
    block,
    call,
    ended,
    event,
    events_of,
    started,
    text,
    whole,
)
from tests.laws.harness import failed, folded, frames_of


def answer(*pieces):
    return folded(events_of(b"".join(pieces)))


def parts(*pieces):
    return answer(started(), *pieces, ended(), STOP).choices[0].parts


def failure(*pieces):
    last = events_of(b"".join(pieces))[-1]
    assert isinstance(last, StreamError)
    return last.failure


def test_text_calls_and_the_end():
    value = answer(
        started(), text(0, "He", "llo"), call(1, "toolu_1", '{"a', '":1}'), ended(), STOP
    )
    assert [getattr(p, "text", None) or p.arguments for p in value.choices[0].parts] == [
        "Hello",
        '{"a":1}',
    ]
    assert (value.id, value.model) == ("msg_1", "up")
    assert (value.usage.input, value.usage.output) == (7, 5)


@pytest.mark.parametrize(
    ("word", "calls", "reason"),
    [
        ("end_turn", False, FinishReason.STOP),
        ("stop_sequence", False, FinishReason.STOP),
        ("end_turn", True, FinishReason.TOOL_CALLS),
        ("tool_use", True, FinishReason.TOOL_CALLS),
        ("max_tokens", True, FinishReason.LENGTH),
        ("model_context_window_exceeded", False, FinishReason.LENGTH),
        ("refusal", False, FinishReason.CONTENT_FILTER),
        ("pause_turn", False, FinishReason.OTHER),
        ("tomorrow's word", False, FinishReason.OTHER),
    ],
)
def test_reasons(word, calls, reason):
    """R4, and the upstream's own word beside it."""
    content = call(0, "a", "{}") if calls else text(0, "x")
    choice = answer(started(), content, ended(word), STOP).choices[0]
    assert (choice.reason, choice.native_reason) == (reason, word)


def test_a_call_of_the_upstream_s_own_asks_the_client_for_nothing():
    server = {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}
    value = answer(started(), block(0, server), ended("end_turn"), STOP)
    assert value.choices[0].reason is FinishReason.STOP
    assert value.choices[0].parts[0].executor is Executor.PROVIDER


@pytest.mark.parametrize(
    ("pieces", "given", "arguments"),
    [
        ((), {}, "{}"),
        (("", ""), {}, "{}"),
        ((), {"a": 1}, '{"a":1}'),
        (('{"b":2}',), {}, '{"b":2}'),
    ],
)
def test_arguments_come_in_pieces_or_with_the_start(pieces, given, arguments):
    """R3 (h) and (i)."""
    assert parts(call(0, "a", *pieces, given=given))[0].arguments == arguments


def test_arguments_at_the_start_keep_their_bytes():
    start = b'{"type":"tool_use","id":"a","name":"n","input":{"x": 1.50}}'
    body = b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
    body += b'"content_block":' + start + b"}\n\n"
    assert parts(body, event("content_block_stop", index=0))[0].arguments == '{"x": 1.50}'


def test_thinking_with_its_signature_and_redacted_thinking():
    thinking = block(
        0,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": "Hm"},
        {"type": "signature_delta", "signature": "c2ln"},
    )
    redacted = block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"})
    one, two = parts(thinking, redacted)
    assert (one.text, one.signature, one.format) == ("Hm", "c2ln", "anthropic-claude-v1")
    assert (two.form, two.sealed, two.text) == (ReasoningForm.REDACTED, "b3BhcXVl", "")
    assert isinstance(two, ReasoningPart)


def test_citations_of_the_web_are_neutral_and_others_the_wire_s_own():
    web = {"type": "web_search_result_location", "url": "u", "title": "t", "cited_text": "c"}
    page = {"type": "page_location", "document_index": 0}
    deltas = [{"type": "citations_delta", "citation": citation} for citation in (web, page)]
    (part,) = parts(
        block(
            0,
            {"type": "text", "text": "", "citations": []},
            *deltas,
            {"type": "text_delta", "text": "x"},
        )
    )
    assert part.annotations == (
        {
            "type": "url_citation",
            "url_citation": {"url": "u", "title": "t", "content": "c"},
            "@messages": web,
        },
        {"type": "@messages", "@messages": page},
    )


def test_results_of_the_upstream_s_own_tools_are_documents():
    result = {"type": "web_search_tool_result", "tool_use_id": "srv", "content": [{"url": "u"}]}
    (part,) = parts(block(0, result))
    assert (part.call_id, part.name, part.value) == ("srv", "web_search", [{"url": "u"}])
    assert part.executor is Executor.PROVIDER


def test_a_block_of_tomorrow_is_told_whole_when_it_ends():
    deltas = [{"type": "new_delta", "content": piece} for piece in ("a", "b")]
    (part,) = parts(block(0, {"type": "compaction", "content": "", "n": 1}, *deltas))
    assert isinstance(part, OpaquePart)
    assert part.document == {"type": "compaction", "content": "ab", "n": 1}


def test_pings_and_comments_keep_alive_and_unknown_events_are_opaque():
    body = event("ping") + b": hello\n\n" + started() + event("later", x=1) + event("ping")
    found = [e for e in events_of(body) if isinstance(e, KeepAlive | Opaque)]
    assert found == [
        KeepAlive("ping"),
        KeepAlive("hello"),
        Opaque("messages", {"type": "later", "x": 1}),
        KeepAlive("ping"),
    ]


def test_content_of_the_start_is_told_too():
    call_ = {"type": "tool_use", "id": "a", "name": "n", "input": {"x": 1}}
    value = answer(started(content=[call_]), ended("tool_use"), STOP)
    assert value.choices[0].parts[0].arguments == '{"x":1}'


def test_events_without_names_and_of_several_open_blocks():
    body = started() + text(0, "a", stop=False) + text(1, "b", stop=False)
    body += event("content_block_delta", index=0, delta={"type": "text_delta", "text": "c"})
    body += ended() + STOP
    nameless = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"event:"))
    assert [part.text for part in answer(body).choices[0].parts] == ["ac", "b"]
    assert events_of(nameless) == events_of(body)


# What must not be taken for an answer -------------------------------------------------------------

GOOD = (started(), text(0, "Hi"), ended(), STOP)


def test_the_end_of_the_stream_behind_the_reason_is_a_good_end():
    assert isinstance(events_of(b"".join(GOOD[:-1]))[-1], ResponseEnd)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.TRUNCATED),
        (started(), FailureKind.TRUNCATED),
        (started() + text(0, "Hi"), FailureKind.TRUNCATED),
        (started() + text(0, "Hi") + STOP, FailureKind.TRUNCATED),
        (started() + text(0, "Hi") + ended(None), FailureKind.TRUNCATED),
        (text(0, "Hi"), FailureKind.INVALID_ANSWER),
        (started() + started(), FailureKind.INVALID_ANSWER),
        (started() + b"data: {\n\n", FailureKind.INVALID_ANSWER),
        (started() + b"data: []\n\n", FailureKind.INVALID_ANSWER),
        (event("message_start", message=[]), FailureKind.INVALID_ANSWER),
        (started() + text(0, "a", stop=False) + text(0, "b"), FailureKind.INVALID_ANSWER),
        (started() + event("content_block_stop", index=0), FailureKind.INVALID_ANSWER),
        (started() + event("content_block_start", index="0"), FailureKind.INVALID_ANSWER),
        (
            started() + block(0, {"type": "tool_use", "id": "a", "input": {}}),
            FailureKind.INVALID_ANSWER,
        ),
        (
            started() + block(0, {"type": "text", "text": ""}, {"type": "input_json_delta"}),
            FailureKind.INVALID_ANSWER,
        ),
        (
            started() + block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": 5}),
            FailureKind.INVALID_ANSWER,
        ),
        (
            started() + event("content_block_delta", index=4, delta={"type": "text_delta"}),
            FailureKind.INVALID_ANSWER,
        ),
    ],
)
def test_faults(body, kind):
    assert not failed(events_of(b"".join(GOOD)))
    found = failure(body)
    assert found.kind is kind
    assert found.retryable


def error(type_, message="m"):
    return event("error", error={"type": type_, "message": message}, request_id="r")


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("overloaded_error", FailureKind.OVERLOADED),
        ("rate_limit_error", FailureKind.RATE_LIMIT),
        ("api_error", FailureKind.SERVER),
        ("timeout_error", FailureKind.TIMEOUT),
        ("invalid_request_error", FailureKind.INVALID_REQUEST),
        ("authentication_error", FailureKind.AUTHENTICATION),
        ("billing_error", FailureKind.PAYMENT_REQUIRED),
        ("new_error", FailureKind.SERVER),
    ],
)
def test_error_events(type_, kind):
    found = failure(started(), text(0, "Hi", stop=False), error(type_))
    assert (found.kind, found.stage) == (kind, Stage.MID_STREAM)


def test_an_error_before_any_output_says_so():
    assert failure(started(), error("overloaded_error")).stage is Stage.BEFORE_OUTPUT
    assert failure(error("overloaded_error")).stage is Stage.BEFORE_OUTPUT


def test_an_error_counts_even_behind_the_stop_reason():
    assert failure(*GOOD[:-1], error("api_error")).kind is FailureKind.SERVER


@pytest.mark.parametrize(
    "frame", [b'data: {"error":{"message":"m"}}\n\n', b"event: error\ndata: {}\n\n"]
)
def test_errors_in_other_shapes(frame):
    assert failure(started(), frame).kind is FailureKind.SERVER


def test_nothing_is_said_after_the_end():
    decoder = MESSAGES.stream_decoder()
    for frame in frames_of(b"".join(GOOD)):
        decoder.feed(frame)
    assert decoder.feed(frames_of(text(1, "ghost"))[0]).events == ()
    assert decoder.close().events == ()


def test_pieces_are_told_as_they_come():
    """An event's piece is out before the next event is fed; only a block's end waits."""
    decoder = MESSAGES.stream_decoder()
    told = [decoder.feed(f).events for f in frames_of(started() + text(0, "a", "b") + ended())]
    kinds = [[type(e) for e in events] for events in told]
    assert kinds[1:4] == [[PartStart], [PartDelta], [PartDelta]]
    assert PartEnd in kinds[-1]


@pytest.mark.parametrize(
    ("word", "arguments"), [("tool_use", "{}"), ("max_tokens", ""), ("pause_turn", "")]
)
@pytest.mark.parametrize("stopped", [True, False])
def test_a_call_that_may_have_been_cut_short_gets_no_arguments(word, arguments, stopped):
    start = {"type": "tool_use", "id": "a", "name": "n", "input": {}}
    value = answer(started(), block(0, start, stop=stopped), ended(word), STOP)
    assert value.choices[0].parts[0].arguments == arguments
    given = block(0, start | {"input": {"x": 1}}, stop=stopped)
    assert answer(started(), given, ended(word), STOP).choices[0].parts[0].arguments == '{"x":1}'


def test_a_call_without_arguments_is_whole_once_the_next_block_begins():
    """Only what came last can have been cut short; what is whole does not wait for the reason."""
    events = events_of(started() + call(0, "a") + text(1, "x", stop=False))
    assert [type(e) for e in events[2:5]] == [PartStart, PartDelta, PartEnd]
    assert events[3].value == "{}"


def test_a_call_behind_the_reason_is_no_quiet_end():
    """R4: a client that was told of a plain end would never run it."""
    behind = call(1, "b", "{}")
    found = failure(started(), text(0, "x"), ended("end_turn"), behind, STOP)
    assert found.kind is FailureKind.INVALID_ANSWER
    for word, content in (("end_turn", call(0, "a")), ("max_tokens", text(0, "x"))):
        assert len(answer(started(), content, ended(word), behind, STOP).choices[0].parts) == 2


@pytest.mark.parametrize("lacks", [{"id": ""}, {"id": None}, {"name": ""}, {"name": 5}])
def test_a_call_that_nobody_can_answer_is_a_failure(lacks):
    start = {"type": "tool_use", "id": "a", "name": "n", "input": {}}
    assert parts(block(0, start))
    assert not isinstance(MESSAGES.decode_response(whole(start)), Failure)
    bad = {key: value for key, value in (start | lacks).items() if value is not None}
    assert failure(started(), block(0, bad)).kind is FailureKind.INVALID_ANSWER
    assert failure(started(content=[bad])).kind is FailureKind.INVALID_ANSWER
    found = MESSAGES.decode_response(whole(bad))
    assert isinstance(found, Failure)
    assert found.kind is FailureKind.INVALID_ANSWER


# What a stream may keep -----------------------------------------------------------------------


def test_blocks_of_tomorrow_wait_within_bounds(monkeypatch):
    delta = {"type": "later", "content": "x" * 100}
    blocks = [block(number, {"type": "later", "content": ""}, delta) for number in range(9)]
    monkeypatch.setattr(stream_decode, "MAX_HELD", 600)
    assert len(parts(*blocks)) == 9, "what is told is kept no more"
    many = block(0, {"type": "later", "content": ""}, *[delta] * 9)
    assert failure(started(), many).kind is FailureKind.INVALID_ANSWER


def test_open_blocks_are_bounded(monkeypatch):
    monkeypatch.setattr(stream_decode, "MAX_OPEN", 3)
    several = [text(number, "x", stop=False) for number in range(4)]
    assert len(parts(*several[:3])) == 3
    assert len(parts(*[text(number, "x") for number in range(9)])) == 9
    assert failure(started(), *several).kind is FailureKind.INVALID_ANSWER
