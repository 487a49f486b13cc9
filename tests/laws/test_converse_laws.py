"""PutGet, Fold, Order and Prefix of the converse dialect over generated values.

What a wire cannot say is left out of the values (`converse_values`) or told as a Loss, which
`tests/dialects/converse/test_request.py` has row by row.
"""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import ChoiceEnd, Event, PartDelta, PartEnd, PartStart, StreamError
from arno.canon.failure import Failure, FailureKind
from arno.canon.parts import TextPart, ToolCallPart
from arno.canon.request import Request
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Batch, RequestLine
from arno.dialects.converse.stream_decode import ConverseStreamDecoder
from arno.dialects.converse.usage import decode_usage, encode_usage
from arno.wire import DEFAULT_LIMIT, FRAMERS, Frame, json
from tests.laws.converse_harness import CONVERSE, decode, encode, frames_of, told
from tests.laws.converse_values import requests, responses, usages
from tests.laws.harness import bare, checked, failed, folded
from tests.wire.streams import cut_at

pytestmark = pytest.mark.slow

quick = settings(max_examples=60)


def said(value: Any) -> Any:
    """`bare`, without the wire's own documents of citations."""
    if isinstance(value, dict):
        return {key: said(member) for key, member in value.items() if key != "@converse"}
    return [said(member) for member in value] if isinstance(value, list) else value


def plain(value: Any) -> Any:
    """A canonical value as what was said."""
    return said(bare(value))


def line_of(request: Request) -> RequestLine:
    return RequestLine(model=request.model, stream=request.stream)


@given(request=requests())
@quick
def test_requests_come_back(request: Request) -> None:
    body, losses = CONVERSE.encode_request(request)
    places = {loss.path.rpartition("/")[2] for loss in losses}
    assert places <= {"arguments", "tools"}
    again = CONVERSE.decode_request(body, line_of(request))
    # Where the conversation holds calls, stand-ins are offered for tools that are not.
    tools = request.tools if "tools" in places else again.tools
    assert bare(msgspec.structs.replace(again, tools=tools)) == bare(request)


@given(request=requests())
@quick
def test_requests_of_this_dialect_are_written_as_they_were_read(request: Request) -> None:
    body, _ = CONVERSE.encode_request(request)
    again, losses = CONVERSE.encode_request(CONVERSE.decode_request(body, line_of(request)))
    assert {loss.path.rpartition("/")[2] for loss in losses} <= {"arguments"}
    assert json.equal(json.loads(again), json.loads(body))


@given(answer=responses())
@quick
def test_whole_answers_come_back(answer: Response) -> None:
    document, losses = CONVERSE.encode_response(answer)
    assert {loss.path.rpartition("/")[2] for loss in losses} <= {"arguments"}
    again = CONVERSE.decode_response(json.dumps(document))
    assert isinstance(again, Response)
    assert plain(again) == plain(told(answer))
    written, _ = CONVERSE.encode_response(again)
    assert json.equal(json.loads(json.dumps(written)), json.loads(json.dumps(document)))


@given(usage=usages)
@quick
def test_every_count_comes_back(usage: Usage) -> None:
    document: Any = json.loads(json.dumps(encode_usage(usage)))
    tier = None if usage.tier is None else {"type": usage.tier}
    assert bare(decode_usage(document, tier)) == bare(usage)
    assert all(value is not None for value in document.values())


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


def interleaved(events: list[Event], data: st.DataObject) -> list[Event]:
    """The same with all parts open at once: each part's own events stay in order."""
    queues: dict[int, list[Event]] = {}
    for event in events:
        if isinstance(event, PartStart | PartDelta | PartEnd):
            queues.setdefault(event.index, []).append(event)
    starts = [queue.pop(0) for queue in queues.values()]
    mixed: list[Event] = []
    while left := [queue for queue in queues.values() if queue]:
        mixed.append(data.draw(st.sampled_from(left)).pop(0))
    first, *rest = [e for e in events if not isinstance(e, PartStart | PartDelta | PartEnd)]
    return checked([first, *starts, *mixed, *rest])


