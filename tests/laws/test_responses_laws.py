"""The laws PutGet, Fold, Order and Prefix for generated values of the responses dialect.

Serves architecture, section 3, R7 (grammar of every stream that we write) and R18 (artefacts go
back to their origin only).
"""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import Event, PartDelta, ResponseEnd, StreamError
from arno.canon.failure import Failure, FailureKind
from arno.canon.parts import ReasoningForm, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Message, Reasoning, Request, Sampling
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch
from arno.dialects.responses.artefacts import OWN_FORMAT
from arno.dialects.responses.stream_decode import ResponsesStreamDecoder
from arno.wire import Frame, SSEDecoder, json
from tests.laws.harness import decode, decode_frames, failed, folded, frames_of
from tests.laws.responses import (
    HIDDEN,
    RESPONSES,
    check_grammar,
    documents_of,
    encode,
    late,
    plain,
    told,
)
from tests.laws.responses_values import requests, responses
from tests.wire.streams import cut_at

pytestmark = pytest.mark.slow

few = settings(max_examples=100)
BROKEN = Failure(FailureKind.UNAVAILABLE, "gone")


def whole_of(answer: Response) -> Response:
    document, losses = RESPONSES.encode_response(answer)
    assert not losses
    again = RESPONSES.decode_response(json.dumps(document))
    assert isinstance(again, Response)
    written, _ = RESPONSES.encode_response(again)
    assert json.equal(json.loads(json.dumps(written)), json.loads(json.dumps(document)))
    return again


@given(answer=responses())
@few
def test_whole_answers_come_back(answer: Response) -> None:
    assert plain(whole_of(answer)) == plain(told(answer))


def shattered(answer: Response, data: st.DataObject) -> list[Event]:
    """Events of `answer`, its text deltas in arbitrary pieces."""
    events: list[Event] = []
    for event in unfold(answer):
        if isinstance(event, PartDelta) and event.slot in ("text", "arguments"):
            places = data.draw(st.lists(st.integers(0, len(event.value)), max_size=3))
            ends = [0, *sorted(places), len(event.value)]
            pieces = [event.value[a:b] for a, b in pairwise(ends)]
            events += [PartDelta(event.index, event.slot, piece) for piece in pieces if piece]
        else:
            events.append(event)
    return events


@given(answer=responses(), data=st.data())
@few
def test_streams_say_what_the_answer_says_however_they_are_cut(
    answer: Response, data: st.DataObject
) -> None:
    events = shattered(answer, data)
    if data.draw(st.booleans()):
        events = late(events)
    places = data.draw(st.lists(st.integers(0, len(events)), max_size=5))
    ends = [0, *sorted(places), len(events)]
    body = encode(events[a:b] for a, b in pairwise(ends))
    check_grammar(body)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    framing = SSEDecoder()
    frames = [frame for chunk in cut_at(body, cuts) for frame in framing.feed(chunk)]
    again = folded(decode_frames(frames + framing.close(), RESPONSES.stream_decoder))
    assert plain(again) == plain(told(answer))


@given(answer=responses())
@few
def test_a_stream_ends_with_the_whole_answer(answer: Response) -> None:
    body = encode([list(unfold(answer))])
    document, _ = RESPONSES.encode_response(answer)
    assert json.equal(documents_of(body)[-1]["response"], json.loads(json.dumps(document)))


@given(answer=responses(), data=st.data())
@few
def test_any_prefix_is_a_failure_until_the_end(answer: Response, data: st.DataObject) -> None:
    frames = frames_of(encode([shattered(answer, data)]))
    kept = data.draw(st.integers(0, len(frames)))
    assert failed(decode_frames(frames[:kept], RESPONSES.stream_decoder)) is (kept < len(frames))


@given(answer=responses(), data=st.data())
@few
def test_a_failure_comes_behind_all_that_was_said(answer: Response, data: st.DataObject) -> None:
    """R5: wherever a stream breaks, the failed answer holds every word of it."""
    events = [e for e in shattered(answer, data) if not isinstance(e, ResponseEnd)]
    kept = events[: data.draw(st.integers(0, len(events)))]
    body = encode([[event] for event in (*kept, StreamError(BROKEN))])
    check_grammar(body)
    again = decode(body, RESPONSES.stream_decoder)
    assert isinstance(again[-1], StreamError)
    said = "".join(str(e.value) for e in kept if isinstance(e, PartDelta) and e.slot == "text")
    assert said == "".join(
        document["delta"]
        for document in documents_of(body)
        if document["type"].endswith((".delta",))
        and "arguments" not in document["type"]
        and "input" not in document["type"]
    )
    last = documents_of(body)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["usage"] is None


