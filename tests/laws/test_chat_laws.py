"""The laws PutGet, Fold, Order and Prefix for generated values of the chat dialect.

Serves architecture, section 3: encode then decode gives the same value, but for what the encoder
reported as a Loss; a whole answer and its stream say the same however they are cut.
"""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import Event, PartDelta
from arno.canon.parts import Part, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Request
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch
from arno.dialects.chat.stream_decode import ChatStreamDecoder
from arno.wire import Frame, SSEDecoder, json
from tests.laws.harness import (
    CHAT,
    bare,
    checked,
    decode,
    decode_frames,
    encode,
    failed,
    finish_place,
    folded,
    frames_of,
    told,
)
from tests.laws.values import requests, responses
from tests.wire.streams import cut_at

pytestmark = pytest.mark.slow

quick = settings(max_examples=150)


def without_lost(request: Request) -> Request:
    """What of a request the dialect has a place for; each difference must be told as a Loss."""
    messages = tuple(
        msgspec.structs.replace(message, parts=tuple(map(_carried, message.parts)))
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=messages)


def _carried(part: Part) -> Part:
    no_error = isinstance(part, ToolResultPart)
    return msgspec.structs.replace(part, is_error=None) if no_error else part


def losses_expected(request: Request) -> set[str]:
    """The paths of what `without_lost` leaves out."""
    return {
        f"/messages/{number}/parts/{place}/is_error"
        for number, message in enumerate(request.messages)
        for place, part in enumerate(message.parts)
        if isinstance(part, ToolResultPart) and part.is_error
    }


@given(request=requests)
@quick
def test_requests_come_back_but_for_the_losses(request: Request) -> None:
    body, losses = CHAT.encode_request(request)
    assert {loss.path for loss in losses} == losses_expected(request)
    assert bare(CHAT.decode_request(body)) == bare(without_lost(request))


@given(request=requests)
@quick
def test_requests_of_this_dialect_are_written_as_they_were_read(request: Request) -> None:
    body, _ = CHAT.encode_request(request)
    again, losses = CHAT.encode_request(CHAT.decode_request(body))
    assert not losses
    assert json.equal(json.loads(again), json.loads(body))


@given(answer=responses())
@quick
def test_whole_answers_come_back(answer: Response) -> None:
    document, losses = CHAT.encode_response(answer)
    assert not losses
    again = CHAT.decode_response(json.dumps(document))
    assert isinstance(again, Response)
    assert bare(again) == bare(told(answer))
    written, _ = CHAT.encode_response(again)
    assert json.equal(written, json.loads(json.dumps(document)))


@given(answer=responses())
@quick
def test_unfolding_and_folding_change_nothing(answer: Response) -> None:
    assert folded(checked(list(unfold(answer)))) == answer


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


def batched(events: list[Event], data: st.DataObject) -> list[list[Event]]:
    """The same events in arbitrary batches, empty ones included."""
    places = data.draw(st.lists(st.integers(0, len(events)), max_size=5))
    ends = [0, *sorted(places), len(events)]
    return [events[a:b] for a, b in pairwise(ends)]


@given(answer=responses(), include_usage=st.booleans(), data=st.data())
@quick
def test_streams_say_what_the_answer_says_however_they_are_cut(
    answer: Response, include_usage: bool, data: st.DataObject
) -> None:
    batches = batched(shattered(answer, data), data)
    body = encode(batches, include_usage=include_usage)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    framing = SSEDecoder()
    frames = [frame for chunk in cut_at(body, cuts) for frame in framing.feed(chunk)]
    assert bare(folded(decode_frames(frames + framing.close()))) == bare(told(answer))


@given(answer=responses())
@quick
def test_a_stream_and_a_whole_answer_fold_to_the_same(answer: Response) -> None:
    whole = CHAT.decode_response(json.dumps(CHAT.encode_response(answer)[0]))
    assert isinstance(whole, Response)
    assert bare(folded(decode(encode([list(unfold(answer))])))) == bare(whole)


@given(answer=responses(most=1), include_usage=st.booleans(), data=st.data())
@quick
def test_any_prefix_is_a_failure_until_the_finish(
    answer: Response, include_usage: bool, data: st.DataObject
) -> None:
    body = encode([shattered(answer, data)], include_usage=include_usage)
    frames = frames_of(body)
    kept = data.draw(st.integers(0, len(frames)))
    assert failed(decode_frames(frames[:kept])) is (kept <= finish_place(frames))


class LosesLastPiece(ChatStreamDecoder):
    """A decoder with a fault that the laws must notice: the last delta of a frame is dropped."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        if not batch.events or not isinstance(batch.events[-1], PartDelta):
            return batch
        return msgspec.structs.replace(batch, events=batch.events[:-1])


def test_the_stream_law_notices_a_lost_piece() -> None:
    choice = Choice(parts=(TextPart(text="whole"),), reason=FinishReason.STOP)
    answer = Response(choices=(choice,))
    body = encode([list(unfold(answer))])
    assert bare(folded(decode(body))) == bare(told(answer))
    assert bare(folded(decode(body, LosesLastPiece))) != bare(told(answer))


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_no_arguments_are_an_empty_object(arguments: str) -> None:
    """R3 (i), streamed and not."""
    call = ToolCallPart(call_id="a", name="now", arguments=arguments)
    answer = Response(choices=(Choice(parts=(call,), reason=FinishReason.TOOL_CALLS),))
    whole = CHAT.decode_response(json.dumps(CHAT.encode_response(answer)[0]))
    assert isinstance(whole, Response)
    streamed = folded(decode(encode([list(unfold(answer))])))
    for read in (whole, streamed):
        (part,) = read.choices[0].parts
        assert isinstance(part, ToolCallPart)
        assert part.arguments == "{}"
