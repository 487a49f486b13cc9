"""What the laws share: streams to events under the order table, values without their residue."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from arno.canon.events import TERMINAL, Event, ResponseEnd, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.fold import Fold, fold
from arno.canon.order import OrderChecker
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, Stamp, StreamDecoder
from arno.wire import Frame, SSEDecoder, json

CHAT: Dialect = DIALECTS["chat"]

RESET = Failure(FailureKind.UNAVAILABLE, "connection reset", retryable=True, stage=Stage.MID_STREAM)
"""What the exchange reports when the connection breaks."""

NEVER_COMPARED = frozenset({"ext", "raw", "wire_index"})
"""What the wire looked like, as against what it said."""

MakeDecoder = Callable[[], StreamDecoder]


def no_price(usage: Usage, served_by: str | None) -> str | None:
    """A pricer that knows no price."""
    return None


def frames_of(body: bytes) -> list[Frame]:
    """The frames of a whole body, the unfinished one included."""
    decoder = SSEDecoder()
    return decoder.feed(body) + decoder.close()


def decode_frames(
    frames: Iterable[Frame],
    make: MakeDecoder = CHAT.stream_decoder,
    *,
    reset: Failure | None = None,
) -> list[Event]:
    """Events of a stream that ends cleanly after `frames`, or breaks with `reset`."""
    decoder = make()
    events = [event for frame in frames for event in decoder.feed(frame).events]
    events += (decoder.close() if reset is None else decoder.abort(reset)).events
    return checked(events)


def decode(body: bytes, make: MakeDecoder = CHAT.stream_decoder) -> list[Event]:
    """Events of a whole body."""
    return decode_frames(frames_of(body), make)


def checked(events: list[Event]) -> list[Event]:
    """`events`, which the order table accepts and exactly one terminal event ends."""
    checker = OrderChecker()
    for event in events:
        checker.feed(event)
    assert [isinstance(event, TERMINAL) for event in events].count(True) == 1
    assert isinstance(events[-1], TERMINAL)
    return events


def failed(events: Sequence[Event]) -> bool:
    """True if the stream ended as a failure, False if as a success."""
    assert isinstance(events[-1], ResponseEnd | StreamError)
    return isinstance(events[-1], StreamError)


def finish_place(frames: list[Frame]) -> int:
    """The place of the last frame in which a choice finishes for the first time."""
    seen: set[int] = set()
    place = -1
    for number, frame in enumerate(frames):
        if frame.data is None or frame.data == b"[DONE]":
            continue
        document = json.loads(frame.data)
        assert isinstance(document, dict)
        for choice in document.get("choices") or ():
            if choice.get("finish_reason") and choice["index"] not in seen:
                seen.add(choice["index"])
                place = number
    return place


def encode(
    events: Iterable[Sequence[Event]], *, include_usage: bool = True, stamp: Stamp | None = None
) -> bytes:
    """The chat stream that says `events`, given in batches."""
    encoder = CHAT.stream_encoder(stamp or Stamp(), no_price, include_usage=include_usage)
    return b"".join(encoder.feed(batch) for batch in events)


def folded(events: list[Event]) -> Response:
    """The whole answer that a good stream spells."""
    result: Fold = fold(events)
    return result.response


def told(answer: Response) -> Response:
    """What a client reads of `answer` on the chat wire, whole or as a stream.

    The wire's word stands for the upstream's own word where that is not known, and an end that
    the contract has no word for is told as the good end it looks like.
    """
    return msgspec.structs.replace(answer, choices=tuple(map(_told, answer.choices)))


def _told(choice: Choice) -> Choice:
    reason = FinishReason.STOP if choice.reason is FinishReason.OTHER else choice.reason
    native = choice.native_reason or (reason and reason.value)
    return msgspec.structs.replace(choice, reason=reason, native_reason=native)


def bare(value: Any, *, without: frozenset[str] = frozenset()) -> Any:
    """A canonical value as plain data, without residue and the fields named in `without`."""
    hidden = NEVER_COMPARED | without
    if isinstance(value, msgspec.Struct):
        fields = [name for name in value.__struct_fields__ if name not in hidden]
        members = {name: bare(getattr(value, name), without=without) for name in fields}
        return {"": type(value).__name__, **members}
    if isinstance(value, tuple | list):
        return [bare(item, without=without) for item in value]
    return value
