"""Documents of the same dialect, passed on with what a gateway must write into them.

Only members at the top are changed (responseId, modelVersion, and cost and losses in the last
usage object); everything below them goes on as the bytes that came. An error goes on as the
document of our own that tells it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.events import ChoiceEnd, KeepAlive, StreamError, UsageUpdate
from arno.canon.response import Response
from arno.canon.usage import Usage
from arno.dialects.base import Batch, Pricer, Stamp
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.gemini.chunks import HEARTBEAT, error_frames, frame
from arno.dialects.residue import Document
from arno.wire import json

USAGE = "usageMetadata"
_MEMBERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, Raw])


def _told(usage: Usage | None, stamp: Stamp, pricer: Pricer, served_by: str | None) -> Document:
    """What is added to the usage object at the end."""
    added: Document = {}
    if usage is not None and usage.cost is None:
        cost = pricer(usage, served_by)
        if cost is not None:
            added["cost"] = Decimal(cost)
    lost = disclosed(stamp.losses)
    if lost:
        added[MEMBER] = lost
    return added


def _stamped(body: bytes, stamp: Stamp, added: Document) -> bytes:
    """The document with the stamp; `body` itself where nothing changes."""
    named = {"responseId": stamp.id, "modelVersion": stamp.model}
    changes = {name: value for name, value in named.items() if value is not None}
    if not changes and not added:
        return body
    members: dict[str, Any] = _MEMBERS.decode(body)
    if added:
        kept = members.get(USAGE)
        usage = None if kept is None else json.loads(bytes(kept))
        members[USAGE] = {**(usage if isinstance(usage, dict) else {}), **added}
    return json.dumps({**members, **changes})


def restamp_response(body: bytes, response: Response, stamp: Stamp, pricer: Pricer) -> bytes:
    """A whole answer with the stamp. response: what `body` decodes to, so it is an object."""
    if body.lstrip()[:1] == b"[":
        body = msgspec.json.encode(msgspec.json.decode(body, type=tuple[Raw])[0])
    added = _told(response.usage, stamp, pricer, response.served_by or stamp.provider)
    return _stamped(body, stamp, added)


def _finishes(batch: Batch) -> bool:
    """True for a chunk in which something ends; the decoder tells why only at the very end."""
    document = batch.document
    candidates = document.get("candidates") if isinstance(document, dict) else None
    if any(isinstance(event, ChoiceEnd) for event in batch.events):
        return True
    told = candidates if isinstance(candidates, list) else ()
    return any(isinstance(each, dict) and each.get("finishReason") for each in told)


class GeminiRestamper:
    """One stream; see the Protocol in `arno.dialects.base`."""

    def __init__(self, stamp: Stamp, pricer: Pricer) -> None:
        self._stamp = stamp
        self._pricer = pricer
        self._usage: Usage | None = None

    def feed(self, batch: Batch) -> bytes:
        """The frames that carry this batch on."""
        data = None if batch.frame is None else batch.frame.data
        if batch.plain and data is not None:
            return self._document(data, {})
        last = batch.events[-1] if batch.events else None
        added: Document = {}
        for event in batch.events:
            if isinstance(event, UsageUpdate):
                self._usage = event.usage
        if _finishes(batch):
            added = _told(self._usage, self._stamp, self._pricer, self._stamp.provider)
        if isinstance(last, StreamError):
            return self._last_words(batch) + error_frames(last.failure, self._stamp)
        if isinstance(last, KeepAlive):
            return HEARTBEAT
        if data is None or not isinstance(batch.document, dict):
            return b""
        return self._document(data, added)

    def _document(self, data: bytes, added: Document) -> bytes:
        return frame(_stamped(data, self._stamp, added))

    def _last_words(self, batch: Batch) -> bytes:
        """What the document that fails had to say beside its error, without a finish."""
        document = batch.document
        candidates = document.get("candidates") if isinstance(document, dict) else None
        if not isinstance(candidates, list):
            return b""
        said = [
            {name: value for name, value in each.items() if name != "finishReason"}
            for each in candidates
            if isinstance(each, dict) and each.get("content")
        ]
        if not said:
            return b""
        return frame(_stamped(json.dumps({"candidates": said}), self._stamp, {}))