def batched(events: list[Event], data: st.DataObject) -> list[list[Event]]:
    """The same events in arbitrary batches, empty ones included."""
    places = data.draw(st.lists(st.integers(0, len(events)), max_size=5))
    ends = [0, *sorted(places), len(events)]
    return [events[a:b] for a, b in pairwise(ends)]


@given(answer=responses(), mix=st.booleans(), data=st.data())
@quick
def test_streams_say_what_the_answer_says_however_they_are_cut(
    answer: Response, mix: bool, data: st.DataObject
) -> None:
    events = shattered(answer, data)
    body = encode(batched(interleaved(events, data) if mix else events, data))
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    framer = FRAMERS[CONVERSE.framing](DEFAULT_LIMIT)
    frames = [frame for chunk in cut_at(body, cuts) for frame in framer.feed(chunk)]
    assert frames + framer.close() == frames_of(body)
    assert plain(folded(decode(body))) == plain(told(answer))


@given(answer=responses(), data=st.data())
@quick
def test_blocks_are_told_one_at_a_time(answer: Response, data: st.DataObject) -> None:
    """The grammar: start, blocks with dense numbers one behind the other, stop, metadata."""
    body = encode([interleaved(shattered(answer, data), data)])
    names: list[str] = []
    numbers: list[int] = []
    for frame in frames_of(body):
        document = json.loads(frame.data or b"")
        assert isinstance(document, dict)
        names.append(frame.event)
        if "contentBlockIndex" in document:
            numbers.append(document["contentBlockIndex"])
    assert names[0] == "messageStart"
    assert names[-1] in ("messageStop", "metadata")
    assert names.count("messageStop") == names.count("messageStart") == 1
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(len(set(numbers))))
    assert names.count("contentBlockStop") == len(set(numbers))


@given(answer=responses())
@quick
def test_a_stream_and_a_whole_answer_fold_to_the_same(answer: Response) -> None:
    whole = CONVERSE.decode_response(json.dumps(CONVERSE.encode_response(answer)[0]))
    assert isinstance(whole, Response)
    assert bare(folded(decode(encode([list(unfold(answer))])))) == bare(whole)


def stop_place(frames: list[Frame]) -> int:
    return next(place for place, frame in enumerate(frames) if frame.event == "messageStop")


@given(answer=responses(), data=st.data())
@quick
def test_any_prefix_is_a_failure_until_the_stop(answer: Response, data: st.DataObject) -> None:
    frames = frames_of(encode([shattered(answer, data)]))
    kept = data.draw(st.integers(0, len(frames)))
    body = b"".join(frame.raw for frame in frames[:kept])
    assert failed(decode(body)) is (kept <= stop_place(frames))


BROKEN = Failure(FailureKind.RATE_LIMIT, "slow down", retryable=True)


@given(answer=responses(), mix=st.booleans(), data=st.data())
@quick
def test_a_failure_at_any_point_ends_the_stream_and_loses_no_text(
    answer: Response, mix: bool, data: st.DataObject
) -> None:
    """R5: what had come is delivered, no end and no usage is made up."""
    events = shattered(answer, data)
    events = interleaved(events, data) if mix else events
    kept = events[: data.draw(st.integers(0, len(events) - 1))]
    body = encode([[*kept, StreamError(BROKEN)]])
    read = decode(body)
    last = read[-1]
    assert isinstance(last, StreamError)
    assert (last.failure.kind, last.failure.message) == (BROKEN.kind, BROKEN.message)
    assert not any(isinstance(event, ChoiceEnd) for event in read)
    assert spoken(read) == spoken(kept)


def spoken(events: list[Event]) -> list[str]:
    """What the text-like slots of all parts got, part by part."""
    texts: dict[int, str] = {}
    for event in events:
        if isinstance(event, PartDelta) and event.slot in ("text", "arguments"):
            texts[event.index] = texts.get(event.index, "") + event.value
    return sorted(texts.values())


class LosesLastPiece(ConverseStreamDecoder):
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
    whole = CONVERSE.decode_response(json.dumps(CONVERSE.encode_response(answer)[0]))
    assert isinstance(whole, Response)
    streamed = folded(decode(encode([list(unfold(answer))])))
    for read in (whole, streamed):
        (part,) = read.choices[0].parts
        assert isinstance(part, ToolCallPart)
        assert part.arguments == "{}"
