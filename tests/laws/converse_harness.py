"""What the laws of the converse dialect share: streams to events and back."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from arno.canon.events import Event
from arno.canon.failure import Failure
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects import DIALECTS
from arno.dialects.base import Batch, Dialect, Stamp, StreamDecoder
from arno.dialects.converse.reasons import CANONICAL, wire_reason
from arno.wire import DEFAULT_LIMIT, FRAMERS, Frame
from tests.laws.harness import checked, no_price

CONVERSE: Dialect = DIALECTS["converse"]

MakeDecoder = Callable[[], StreamDecoder]


def frames_of(body: bytes) -> list[Frame]:
    """The frames of a whole body, the unfinished one included."""
    framer = FRAMERS[CONVERSE.framing](DEFAULT_LIMIT)
    return framer.feed(body) + framer.close()


def batches_of(frames: Iterable[Frame], make: MakeDecoder = CONVERSE.stream_decoder) -> list[Batch]:
    """What a stream that ends cleanly after `frames` means."""
    decoder = make()
    batches = [decoder.feed(frame) for frame in frames]
    return [*batches, decoder.close()]


def decode(
    body: bytes, make: MakeDecoder = CONVERSE.stream_decoder, *, reset: Failure | None = None
) -> list[Event]:
    """Events of a whole body that ends cleanly, or breaks with `reset`."""
    decoder = make()
    events = [event for frame in frames_of(body) for event in decoder.feed(frame).events]
    events += (decoder.close() if reset is None else decoder.abort(reset)).events
    return checked(events)


def encode(events: Iterable[Sequence[Event]], stamp: Stamp | None = None) -> bytes:
    """The stream that says `events`, given in batches."""
    encoder = CONVERSE.stream_encoder(stamp or Stamp(), no_price, include_usage=True)
    return b"".join(encoder.feed(batch) for batch in events)


def restamped(body: bytes, stamp: Stamp | None = None) -> bytes:
    """The stream as a gateway passes it on to a client of the same dialect."""
    restamper = CONVERSE.stream_restamper(stamp or Stamp(), no_price, include_usage=True)
    return b"".join(restamper.feed(batch) for batch in batches_of(frames_of(body)))


def told(answer: Response) -> Response:
    """What a client reads of `answer` on this wire: one choice, an end with the wire's word."""
    return msgspec.structs.replace(answer, choices=tuple(map(_told, answer.choices[:1])))


def _told(choice: Choice) -> Choice:
    if choice.reason is None:
        return choice
    word = wire_reason(choice.reason, choice.native_reason)
    reason = choice.reason
    if reason is FinishReason.OTHER:
        reason = CANONICAL[word]
    return msgspec.structs.replace(choice, reason=reason, native_reason=word)
