"""Frames of our own making, and the numbers that they count.

Source: OpenAI API reference, "Streaming events"; R7. Every frame has its `event` line, which some
readers go by, and its type in the document, which the others do.
"""

from __future__ import annotations

from arno.canon.ext import Json
from arno.canon.failure import Failure
from arno.dialects.base import Stamp
from arno.dialects.residue import Document
from arno.dialects.responses.answer import SKELETON, head
from arno.dialects.responses.failures import error_of
from arno.wire import json
from arno.wire.sse import encode_comment, encode_sse

HEARTBEAT = encode_comment("ARNO PROCESSING")

LAST_NUMBER = 2**31 - 1
"""The sequence number of a failure told by somebody who does not know how many events went before:
above all of them, so that numbers still rise."""


def event(kind: str, number: int, members: Document) -> bytes:
    """One event as a frame."""
    document = {"type": kind, "sequence_number": number, **members}
    return encode_sse(json.dumps(document), kind)


def failed_response(failure: Failure, known: Document, provider: str | None) -> Document:
    """A response object that says so; known: what is known of it otherwise."""
    error = error_of(failure, provider)
    return {
        **SKELETON,
        "output": [],
        "usage": None,
        **known,
        "status": "failed",
        "incomplete_details": None,
        "error": error,
        "error_type": error["metadata"]["error_type"],
    }


def failure_frame(failure: Failure, stamp: Stamp) -> bytes:
    """The end of a stream of which nothing else is known (see `LAST_NUMBER`).

    The error stands beside the answer as well: readers that have not seen the answer's beginning
    raise it from there, as they raise any error member.
    """
    known = head(stamp.id, stamp.model, stamp.provider, stamp.created)
    response = failed_response(failure, known, stamp.provider)
    members: Json = {"response": response, "error": response["error"]}
    return event("response.failed", LAST_NUMBER, members)
