"""Chunks of our own making, and the end of a stream: what both writers of streams share.

Usage stands in a chunk of its own when the client asked for it, else on the last finish chunk
(architecture, section 4.3), so a finish chunk waits for the end of the stream. Source: recorded
chunks, contract sections 4.2 and 4.8.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from arno.canon.ext import Loss
from arno.canon.failure import Failure
from arno.canon.usage import Usage
from arno.dialects.base import Pricer, Stamp
from arno.dialects.chat.failures import error_member
from arno.dialects.chat.usage import encode_usage, tell_losses
from arno.dialects.residue import Document
from arno.wire import json
from arno.wire.sse import encode_comment, encode_sse

DONE = b"data: [DONE]\n\n"
HEARTBEAT = encode_comment("ARNO PROCESSING")


def chunk(document: Document) -> bytes:
    """One document as a frame."""
    return encode_sse(json.dumps(document))


def head_of(stamp: Stamp) -> Document:
    """The members every chunk begins with, as far as they are known."""
    members = {
        "id": stamp.id,
        "object": "chat.completion.chunk",
        "created": stamp.created,
        "model": stamp.model,
        "provider": stamp.provider,
    }
    return {key: value for key, value in members.items() if value is not None}


def error_chunk(failure: Failure, stamp: Stamp) -> bytes:
    """The chunk that ends a stream with a failure: an error member, finish reason error (R5)."""
    choice = {
        "index": 0,
        "delta": {"content": ""},
        "finish_reason": "error",
        "native_finish_reason": None,
    }
    error = error_member(failure, stamp.provider)
    return chunk({**head_of(stamp), "error": error, "choices": [choice]})


class Ending:
    """The finish chunk while it waits, the usage it waits for, and the last frames."""

    def __init__(self, pricer: Pricer, *, include_usage: bool) -> None:
        self.usage: Usage | None = None
        self._pricer = pricer
        self._include_usage = include_usage
        self._held: Document | None = None

    @property
    def waits(self) -> bool:
        """True while a finish chunk is held."""
        return self._held is not None

    def finish(self, document: Document) -> bytes:
        """A chunk with a finish: said now, or held until the usage is known."""
        before = self.flush()
        if self._include_usage:
            return before + chunk(document)
        self._held = document
        return before

    def flush(self) -> bytes:
        """The finish chunk that was held, as something comes behind it."""
        held = self.take()
        return b"" if held is None else chunk(held)

    def take(self) -> Document | None:
        """The finish chunk that was held, unsaid."""
        held, self._held = self._held, None
        return held

    def close(self, head: Document, served_by: str | None, losses: Iterable[Loss] = ()) -> bytes:
        """The last frames.

        head: what a chunk for the usage alone begins with; losses: told in the usage.
        """
        held = self.take()
        usage = None if self.usage is None else self._priced(self.usage, served_by)
        usage = None if usage is None else tell_losses(usage, losses)
        if held is not None and usage is not None:
            held["usage"] = usage
        last = b"" if held is None else chunk(held)
        if held is None and usage is not None:
            last = chunk({**head, "choices": [], "usage": usage})
        return last + DONE

    def _priced(self, usage: Usage, served_by: str | None) -> Document:
        """The usage object, with a cost where the upstream reported none and a price is known."""
        document = encode_usage(usage)
        if usage.cost is None:
            cost = self._pricer(usage, served_by)
            if cost is not None:
                document["cost"] = Decimal(cost)
        return document
