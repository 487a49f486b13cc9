"""Documents of the same dialect, passed on with what a gateway must write into them.

Messages go on as they came, but for the first (who answers), the last (cost, losses) and a stop
reason that hides tool calls (R4). Unknown members stay.
"""

from __future__ import annotations

import msgspec

from arno.canon.events import (
    ChoiceEnd,
    KeepAlive,
    ResponseEnd,
    ResponseStart,
    StreamError,
    UsageUpdate,
)
from arno.canon.response import Response
from arno.canon.usage import Usage
from arno.dialects.base import Batch, Pricer, Stamp
from arno.dialects.converse.failures import stream_failure
from arno.dialects.converse.messages import HEARTBEAT, event
from arno.dialects.converse.reasons import wire_reason
from arno.dialects.converse.stream_encode import head_of
from arno.dialects.converse.usage import told_usage
from arno.dialects.residue import Document, text
from arno.wire import json


def stamp_document(document: Document, stamp: Stamp) -> None:
    """Write the stamp into `document`."""
    head = head_of(stamp)
    if document.get("provider"):
        head.pop("provider", None)
    document.update(head)


def restamp_response(body: bytes, response: Response, stamp: Stamp, pricer: Pricer) -> bytes:
    """A whole answer with the stamp and the end reason that its calls ask for.

    response: what `body` decodes to, which is why the body is known to hold an answer.
    """
    document = msgspec.convert(json.loads(body), Document)
    stamp_document(document, stamp)
    reason = response.choices[0].reason
    if reason is not None:
        document["stopReason"] = wire_reason(reason, response.choices[0].native_reason)
    served_by = response.served_by or stamp.provider
    usage = told_usage(response.usage, stamp.losses, pricer, served_by)
    if usage is not None:
        document["usage"] = usage
    return json.dumps(document)


class ConverseRestamper:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self._stamp = stamp
        self._pricer = pricer
        self._served_by = stamp.provider
        self._usage: Usage | None = None
        self._told = False

    def feed(self, batch: Batch) -> bytes:
        """The messages that carry this batch on."""
        frame = batch.frame
        if batch.plain and frame is not None:
            return frame.raw
        last = batch.events[-1] if batch.events else None
        if isinstance(last, StreamError):
            if batch.readable_error and frame is not None:
                return frame.raw
            return stream_failure(last.failure, self._stamped())
        if frame is None or not frame.complete:
            return self._late() if isinstance(last, ResponseEnd) else b""
        if isinstance(last, KeepAlive):
            return HEARTBEAT
        document = batch.document
        return frame.raw if not isinstance(document, dict) else self._document(batch, document)

    def _stamped(self) -> Stamp:
        return msgspec.structs.replace(self._stamp, provider=self._served_by)

    def _document(self, batch: Batch, document: Document) -> bytes:
        """A message whose document may need the stamp; any other as it came."""
        raw = b"" if batch.frame is None else batch.frame.raw
        name = "" if batch.frame is None else batch.frame.event
        for one in batch.events:
            if isinstance(one, ResponseStart) and name == "messageStart":
                self._served_by = text(document.get("provider")) or self._served_by
                stamp_document(document, self._stamp)
                return event("messageStart", document)
            if isinstance(one, UsageUpdate):
                self._usage = one.usage
            if isinstance(one, ChoiceEnd) and not batch.regular:
                word = wire_reason(one.reason, one.native_reason)
                return event("messageStop", {**document, "stopReason": word})
        return self._metadata(document) if name == "metadata" else raw

    def _metadata(self, document: Document) -> bytes:
        self._told = True
        usage = told_usage(self._usage, self._stamp.losses, self._pricer, self._served_by)
        return event("metadata", document if usage is None else {**document, "usage": usage})

    def _late(self) -> bytes:
        """What is still to be said where no `metadata` came: losses, if there are any."""
        usage = told_usage(None, self._stamp.losses, None, None)
        return b"" if self._told or usage is None else event("metadata", {"usage": usage})
