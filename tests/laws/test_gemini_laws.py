"""The laws PutGet, Fold, Order and Prefix for generated values of the gemini dialect.

Serves architecture, section 3: encode then decode gives the same value, but for what the encoder
reported as a Loss; a whole answer and its stream say the same however they are cut.
"""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import PartDelta
from arno.canon.parts import TextPart
from arno.canon.request import Request, Sampling
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch, RequestLine
from arno.dialects.gemini.stream_decode import GeminiStreamDecoder
from arno.wire import Frame, SSEDecoder, json
from tests.laws.gemini import (
    GEMINI,
    decode,
    decode_frames,
    encode,
    finish_place,
    shattered,
    told,
)
from tests.laws.gemini_values import requests, responses
from tests.laws.harness import bare, checked, failed, folded, frames_of
from tests.wire.streams import cut_at

pytestmark = pytest.mark.slow

some = settings(max_examples=100)


def line_of(request: Request) -> RequestLine:
    return RequestLine(model=request.model, stream=request.stream)


def without_lost(request: Request) -> Request:
    """What of a request the dialect has a place for; each difference must be told as a Loss."""
    members = {name: getattr(request.sampling, name) for name in Sampling.__struct_fields__}
    return msgspec.structs.replace(
        request, sampling=Sampling(**{**members, "min_p": None}), user=None
    )


def losses_expected(request: Request) -> set[str]:
    paths = set()
    if request.sampling.min_p is not None:
        paths.add("/sampling/min_p")
    if request.user:
        paths.add("/user")
    return paths


@given(request=requests)
@some
def test_requests_come_back_but_for_the_losses(request: Request) -> None:
    body, losses = GEMINI.encode_request(request)
    assert {loss.path for loss in losses} == losses_expected(request)
    assert bare(GEMINI.decode_request(body, line_of(request))) == bare(without_lost(request))


@given(request=requests)
@some
def test_requests_of_this_dialect_are_written_as_they_were_read(request: Request) -> None:
    body, _ = GEMINI.encode_request(request)
    again, losses = GEMINI.encode_request(GEMINI.decode_request(body, line_of(request)))
    assert not losses
    assert json.equal(json.loads(again), json.loads(body))


@given(answer=responses())
@some
def test_whole_answers_come_back(answer: Response) -> None:
    document, losses = GEMINI.encode_response(answer)
    assert {loss.action for loss in losses} <= {"approximated"}
    again = GEMINI.decode_response(json.dumps(document))
    assert isinstance(again, Response)
    assert bare(again) == bare(told(answer))
    written, _ = GEMINI.encode_response(again)
    assert json.equal(json.loads(json.dumps(written)), json.loads(json.dumps(document)))


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, length), max_size=3)


@given(answer=responses(), data=st.data())
@some
def test_streams_say_what_the_answer_says_however_they_are_cut(
    answer: Response, data: st.DataObject
) -> None:
    events = shattered(unfold(answer), data, cuts)
    places = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=5)))
    batches = [events[a:b] for a, b in pairwise([0, *places, len(events)])]
    body, _ = encode(batches)
    assert body.count(b"\r\n\r\n") == body.count(b"\n\r\n")
    framing = SSEDecoder()
    pieces = cut_at(body, data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    frames = [frame for piece in pieces for frame in framing.feed(piece)]
    assert bare(folded(decode_frames(frames + framing.close()))) == bare(told(answer))


@given(answer=responses())
@some
def test_a_stream_and_a_whole_answer_fold_to_the_same(answer: Response) -> None:
    whole = GEMINI.decode_response(json.dumps(GEMINI.encode_response(answer)[0]))
    assert isinstance(whole, Response)
    assert bare(folded(checked(decode(encode([list(unfold(answer))])[0])))) == bare(whole)


@given(answer=responses(most=1), data=st.data())
@some
def test_any_prefix_is_a_failure_until_the_finish(answer: Response, data: st.DataObject) -> None:
    frames = frames_of(encode([shattered(unfold(answer), data, cuts)])[0])
    kept = data.draw(st.integers(0, len(frames)))
    assert failed(decode_frames(frames[:kept])) is (kept <= finish_place(frames))


class LosesLastPiece(GeminiStreamDecoder):
    """A decoder with a fault that the laws must notice: the last delta of a frame is dropped."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        if not batch.events or not isinstance(batch.events[-1], PartDelta):
            return batch
        return msgspec.structs.replace(batch, events=batch.events[:-1])


def test_the_stream_law_notices_a_lost_piece() -> None:
    choice = Choice(parts=(TextPart(text="whole"),), reason=FinishReason.STOP)
    answer = Response(choices=(choice,))
    body, _ = encode([list(unfold(answer))])
    assert bare(folded(decode(body))) == bare(told(answer))
    assert bare(folded(decode(body, LosesLastPiece))) != bare(told(answer))
