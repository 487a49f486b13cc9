"""What the scripted upstream can answer: made once, played by `upstream.c` or `upstream.py`.

The last letters and digits of a request's model name the script. `table` writes all of them for
the program in C.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from benchmarks import traffic

PAUSE_S = 0.005
"""Between two events of a paced stream."""

SLOW_PAUSE_S = 1.0
"""Between two events of a stream that is open for long."""

PACED_EVENTS = 300
STAMPED_EVENTS = 20
OPEN_EVENTS = 120
FLOOD_EVENTS = 3000

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: "
STREAM_HEAD = _HEAD + b"text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_LAST = b"0\r\n\r\n"


class End(IntEnum):
    """How an answer ends: well, never, with a closed connection, with a reset one."""

    KEEPS = 0
    STAYS_OPEN = 1
    CLOSES = 2
    RESETS = 3


class Write(msgspec.Struct, frozen=True):
    """Bytes that are written at once, and how many events are in them."""

    data: bytes
    events: int = 1


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One answer.

    delay_s: before the head; pause_s: between writes, 0 for the next turn of the loop; stamped:
    events that say their time come before `writes`.
    """

    head: bytes = STREAM_HEAD
    writes: tuple[Write, ...] = ()
    delay_s: float = 0.0
    pause_s: float = 0.0
    stamped: int = 0
    end: End = End.KEEPS
    streamed: bool = True

    @property
    def events(self) -> int:
        """All of them."""
        return self.stamped + sum(write.events for write in self.writes)


def framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def stamped(now_ns: int) -> bytes:
    """A chunk with an event that says when it was made."""
    return framed(traffic.stamped(now_ns))


def _stream(
    frames: tuple[bytes, ...], pause_s: float = 0.0, stamped: int = 0, at_once: int = 1
) -> Script:
    """A stream that ends well; at_once: events in one write."""
    groups = [frames[at : at + at_once] for at in range(0, len(frames), at_once)]
    writes = [Write(framed(b"".join(group)), len(group)) for group in groups]
    writes[-1] = Write(writes[-1].data + _LAST, writes[-1].events)
    return Script(writes=tuple(writes), pause_s=pause_s, stamped=stamped)


def _cut(events: int, end: End) -> Script:
    """A stream that breaks off after so many events, one each 5 ms."""
    writes = tuple(Write(framed(frame)) for frame in traffic.stream()[:events])
    return Script(writes=writes, pause_s=PAUSE_S, end=end)


def _answer(status: str, body: bytes, delay_s: float = 0.0) -> Script:
    fields = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    head = b"HTTP/1.1 %b\r\n%b%b" % (status.encode(), fields, body)
    return Script(head=head, delay_s=delay_s, streamed=False)


def scripts() -> dict[str, Script]:
    """What is measured. The first one answers what names no script.

    whole: a document of 1 KB; burst: a stream event by event; joined: all in one write; paced:
    300 events, one each 5 ms; stamped: 20 events that tell their time; held: open for two minutes.
    """
    frames = traffic.stream()
    return {
        "whole": _answer("200 OK", traffic.whole()),
        "burst": _stream(frames),
        "joined": _stream(frames, at_once=len(frames)),
        "paced": _stream(traffic.long_stream(PACED_EVENTS), PAUSE_S),
        "stamped": _stream(traffic.long_stream(4)[-3:], PAUSE_S, STAMPED_EVENTS),
        "held": _stream(traffic.long_stream(OPEN_EVENTS), SLOW_PAUSE_S),
    }


def table(found: dict[str, Script]) -> bytes:
    """Scripts as `upstream.c` reads them."""
    event = stamped(0)
    parts = [b"stamp %d %d\n%b\n" % (len(event), event.index(b"0" * traffic.STAMP_DIGITS), event)]
    for name, script in found.items():
        numbers = (
            round(script.delay_s * 1e6),
            round(script.pause_s * 1e6),
            script.stamped,
            script.end,
            script.streamed,
            len(script.writes),
            len(script.head),
        )
        words = " ".join(str(int(number)) for number in numbers)
        parts.append(f"script {name} {words}\n".encode() + script.head + b"\n")
        parts += [b"write %d %d\n%b\n" % (w.events, len(w.data), w.data) for w in script.writes]
    return b"".join(parts)


def soak_scripts() -> dict[str, Script]:
    """What a soak asks for besides: every way in which an upstream can let one down.

    cutN, resetN: the connection ends after N events; hangN: nothing comes any more after them;
    refuse, drop: it ends before the head; mute: the head never comes; busy, broken: statuses;
    late: the head comes after a while; flood: more than the sockets hold; undone: a good end
    without its end mark.
    """
    events = len(traffic.stream())
    cuts = {f"cut{count}": _cut(count, End.CLOSES) for count in range(events)}
    resets = {f"reset{count}": _cut(count, End.RESETS) for count in range(0, events, 4)}
    hangs = {f"hang{count}": _cut(count, End.STAYS_OPEN) for count in (0, 1, 7)}
    late = _stream(traffic.stream(), PAUSE_S)
    return {
        **scripts(),
        **cuts,
        **resets,
        **hangs,
        "refuse": Script(head=b"", end=End.CLOSES, streamed=False),
        "drop": Script(head=b"", end=End.RESETS, streamed=False),
        "mute": Script(head=b"", end=End.STAYS_OPEN, streamed=False),
        "busy": _answer("429 Too Many Requests", b'{"error":{"message":"busy"}}'),
        "broken": _answer("500 Internal Server Error", b'{"error":{"message":"broken"}}'),
        "late": msgspec.structs.replace(late, delay_s=0.1),
        "undone": _stream(traffic.stream()[:-1]),
        "flood": _stream(traffic.long_stream(FLOOD_EVENTS), at_once=50),
    }
