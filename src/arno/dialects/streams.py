"""What stream decoders of all dialects share: frames without a document, ends by failure."""

from __future__ import annotations

from arno.canon.events import KeepAlive
from arno.canon.failure import Failure
from arno.dialects.base import Batch
from arno.wire.frame import Frame


class Ended(Exception):
    """What a document says next ends the stream, or it cannot be understood; never leaves a
    decoder."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def is_comment(data: bytes) -> bool:
    """True for data that is none: some proxies send their comments as data (R2)."""
    return data[:1] == b":" or not data.strip()


def without_document(frame: Frame) -> Batch:
    """What a frame means that holds no document: a comment, in whatever form, keeps alive."""
    comment = frame.comment if frame.data is None else frame.data
    note = comment.decode(errors="replace").strip(": ") if comment else None
    return Batch(frame, None, (KeepAlive(note),) if comment else ())
