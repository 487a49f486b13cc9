"""Streams read: the cut rule, blocks with and without a start, faults of the wire."""

from typing import Any

import msgspec
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
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import (
    Executor,
    OpaquePart,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.response import FinishReason
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.dialects.converse import stream_decode
from arno.wire import Frame
from tests.dialects.converse.building import (
    METADATA,
    START,
    answer,
    begin,
    delta,
    end,
    message,
    raised,
    stop,
    whole,
)
from tests.laws.converse_harness import CONVERSE, batches_of, decode, frames_of
from tests.laws.harness import RESET, failed, folded, no_price

K = FailureKind
CALL = {"toolUseId": "t", "name": "f"}


def failure_of(body: bytes) -> Failure:
    last = decode(body)[-1]
    assert isinstance(last, StreamError)
    return last.failure


def parts_of(body: bytes) -> list[Any]:
    return list(folded(decode(body)).choices[0].parts)


class TestEnds:
    def test_usage_ends_the_stream_at_once(self) -> None:
        batches = batches_of(frames_of(START + delta(text="a") + end() + stop() + METADATA))
        assert isinstance(batches[-2].events[-1], ResponseEnd)
        assert any(isinstance(event, UsageUpdate) for event in batches[-2].events)
        assert batches[-1].events == ()

    def test_a_stop_and_the_end_of_the_body_are_an_end_without_usage(self) -> None:
        read = folded(decode(START + delta(text="a") + end() + stop()))
        assert read.usage is None
        assert read.choices[0].reason is FinishReason.STOP

    def test_usage_before_the_stop_is_no_end(self) -> None:
        body = START + delta(text="a") + METADATA
        assert failure_of(body).kind is K.TRUNCATED
        assert folded(decode(body + stop())).usage is not None

    def test_a_cut_message_behind_the_stop_is_an_end(self) -> None:
        whole = START + delta(text="a") + end() + stop()
        assert not failed(decode(whole + METADATA[:-1]))
        assert failed(decode(whole[:-1]))

    @pytest.mark.parametrize("body", [b"", START, START + delta(text="a"), START + METADATA])
    def test_anything_else_is_a_cut(self, body: bytes) -> None:
        failure = failure_of(body)
        assert (failure.kind, failure.retryable) == (K.TRUNCATED, True)
        stage = Stage.MID_STREAM if b"delta" in body else Stage.BEFORE_OUTPUT
        assert failure.stage is stage

    def test_an_exception_behind_the_stop_is_a_failure(self) -> None:
        body = (
            START + delta(text="a") + stop() + raised("internalServerException", {"message": "m"})
        )
        assert failure_of(body).kind is K.SERVER

    def test_a_broken_connection_is_told_as_it_is(self) -> None:
        assert decode(START + delta(text="a"), reset=RESET)[-1] == StreamError(RESET)
        assert decode(START + stop(), reset=RESET)[-1] == StreamError(RESET)

    def test_nothing_behind_the_end_means_anything(self) -> None:
        body = START + stop() + METADATA + delta(text="late")
        assert [e for e in decode(body) if isinstance(e, PartDelta)] == []

    @pytest.mark.parametrize("word", ["malformed_model_output", "malformed_tool_use"])
    def test_an_end_that_tells_of_an_error_is_a_failure(self, word: str) -> None:
        failure = failure_of(START + delta(text="a") + end() + stop(word) + METADATA)
        assert failure.kind is K.INVALID_ANSWER
        assert word in failure.message

    def test_every_other_word_is_an_end(self) -> None:
        for word, reason in {
            "end_turn": FinishReason.STOP,
            "stop_sequence": FinishReason.STOP,
            "max_tokens": FinishReason.LENGTH,
            "model_context_window_exceeded": FinishReason.LENGTH,
            "guardrail_intervened": FinishReason.CONTENT_FILTER,
            "content_filtered": FinishReason.CONTENT_FILTER,
            "something_new": FinishReason.OTHER,
        }.items():
            choice = folded(decode(START + delta(text="a") + stop(word))).choices[0]
            assert (choice.reason, choice.native_reason) == (reason, word)


EXCEPTIONS = {
    "throttlingException": K.RATE_LIMIT,
    "modelStreamErrorException": K.SERVER,
    "validationException": K.INVALID_REQUEST,
    "internalServerException": K.SERVER,
    "serviceUnavailableException": K.OVERLOADED,
    "modelTimeoutException": K.TIMEOUT,
    "somethingNewException": K.SERVER,
}


@pytest.mark.parametrize(("name", "kind"), EXCEPTIONS.items())
def test_exceptions(name: str, kind: FailureKind) -> None:
    failure = failure_of(START + delta(text="a") + raised(name, {"message": "it broke"}))
    assert (failure.kind, failure.message, failure.code) == (kind, "it broke", name)
    assert failure.stage is Stage.MID_STREAM
    (batch,) = batches_of(frames_of(raised(name, {"message": "m"})))[:-1]
    assert batch.readable_error


def test_an_exception_with_the_status_of_what_failed_behind() -> None:
    document = {"message": "m", "originalStatusCode": 429, "originalMessage": "slow"}
    assert failure_of(raised("modelStreamErrorException", document)).kind is K.RATE_LIMIT


def test_what_is_said_of_the_operators_account_is_not_for_clients() -> None:
    body = raised("accessDeniedException", {"message": "User arn:aws:iam::1:user/x may not"})
    (batch, _) = batches_of(frames_of(body))
    assert not batch.readable_error
    failure = failure_of(body)
    assert "arn" not in failure.message
    assert "arn" in (failure.detail or "")


class TestBlocks:
    def test_pieces_are_quick_once_their_block_is_open(self) -> None:
        body = START + delta(text="a") + delta(text="b") + end() + stop()
        plain = [batch.plain for batch in batches_of(frames_of(body))]
        assert plain == [False, False, True, False, False, False]

    def test_blocks_side_by_side(self) -> None:
        body = START + begin(0, toolUse=CALL) + begin(1, toolUse={"toolUseId": "u", "name": "g"})
        for piece in ('{"a"', ":1}"):
            body += delta(1, toolUse={"input": piece}) + delta(0, toolUse={"input": piece})
        calls = parts_of(body + end(0) + end(1) + stop("tool_use"))
        assert [(c.call_id, c.name, c.arguments) for c in calls] == [
            ("t", "f", '{"a":1}'),
            ("u", "g", '{"a":1}'),
        ]

    def test_blocks_that_never_end(self) -> None:
        body = START + delta(text="a") + begin(1, toolUse=CALL) + stop("tool_use") + METADATA
        text, call = parts_of(body)
        assert (text.text, call.arguments) == ("a", "{}")

    def test_a_block_without_the_start_of_the_answer(self) -> None:
        assert parts_of(delta(text="a") + stop()) == [TextPart(text="a", ext={"converse": {}})]

    def test_a_block_that_changes_its_kind_is_two_parts(self) -> None:
        body = START + delta(reasoningContent={"text": "t"}) + delta(text="a") + end() + stop()
        thought, text = parts_of(body)
        assert isinstance(thought, ReasoningPart)
        assert (thought.text, text.text) == ("t", "a")

    @pytest.mark.parametrize(("word", "arguments"), [("tool_use", "{}"), ("max_tokens", "")])
    def test_a_call_without_arguments(self, word: str, arguments: str) -> None:
        """Nothing is made up for a call that was cut short."""
        body = START + begin(toolUse=CALL) + end() + delta(1, text="a") + end(1) + stop(word)
        call, _ = parts_of(body)
        assert call.arguments == arguments

    def test_a_turn_with_calls_ended_for_them(self) -> None:
        """R4."""
        body = START + begin(toolUse=CALL) + end() + stop("end_turn")
        choice = folded(decode(body)).choices[0]
        assert (choice.reason, choice.native_reason) == (FinishReason.TOOL_CALLS, "end_turn")
        assert not batches_of(frames_of(body))[-2].regular

    def test_tools_that_the_provider_runs_are_no_calls_of_the_client(self) -> None:
        body = START + begin(toolUse={**CALL, "type": "server_tool_use"})
        body += delta(toolUse={"input": "{}"}) + end()
        body += begin(1, toolResult={"toolUseId": "t", "status": "error"})
        body += delta(1, toolResult=[{"text": "a"}]) + delta(1, toolResult=[{"text": "b"}])
        body += delta(1, toolResult=[{"json": {"c": 1}}]) + end(1) + stop()
        read = folded(decode(body)).choices[0]
        call, result = read.parts
        assert read.reason is FinishReason.STOP
        assert isinstance(call, ToolCallPart)
        assert isinstance(result, ToolResultPart)
        assert call.executor is result.executor is Executor.PROVIDER
        assert [part.text for part in result.parts if isinstance(part, TextPart)] == [
            "ab",
            '{"c":1}',
        ]
        assert result.is_error

    def test_a_proof_in_pieces(self) -> None:
        body = START + delta(reasoningContent={"text": "t"})
        body += delta(reasoningContent={"signature": "a"}) + delta(
            reasoningContent={"signature": "b"}
        )
        (part,) = parts_of(body + end() + stop())
        assert (part.signature, part.format) == ("ab", "anthropic-claude-v1")

    def test_an_artefact_in_pieces(self) -> None:
        body = START + delta(reasoningContent={"redactedContent": "YQ=="})
        body += delta(reasoningContent={"redactedContent": "Yg=="}) + end() + stop()
        (part,) = parts_of(body)
        assert (part.form, part.sealed) == (ReasoningForm.REDACTED, "ab")

    @pytest.mark.parametrize("wire", ["/w==", "no base64", "YQ"])
    def test_an_artefact_that_is_no_text_is_kept_as_it_is(self, wire: str) -> None:
        body = START + delta(reasoningContent={"redactedContent": wire}) + end() + stop()
        (part,) = parts_of(body)
        assert isinstance(part, OpaquePart)
        assert part.document == {"reasoningContent": {"redactedContent": wire}}

    def test_artefacts_wait_within_bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        piece = delta(reasoningContent={"signature": "a" * 60})
        body = START + piece + piece + end() + stop()
        assert not failed(decode(body))
        monkeypatch.setattr(stream_decode, "MAX_HELD", 100)
        assert failure_of(body).kind is K.INVALID_ANSWER

    def test_citations_belong_to_the_text(self) -> None:
        wire = {"title": "T", "location": {"web": {"url": "https://x.test"}}}
        body = START + delta(text="a") + delta(citation=wire) + delta(text="b") + end() + stop()
        (part,) = parts_of(body)
        assert part.text == "ab"
        (annotation,) = part.annotations
        assert annotation["url_citation"] == {"url": "https://x.test", "title": "T"}
        assert annotation["@converse"] == wire


BROKEN: dict[str, bytes] = {
    "arguments before their call": delta(toolUse={"input": "{"}),
    "arguments for a text": delta(text="a") + delta(toolUse={"input": "{"}),
    "a call without an id": begin(toolUse={"name": "f"}),
    "a call without a name": begin(toolUse={"toolUseId": "t"}),
    "a result before its start": delta(toolResult=[{"text": "a"}]),
    "an image before its start": delta(image={"source": {"bytes": "YQ=="}}),
    "a start that is none": message("contentBlockStart", {"contentBlockIndex": 0, "start": 1}),
    "a delta that is none": message("contentBlockDelta", {"contentBlockIndex": 0, "delta": "a"}),
    "a block without a number": message("contentBlockDelta", {"delta": {"text": "a"}}),
    "reasoning that is none": delta(reasoningContent="a"),
    "a stop without a reason": message("messageStop", {}),
    "no object": message("metadata", []),
}


@pytest.mark.parametrize("piece", BROKEN.values(), ids=BROKEN)
def test_a_broken_document_is_an_invalid_answer(piece: bytes) -> None:
    failure = failure_of(START + piece + stop() + METADATA)
    assert (failure.kind, failure.retryable) == (K.INVALID_ANSWER, True)
    assert not failed(decode(START + stop() + METADATA))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 1000, b"1" * 5000])