def may_return(message: Message, place: int) -> bool:
    """R18: what of the reasoning in a request goes upstream."""
    part = message.parts[place]
    if not isinstance(part, ReasoningPart):
        return True
    if part.sealed is not None:
        own = part.format == OWN_FORMAT and part.signature is None
        return own and part.form is ReasoningForm.SEALED
    if part.form is not ReasoningForm.SUMMARY or part.signature is not None:
        return False
    following = message.parts[place + 1] if place + 1 < len(message.parts) else None
    if not isinstance(following, ReasoningPart):
        return False
    return may_return(message, place + 1)


def carried(request: Request) -> tuple[Request, set[str]]:
    """What of a request the dialect has a place for, and the paths of what it has none for."""
    lost: set[str] = set()
    messages: list[Message] = []
    for number, message in enumerate(request.messages):
        parts = []
        for place, part in enumerate(message.parts):
            path = f"/messages/{number}/parts/{place}"
            if not may_return(message, place):
                lost.add(path)
                continue
            if isinstance(part, ToolResultPart):
                lost |= {f"{path}/is_error"} if part.is_error else set()
                part = msgspec.structs.replace(part, is_error=None)
            elif not isinstance(part, ReasoningPart) and part.signature is not None:
                lost.add(f"{path}/signature")
            if not (isinstance(part, ReasoningPart) and part.sealed):
                part = msgspec.structs.replace(part, signature=None, format=None)
            parts.append(part)
        if parts:
            messages.append(msgspec.structs.replace(message, parts=tuple(parts)))
    sampling = request.sampling
    lost |= {f"/sampling/{n}" for n in ("top_k", "seed") if getattr(sampling, n) is not None}
    members = {n: getattr(sampling, n) for n in ("temperature", "top_p", "top_logprobs")}
    kept = Sampling(logprobs=sampling.logprobs, **members)
    reasoning = None if request.reasoning == Reasoning() else request.reasoning
    members = {"messages": joined(messages), "sampling": kept, "reasoning": reasoning}
    return msgspec.structs.replace(request, **members), lost


def joined(messages: list[Message]) -> tuple[Message, ...]:
    """Turns of the assistant that have come to stand behind each other are one."""
    kept: list[Message] = []
    for message in messages:
        if kept and message.role.value == kept[-1].role.value == "assistant":
            parts = (*kept[-1].parts, *message.parts)
            kept[-1] = msgspec.structs.replace(kept[-1], parts=parts)
        else:
            kept.append(message)
    return tuple(kept)


def unspoken(value):
    """A request as plain data; formats of words do not travel upstream."""
    return plain(value)


@given(request=requests)
@few
def test_requests_come_back_but_for_the_losses(request: Request) -> None:
    body, losses = RESPONSES.encode_request(request)
    wanted, lost = carried(request)
    assert {loss.path for loss in losses} == lost
    assert unspoken(RESPONSES.decode_request(body)) == unspoken(wanted)


@given(request=requests)
@few
def test_requests_of_this_dialect_are_written_as_they_were_read(request: Request) -> None:
    body, _ = RESPONSES.encode_request(request)
    again, losses = RESPONSES.encode_request(RESPONSES.decode_request(body))
    assert not losses
    assert json.equal(json.loads(again), json.loads(body))


class LosesLastPiece(ResponsesStreamDecoder):
    """A decoder with a fault that the laws must notice: pieces are dropped, and not missed."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        return msgspec.structs.replace(batch, events=()) if batch.plain else batch


def test_the_stream_law_notices_a_lost_piece() -> None:
    choice = Choice(parts=(TextPart(text="whole"),), reason=FinishReason.STOP)
    body = encode([list(unfold(Response(choices=(choice,))))])
    whole = plain(told(Response(choices=(choice,))))
    assert plain(folded(decode(body, RESPONSES.stream_decoder))) == whole
    assert plain(folded(decode(body, LosesLastPiece))) != whole


def test_no_arguments_are_an_empty_object() -> None:
    """R3 (i), streamed and not."""
    call = ToolCallPart(call_id="a", name="now")
    answer = Response(choices=(Choice(parts=(call,), reason=FinishReason.TOOL_CALLS),))
    streamed = folded(decode(encode([list(unfold(answer))]), RESPONSES.stream_decoder))
    whole = RESPONSES.decode_response(json.dumps(RESPONSES.encode_response(answer)[0]))
    assert isinstance(whole, Response)
    for read in (whole, streamed):
        (part,) = read.choices[0].parts
        assert isinstance(part, ToolCallPart)
        assert part.arguments == "{}"


def test_what_is_hidden_from_the_comparison_is_little() -> None:
    assert {"item", "id"} == HIDDEN
