"""Documents of the same dialect, passed on with what a gateway must write into them.

Only documents that hold the answer (`response.created`, `response.completed`, ...) are changed: id,
model, provider (where it has none), cost, losses. Everything else goes on byte for byte, end marks
of other wires are left out. A failure is always told by us, under the next number.
"""

from __future__ import annotations

from typing import Any

import msgspec

from arno.canon.events import KeepAlive, StreamError, UsageUpdate
from arno.canon.response import Response
from arno.canon.usage import Usage
from arno.dialects.base import Batch, Pricer, Stamp
from arno.dialects.residue import Document, integer, text
from arno.dialects.responses.answer import head
from arno.dialects.responses.events import LAST_NUMBER, event, failed_response
from arno.dialects.responses.usage import told_usage
from arno.wire import json
from arno.wire.sse import encode_comment, encode_sse


def stamp_response(
    response: Document, usage: Usage | None, stamp: Stamp, pricer: Pricer, *, ends: bool = True
) -> None:
    """Write the stamp into a response object; usage: what its own usage object says."""
    if stamp.id is not None:
        response["id"] = stamp.id
    if stamp.model is not None:
        response["model"] = stamp.model
    if stamp.provider is not None and not response.get("provider"):
        response["provider"] = stamp.provider
    if not ends:
        return
    told = told_usage(usage, pricer, text(response.get("provider")), stamp.losses)
    if told is not None:
        response["usage"] = told


def restamp_response(body: bytes, response: Response, stamp: Stamp, pricer: Pricer) -> bytes:
    """A whole answer with the stamp. response: what `body` decodes to."""
    document: Document = msgspec.convert(json.loads(body), dict[str, Any])
    stamp_response(document, response.usage, stamp, pricer)
    return json.dumps(document)


class ResponsesRestamper:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self._stamp = stamp
        self._pricer = pricer
        self._known: Document = head(stamp.id, stamp.model, stamp.provider, stamp.created)
        self._last = -1
        self._frames = 0

    def feed(self, batch: Batch) -> bytes:
        """The frames that carry this batch on."""
        last = batch.events[-1] if batch.events else None
        document = batch.document if isinstance(batch.document, dict) else None
        if document is not None:
            self._last = max(self._last, integer(document.get("sequence_number")) or -1)
        if isinstance(last, StreamError):
            return self._error(last, document)
        if batch.frame is None or not batch.frame.complete:
            return b""
        if batch.plain:
            self._frames += 1
            return batch.frame.raw
        if document is None:
            return encode_comment(last.note or "") if isinstance(last, KeepAlive) else b""
        self._frames += 1
        response = document.get("response")
        if not isinstance(response, dict):
            return batch.frame.raw
        return self._stamped(batch, document, response)

    def _stamped(self, batch: Batch, document: Document, response: Document) -> bytes:
        usage = next((e.usage for e in batch.events if isinstance(e, UsageUpdate)), None)
        ends = usage is not None or text(response.get("status")) in ("completed", "incomplete")
        stamp_response(response, usage, self._stamp, self._pricer, ends=ends)
        self._known = {key: value for key, value in response.items() if key != "usage"}
        kind = None if batch.frame is None else batch.frame.event
        return encode_sse(json.dumps(document), kind or text(document.get("type")))

    def _error(self, error: StreamError, document: Document | None) -> bytes:
        """The answer as one that has failed, as far as its documents told of it.

        Pieces are passed on unread, so their number may not be known; it is at least the number of
        frames, and every stream that numbers its events begins with 0.
        """
        response = None if document is None else document.get("response")
        if isinstance(response, dict):
            stamp_response(response, None, self._stamp, self._pricer, ends=False)
            self._known = {key: value for key, value in response.items() if key != "usage"}
        provider = text(self._known.get("provider")) or self._stamp.provider
        failed = failed_response(error.failure, self._known, provider)
        number = max(self._last + 1, self._frames) if self._frames else LAST_NUMBER
        return event("response.failed", number, {"response": failed})