@pytest.mark.parametrize("event", ["contentBlockDelta", "metadata", "!x", "new"])
def test_data_that_is_no_json_is_an_invalid_answer(data: bytes, event: str) -> None:
    batch = CONVERSE.stream_decoder().feed(Frame(data, data, event))
    (failure,) = batch.events
    assert isinstance(failure, StreamError)
    assert failure.failure.kind is K.INVALID_ANSWER


def test_what_is_not_known_is_kept_as_it_is() -> None:
    body = START + message("somethingNew", {"a": 1}) + begin(audio={"format": "mp3"})
    body += delta(audio={"b": 2}) + end() + delta(1, text="a") + end(1) + stop()
    events = decode(body)
    assert [event.document for event in events if isinstance(event, Opaque)] == [
        {"somethingNew": {"a": 1}},
        {"contentBlockStart": {"contentBlockIndex": 0, "start": {"audio": {"format": "mp3"}}}},
        {
            "contentBlockDelta": {
                "contentBlockIndex": 0,
                "delta": {"audio": {"b": 2}},
                "p": "ab",
            }
        },
    ]
    assert len(parts_of(body)) == 1


def test_a_sign_of_life_is_no_output() -> None:
    (batch, _) = batches_of(frames_of(CONVERSE.heartbeat()))
    assert batch.events == (KeepAlive(),)


