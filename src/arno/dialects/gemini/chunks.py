"""Frames of our own making, and the end of a stream: what both writers of streams share.

Lines end in CRLF as the vendor's do. A sign of life is a chunk with an empty text, no comment and
no empty line: google-genai 3.6 for Python reads a comment as JSON and fails, the one for Go fails
on empty lines as well, and programs that read `candidates[0]` fail on a chunk without candidates.
Source: the readers of the SDKs (`_iter_response_stream`, `iterateResponseStream`,
`processStreamResponse`).
"""

from __future__ import annotations

from arno.canon.failure import Failure
from arno.dialects.base import Stamp
from arno.dialects.gemini.answer import time_of
from arno.dialects.gemini.failures import error_member
from arno.dialects.residue import Document
from arno.wire import json

MODEL = "model"


def frame(data: bytes) -> bytes:
    """One event. A line break in the data, which arguments may hold, begins another line."""
    if data.find(b"\n") >= 0 or data.find(b"\r") >= 0:
        data = b"\r\ndata: ".join(data.splitlines())
    return b"data: %b\r\n\r\n" % data


def chunk(document: Document) -> bytes:
    """One document as a frame."""
    return frame(json.dumps(document))


def candidate(number: int, *parts: Document) -> Document:
    """A candidate with some parts."""
    return {"content": {"parts": list(parts), "role": MODEL}, "index": number}


def tail_of(stamp: Stamp) -> Document:
    """The members every chunk ends with, as far as they are known."""
    created = None if stamp.created is None else time_of(stamp.created)
    members = {"modelVersion": stamp.model, "createTime": created, "responseId": stamp.id}
    return {key: value for key, value in members.items() if value is not None}


HEARTBEAT = chunk({"candidates": [candidate(0, {"text": ""})]})


def error_frames(failure: Failure, stamp: Stamp) -> bytes:
    """The frames that end a stream with a failure (R5): the error document as an event and plain.

    The SDK for Python raises on the event, those for JavaScript and Go on plain JSON alone, as the
    vendor's hosts send it; to a reader of events the plain one is an unfinished event, which is
    void. The number is first of all, since one SDK looks at the text of the document.
    """
    document = json.dumps({"error": error_member(failure, stamp.provider)})
    return frame(document) + document + b"\r\n"
