"""Writers: how an upstream's answer becomes the client's bytes.

    Verbatim   the upstream speaks the client's contract: its bytes pass as they came
    Restamp    same dialect, but documents carry our ids, model, provider and cost
    Encode     another shape: another dialect, or a stream of a whole answer
    Silent     nobody downstream (the agent takes the events)

A writer never says that an answer ended well unless the decoder saw its terminal evidence.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from arno.canon.events import PartDelta, ResponseEnd, Slot, StreamError
from arno.canon.ext import Loss
from arno.canon.failure import Failure
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Batch, Dialect, Glance, Pricer, Stamp, StreamRestamper
from arno.dialects.disclosure import MEMBER, disclosed
from arno.wire import json


class Writer(Protocol):
    """Batches of one answer to client bytes; each call gives whole frames."""

    @property
    def failure(self) -> Failure | None:
        """The failure that the client was told, where the writer itself found one."""
        ...

    def batch(self, batch: Batch) -> bytes:
        """What the client is sent for one batch of a stream."""
        ...

    def whole(self, body: bytes, response: Response) -> bytes:
        """What the client is sent for a whole answer."""
        ...


class Passing(Writer, Protocol):
    """A writer of the upstream's own dialect: it may be given an answer only glanced at."""

    def glanced(self, glanced: Glance) -> bytes:
        """What the client is sent for it."""
        ...


class Verbatim:
    """Bytes as they came; only an end that the upstream left out is added."""

    failure: Failure | None = None

    def __init__(self, dialect: Dialect, stamp: Stamp) -> None:
        self._dialect = dialect
        self._stamp = stamp

    def batch(self, batch: Batch) -> bytes:
        """The frame itself, unless the stream broke or lacks its end mark."""
        last = batch.events[-1] if batch.events else None
        if isinstance(last, StreamError) and not _tells_itself(batch):
            return self._break(batch, last)
        if batch.frame is None:
            return self._dialect.stream_done() if isinstance(last, ResponseEnd) else b""
        return batch.frame.raw if batch.frame.complete else b""

    def _break(self, batch: Batch, last: StreamError) -> bytes:
        """The failure, behind the text that stands in the failing document itself (R5)."""
        deltas = [event for event in batch.events if isinstance(event, PartDelta)]
        if not deltas or any(event.slot is not Slot.TEXT for event in deltas):
            return self._dialect.stream_failure(last.failure, self._stamp)
        words = self._dialect.stream_restamper(self._stamp, _no_price, include_usage=True)
        return words.feed(batch)

    def whole(self, body: bytes, response: Response) -> bytes:
        """The body itself."""
        return body

    def glanced(self, glanced: Glance) -> bytes:
        """The body itself."""
        return glanced.body


def _no_price(usage: Usage, served_by: str | None) -> str | None:
    """A failing document is never priced."""
    return None


def _tells_itself(batch: Batch) -> bool:
    """True if the failing document is the upstream's own error chunk, readable by clients.

    A chunk without choices, or an `event: error` frame, is one that client SDKs do not read.
    """
    return batch.readable_error


class Restamp:
    """The same dialect with a stamp."""

    failure: Failure | None = None

    def __init__(
        self, dialect: Dialect, stamp: Stamp, pricer: Pricer, *, include_usage: bool
    ) -> None:
        self._dialect = dialect
        self._stamp = stamp
        self._pricer = pricer
        self._include_usage = include_usage
        self._stream: StreamRestamper | None = None

    def batch(self, batch: Batch) -> bytes:
        """The restamped frames."""
        if self._stream is None:
            # Not before it is needed: a whole answer needs none.
            self._stream = self._dialect.stream_restamper(
                self._stamp, self._pricer, include_usage=self._include_usage
            )
        return self._stream.feed(batch)

    def whole(self, body: bytes, response: Response) -> bytes:
        """The restamped document."""
        return self._dialect.restamp_response(body, response, self._stamp, self._pricer)

    def glanced(self, glanced: Glance) -> bytes:
        """The restamped document, its messages as they came."""
        return self._dialect.restamp_glanced(glanced, self._stamp, self._pricer)


class Encode:
    """The answer said anew. streamed: as frames, whatever the upstream sent; else as a document.

    losses: what of the answer could not be said so far.
    """

    def __init__(
        self,
        dialect: Dialect,
        stamp: Stamp,
        pricer: Pricer,
        *,
        include_usage: bool,
        streamed: bool = True,
    ) -> None:
        self._dialect = dialect
        self._stamp = stamp
        self._pricer = pricer
        self._lost: tuple[Loss, ...] = ()
        self._stream = (
            dialect.stream_encoder(stamp, pricer, include_usage=include_usage) if streamed else None
        )

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What could not be said so far."""
        return self._lost if self._stream is None else self._stream.losses

    @property
    def failure(self) -> Failure | None:
        """What the encoder ended its stream with."""
        return None if self._stream is None else self._stream.failure

    def batch(self, batch: Batch) -> bytes:
        """The encoded frames."""
        return b"" if self._stream is None else self._stream.feed(batch.events)

    def whole(self, body: bytes, response: Response) -> bytes:
        """The frames or the document that spell the answer."""
        if self._stream is not None:
            return self._stream.feed(list(unfold(response)))
        document, self._lost = self._dialect.encode_response(self._stamped(response))
        usage = document.get(self._dialect.usage_member)
        told = disclosed((*self._stamp.losses, *self._lost))
        if told and isinstance(usage, dict):
            usage[MEMBER] = told
        return json.dumps(document)

    def _stamped(self, response: Response) -> Response:
        """The answer with our id, the model that was asked for, who served it and its cost."""
        stamp, usage = self._stamp, response.usage
        if usage is not None and usage.cost is None:
            cost = self._pricer(usage, response.served_by)
            usage = msgspec.structs.replace(usage, cost=cost)
        return msgspec.structs.replace(
            response,
            id=stamp.id or response.id,
            model=stamp.model or response.model,
            served_by=response.served_by or stamp.provider,
            created=response.created if response.created is not None else stamp.created,
            usage=usage,
        )


class Silent:
    """No client bytes."""

    failure: Failure | None = None

    def batch(self, batch: Batch) -> bytes:
        """Nothing."""
        return b""

    def whole(self, body: bytes, response: Response) -> bytes:
        """Nothing."""
        return b""
