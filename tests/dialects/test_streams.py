"""Frames without a document, as every decoder of event streams reads them (R2)."""

import pytest

from arno.canon.events import KeepAlive
from arno.canon.failure import Failure, FailureKind
from arno.dialects import DIALECTS
from arno.dialects.streams import Ended, is_comment, without_document
from arno.wire.frame import Framing
from arno.wire.sse import SSEDecoder

FRAMES = {
    b": PROCESSING\n\n": (KeepAlive("PROCESSING"),),
    b"data: : PROCESSING\n\n": (KeepAlive("PROCESSING"),),
    b":\n\n": (),
    b"data:  \n\n": (KeepAlive(""),),
    b"data:\n\n": (),
    b"event: x\n\n": (),
}


def frame_of(raw):
    decoder = SSEDecoder()
    frames = list(decoder.feed(raw)) + list(decoder.close())
    assert len(frames) == 1
    return frames[0]


@pytest.mark.parametrize("raw", FRAMES)
def test_a_frame_without_a_document_keeps_alive_or_says_nothing(raw):
    frame = frame_of(raw)
    batch = without_document(frame)
    assert batch.frame is frame
    assert batch.events == FRAMES[raw]


@pytest.mark.parametrize("raw", FRAMES)
@pytest.mark.parametrize("name", [n for n, d in DIALECTS.items() if d.framing is Framing.SSE])
def test_every_decoder_of_event_streams_reads_them_so(name, raw):
    batch = DIALECTS[name].stream_decoder().feed(frame_of(raw))
    assert [type(event) for event in batch.events] == [type(event) for event in FRAMES[raw]]


def test_data_is_told_from_comments():
    assert is_comment(b": x")
    assert is_comment(b"  ")
    assert not is_comment(b"[DONE]")
    assert not is_comment(b'{"a":": x"}')


def test_what_ended_a_stream_is_told():
    failure = Failure(FailureKind.SERVER, "boom")
    assert Ended(failure).failure is failure
    assert str(Ended(failure)) == "boom"
