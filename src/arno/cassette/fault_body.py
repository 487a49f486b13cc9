"""What faults make of a body, sans-IO: bytes in; bytes, waits and an end out.

Faults at events come first, then those at bytes, then what changes the reads; each is counted on
what those before it left. Bytes that no fault touches are not changed. They are held back only as
far as a fault asks: an event until it is whole where events are counted, the body where a part of
its length is meant or all of it is to come at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from functools import partial
from itertools import repeat
from typing import Final, Protocol, TypeAlias

import msgspec

from arno.cassette.faults import (
    BadJson,
    Cut,
    DropDone,
    DupEvent,
    EndEarly,
    ErrorEvent,
    Fault,
    Place,
    Rechunk,
    SplitUtf8,
    Stall,
    Unit,
    What,
)
from arno.wire.frame import Frame
from arno.wire.sse import SSEDecoder, encode_sse

MAX_HELD: Final = 64 * 1024 * 1024
"""Bytes of a body, or of one event, that are held back at most."""

_DONE: Final = b"[DONE]"
_ERROR: Final = (
    b'{"type":"error","error":{"type":"api_error","code":502,"message":"injected error event"}}'
)
_LONG_LEADS: Final = re.compile(rb"(?<=[\xc2-\xf4])")
_RANDOM_SIZES: Final = 64


class Wait(msgspec.Struct, frozen=True):
    """Nothing comes for that many nanoseconds."""

    ns: int


class Stop(Enum):
    """How a body is over."""

    END = auto()
    """As announced."""
    EOF = auto()
    """Cut: the connection was closed."""
    RESET = auto()
    """Cut: the connection was reset."""
    FAILED = auto()
    """The body under it failed by itself."""


Move: TypeAlias = bytes | Wait | Stop
"""The next thing a reader meets: the bytes of one read, a wait, or the end of it all."""

Fired = Callable[[Fault], None]
"""Told each time a fault happens."""


class HeldTooMuch(Exception):
    """More than `MAX_HELD` bytes would have to be held back."""


def touches_body(fault: Fault) -> bool:
    """Whether a fault is one of those that are applied here."""
    return isinstance(fault.what, _BODY)


class FaultedBody:
    """The faults of one answer, applied to its body. After a `Stop` nothing comes any more."""

    def __init__(
        self, faults: Iterable[Fault], *, events: bool, length: int | None, fired: Fired
    ) -> None:
        """`events`: it is an event stream. `length`: its bytes, where they are known."""
        self._faults = tuple(faults)
        self._events = events
        self._fired = fired
        self._held: list[bytes] = []
        self._held_size = 0
        self._holding = length is None and any(map(_needs_length, self._faults))
        self._stages: list[_Stage] = [] if self._holding else self._make_stages(length or 0)
        self._over = False

    def feed(self, data: bytes) -> list[Move]:
        """What comes of the next bytes. Raises `HeldTooMuch` and `FrameTooLarge`."""
        if not self._holding:
            return self._run([data])
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size > MAX_HELD:
            raise HeldTooMuch(f"more than {MAX_HELD} bytes until the length of the body is known")
        return []

    def close(self, stop: Stop = Stop.END) -> list[Move]:
        """The body is over by itself, well or (`Stop.FAILED`) not: the rest, and a `Stop`."""
        moves: list[Move] = [stop]
        if self._holding:
            self._holding = False
            self._stages = self._make_stages(self._held_size)
            moves = [*self._held, stop]
            self._held = []
        return self._run(moves)

    def _make_stages(self, length: int) -> list[_Stage]:
        stages: list[_Stage] = []
        at_events = [fault for fault in self._faults if _unit(fault.what) is Unit.EVENT]
        drops = [fault for fault in self._faults if isinstance(fault.what, DropDone)]
        if self._events and (at_events or drops):
            stages.append(_EventStage(at_events, drops, self._fired))
        at_bytes = [fault for fault in self._faults if _unit(fault.what) in _BYTES]
        if at_bytes:
            stages.append(_ByteStage(at_bytes, length, self._fired))
        for fault in self._faults:
            if (stage := _read_stage(fault, self._fired)) is not None:
                stages.append(stage)
        return stages

    def _run(self, moves: Iterable[Move]) -> list[Move]:
        if self._over:
            return []
        for stage in self._stages:
            moves = _through(stage, moves)
        result: list[Move] = []
        for move in moves:
            result.append(move)
            if isinstance(move, Stop):
                self._over = True
                break
        return result


class _Stage(Protocol):
    """One step of the way; its moves are asked for one by one, and not after a stop."""

    def feed(self, data: bytes) -> Iterator[Move]: ...

    def close(self) -> Iterator[Move]: ...


def _through(stage: _Stage, moves: Iterable[Move]) -> Iterator[Move]:
    for move in moves:
        if isinstance(move, bytes):
            yield from stage.feed(move)
            continue
        if isinstance(move, Stop):
            yield from stage.close()
        yield move


class _EventStage:
    """Faults at events; events that arrived together stay together."""

    def __init__(self, at_events: list[Fault], drops: list[Fault], fired: Fired) -> None:
        self._at_events = at_events
        self._drops = drops
        self._fired = fired
        self._decoder = SSEDecoder(MAX_HELD)
        self._count = 0
        self._named = False

    def feed(self, data: bytes) -> Iterator[Move]:
        return self._joined(self._decoder.feed(data))

    def close(self) -> Iterator[Move]:
        return self._joined(self._decoder.close())

    def _joined(self, frames: list[Frame]) -> Iterator[Move]:
        together: list[bytes] = []
        for frame in frames:
            for move in self._frame(frame):
                if isinstance(move, bytes):
                    together.append(move)
                    continue
                if together:
                    yield b"".join(together)
                    together.clear()
                yield move
        if together:
            yield b"".join(together)

    def _frame(self, frame: Frame) -> Iterator[Move]:
        if frame.data is None:
            yield frame.raw
            return
        self._count += 1
        self._named = self._named or bool(frame.event)
        here = [fault for fault in self._at_events if _value(fault.what) == self._count]
        for fault in here:
            yield from self._before(fault)
        raw = frame.raw
        for fault in here:
            raw = self._edited(fault, raw, frame)
        for fault in self._drops:
            if frame.data == _DONE:
                self._fired(fault)
                return
        yield raw

    def _before(self, fault: Fault) -> Iterator[Move]:
        what = fault.what
        if isinstance(what, ErrorEvent):
            self._fired(fault)
            yield encode_sse(_ERROR, "error" if self._named else None)
            yield Stop.END
        elif isinstance(what, (Stall, Cut, EndEarly)):
            self._fired(fault)
            yield _move(what)

    def _edited(self, fault: Fault, raw: bytes, frame: Frame) -> bytes:
        if isinstance(fault.what, DupEvent):
            self._fired(fault)
            return raw + raw
        if isinstance(fault.what, BadJson):
            self._fired(fault)
            return encode_sse(_no_json(frame.data or b""), frame.event or None)
        return raw


class _ByteStage:
    """Stalls and ends at a number of bytes."""

    def __init__(self, faults: list[Fault], length: int, fired: Fired) -> None:
        self._marks = sorted(
            ((_offset(fault.what, length), fault) for fault in faults), key=lambda mark: mark[0]
        )
        self._fired = fired
        self._position = 0

    def feed(self, data: bytes) -> Iterator[Move]:
        while self._marks and self._marks[0][0] <= self._position + len(data):
            offset, fault = self._marks.pop(0)
            before, data = data[: offset - self._position], data[offset - self._position :]
            if before:
                self._position = offset
                yield before
            self._fired(fault)
            yield _move(fault.what)
        if data:
            self._position += len(data)
            yield data

    def close(self) -> Iterator[Move]:
        # Only an empty body leaves a mark unmet that it has reached.
        return self.feed(b"")


class _ReadStage:
    """The same bytes in other reads."""

    def __init__(
        self, split: Callable[[bytes], Iterable[bytes]], fired: Callable[[], None]
    ) -> None:
        self._split = split
        self._fired = fired

    def feed(self, data: bytes) -> Iterator[Move]:
        self._fired()
        return (piece for piece in self._split(data) if piece)

    def close(self) -> Iterator[Move]:
        return iter(())


class _OneRead:
    """The whole body in one read; of a body above `MAX_HELD` as many as that takes."""

    def __init__(self, fired: Callable[[], None]) -> None:
        self._fired = fired
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Move]:
        self._fired()
        self._held.append(data)
        self._size += len(data)
        if self._size > MAX_HELD:
            yield from self.close()

    def close(self) -> Iterator[Move]:
        if self._held:
            yield b"".join(self._held)
        self._held = []
        self._size = 0


def _read_stage(fault: Fault, fired: Fired) -> _Stage | None:
    what = fault.what
    note = partial(fired, fault)
    if isinstance(what, SplitUtf8):
        return _ReadStage(_LONG_LEADS.split, note)
    if not isinstance(what, Rechunk):
        return None
    if what.size is not None:
        equal = repeat(what.size)
        return _ReadStage(lambda data: _cut_by(data, equal), note)
    if what.seed is not None:
        sizes = _random_sizes(what.seed)
        return _ReadStage(lambda data: _cut_by(data, sizes), note)
    return _OneRead(note)


def _cut_by(data: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = start + next(sizes)
        yield data[start:end]
        start = end


def _random_sizes(seed: int) -> Iterator[int]:
    """Sizes from 1 to 64, the same for the same seed on every machine (Knuth's MMIX generator)."""
    state = seed
    while True:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        yield 1 + (state >> 33) % _RANDOM_SIZES


def _no_json(data: bytes) -> bytes:
    """The data, broken: an object or array loses its end, anything else gets a stray beginning."""
    data = data.rstrip()
    return data[:-1] if data[:1] in (b"{", b"[") else b"{" + data


_BODY: Final = (
    Cut,
    EndEarly,
    Stall,
    BadJson,
    DupEvent,
    ErrorEvent,
    DropDone,
    SplitUtf8,
    Rechunk,
)
_PLACED: Final = (Cut, EndEarly, Stall, BadJson, DupEvent, ErrorEvent)
_BYTES: Final = frozenset({Unit.BYTE, Unit.RATIO})


def _move(what: What) -> Move:
    if isinstance(what, Stall):
        return Wait(what.ns)
    if isinstance(what, Cut):
        return Stop.RESET if what.reset else Stop.EOF
    return Stop.END


def _place(what: What) -> Place | None:
    return what.at if isinstance(what, _PLACED) else None


def _unit(what: What) -> Unit | None:
    place = _place(what)
    return None if place is None else place.unit


def _value(what: What) -> float:
    place = _place(what)
    return 0 if place is None else place.value


def _needs_length(fault: Fault) -> bool:
    return _unit(fault.what) is Unit.RATIO


def _offset(what: What, length: int) -> int:
    ratio = _unit(what) is Unit.RATIO
    return int(_value(what) * length) if ratio else int(_value(what))