def test_every_part_ends_before_the_answer_does() -> None:
    body = START + delta(text="a") + end() + begin(1, toolUse=CALL) + end(1) + stop("tool_use")
    kinds: list[type[Event]] = [type(event) for event in decode(body)]
    assert kinds[-4:] == [PartDelta, PartEnd, ChoiceEnd, ResponseEnd]
    assert kinds.count(PartStart) == kinds.count(PartEnd) == 2


class TestArgumentsAsAValue:
    """Some hosts send the input of a call as the object it is."""

    def parts(self, *inputs: Any, **given: Any) -> list[Any]:
        pieces = b"".join(delta(toolUse={"input": piece}) for piece in inputs)
        return parts_of(START + begin(toolUse=CALL | given) + pieces + end() + stop("tool_use"))

    @pytest.mark.parametrize(
        ("inputs", "arguments"),
        [
            (({"a": 1},), '{"a":1}'),
            (({"a": 1}, ""), '{"a":1}'),
            (({}, '{"a":', "1}"), '{"a":1}'),
            (({}, None), "{}"),
        ],
    )
    def test_an_object_is_said_as_it_is(self, inputs: Any, arguments: str) -> None:
        (call,) = self.parts(*inputs)
        assert call.arguments == arguments

    @pytest.mark.parametrize(
        "inputs",
        [({"a": 1}, "x"), ("{", {"a": 1}), ({"a": 1}, {"a": 1}), ([1],), (5,), (True,)],
    )
    def test_what_cannot_be_put_together_is_a_failure(self, inputs: Any) -> None:
        pieces = b"".join(delta(toolUse={"input": piece}) for piece in inputs)
        body = START + begin(toolUse=CALL) + pieces + end() + stop("tool_use")
        assert failure_of(body).kind is K.INVALID_ANSWER

    def test_a_start_may_hold_them(self) -> None:
        (call,) = self.parts(input={"a": 1})
        assert call.arguments == '{"a":1}'
        assert call.ext == {"converse": {}}
        (call,) = self.parts('{"b":2}', input={})
        assert call.arguments == '{"b":2}'


class TestBehindTheStop:
    """What comes behind `messageStop` is told, unless the reason would be another one."""

    LATE = begin(1, toolUse=CALL)

    def test_a_call_that_the_reason_does_not_know_of_is_a_failure(self) -> None:
        body = START + delta(text="a") + stop("end_turn") + self.LATE + METADATA
        assert failure_of(body).kind is K.INVALID_ANSWER

    @pytest.mark.parametrize(("word", "arguments"), [("tool_use", "{}"), ("max_tokens", "")])
    def test_any_other_call_ends_with_the_answer(self, word: str, arguments: str) -> None:
        body = START + delta(text="a") + stop(word) + self.LATE + METADATA
        _, call = parts_of(body)
        assert call.arguments == arguments

    def test_a_second_reason_says_nothing(self) -> None:
        events = decode(START + delta(text="a") + stop("end_turn") + stop("max_tokens") + METADATA)
        (told,) = [event for event in events if isinstance(event, ChoiceEnd)]
        assert told.reason is FinishReason.STOP


def test_open_blocks_and_calls_without_arguments_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = [begin(n, toolUse={"toolUseId": f"t{n}", "name": "f"}) + end(n) for n in range(4)]
    opened = [delta(n, text="a") for n in range(4)]
    monkeypatch.setattr(stream_decode, "MAX_OPEN", 4)
    assert len(parts_of(START + b"".join(bare) + stop("tool_use"))) == 4
    assert len(parts_of(START + b"".join(opened) + stop())) == 4
    for pieces in (bare, opened):
        body = START + b"".join(pieces) + delta(9, text="a") + delta(10, text="a") + stop()
        assert failure_of(body).kind is K.INVALID_ANSWER


def test_a_call_without_arguments_keeps_who_reads_its_signature() -> None:
    call = ToolCallPart(
        call_id="t", name="f", arguments="{}", signature="sig", format="google-gemini-v1"
    )
    encoder = CONVERSE.stream_encoder(Stamp(), no_price, include_usage=True)
    bare_call = msgspec.structs.replace(call, arguments="")
    events = list(unfold(answer(bare_call, reason=FinishReason.TOOL_CALLS)))
    (read,) = parts_of(encoder.feed(events))
    assert (read.arguments, read.signature, read.format) == ("{}", "sig", "google-gemini-v1")


class TestWholeAnswers:
    """A call that nobody can answer is no answer."""

    @pytest.mark.parametrize(
        "block",
        [
            {"toolUse": {"name": "f", "input": {}}},
            {"toolUse": {"toolUseId": "", "name": "f", "input": {}}},
            {"toolUse": {"toolUseId": "t", "name": "", "input": {}}},
            {"toolUse": {"toolUseId": "t", "input": {}}},
            {"toolUse": 5},
            {"toolUse": {**CALL, "input": {}}, "more": 1},
        ],
    )
    def test_unreadable_calls(self, block: Any) -> None:
        read = CONVERSE.decode_response(whole({"toolUse": {**CALL, "input": {}}}))
        assert not isinstance(read, Failure)
        read = CONVERSE.decode_response(whole(block, word="tool_use"))
        assert isinstance(read, Failure)
        assert read.kind is K.INVALID_ANSWER

    def test_calls_of_the_provider_may_be_of_any_shape(self) -> None:
        block = {"toolUse": {"type": "server_tool_use", "later": 1}}
        read = CONVERSE.decode_response(whole(block))
        assert not isinstance(read, Failure)
