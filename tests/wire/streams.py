"""Helpers for tests of stream decoders: ways to cut a body, and SSE as the standard words it."""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from random import Random
from typing import NamedTuple

from arno.wire import Frame, FrameTooLarge, SSEDecoder


class Event(NamedTuple):
    """What a reader of the standard would see of one event."""

    data: bytes
    event: str
    id: str | None
    retry: int | None


def decode(chunks: Iterable[bytes]) -> list[Frame]:
    """All frames of a body, the remainder from `close` included."""
    decoder = SSEDecoder()
    frames = [frame for chunk in chunks for frame in decoder.feed(chunk)]
    return frames + decoder.close()


def decode_bounded(chunks: Iterable[bytes], limit: int) -> tuple[list[Frame], bool]:
    """All frames until a frame is refused, and whether one was."""
    decoder = SSEDecoder(limit)
    frames: list[Frame] = []
    try:
        for chunk in chunks:
            frames += decoder.feed(chunk)
        frames += decoder.close()
    except FrameTooLarge:
        return frames, True
    return frames, False


def events(frames: Iterable[Frame]) -> list[Event]:
    """The frames that carry data, without their framing."""
    return [Event(f.data, f.event, f.id, f.retry) for f in frames if f.data is not None]


def reference_events(body: bytes) -> list[Event]:
    """The events of a whole body: the standard's steps one by one, with no regard to speed."""
    lines = re.split(rb"\r\n|\r|\n", body.removeprefix(b"\xef\xbb\xbf"))
    found: list[Event] = []
    fields: list[tuple[bytes, bytes]] = []
    for line in lines[:-1]:  # behind the last line end there is no whole line
        if line:
            name, _, value = line.partition(b":")
            fields.append((name, value[1:] if value[:1] == b" " else value))
            continue
        data = [value for name, value in fields if name == b"data"]
        if data:
            found.append(Event(b"\n".join(data), _event(fields), _id(fields), _retry(fields)))
        fields = []
    return found


def _event(fields: list[tuple[bytes, bytes]]) -> str:
    values = [value for name, value in fields if name == b"event"]
    return values[-1].decode(errors="replace") if values else ""


def _id(fields: list[tuple[bytes, bytes]]) -> str | None:
    values = [value for name, value in fields if name == b"id" and b"\0" not in value]
    return values[-1].decode(errors="replace") if values else None


def _retry(fields: list[tuple[bytes, bytes]]) -> int | None:
    values = [value for name, value in fields if name == b"retry"]
    valid = [value for value in values if re.fullmatch(rb"[0-9]+", value)]
    return int(valid[-1]) if valid else None


def bytewise(body: bytes) -> list[bytes]:
    """The body in chunks of one byte."""
    return [body[at : at + 1] for at in range(len(body))]


def two_cuts(body: bytes) -> Iterator[list[bytes]]:
    """Every way to deliver the body in two chunks, an empty one included."""
    return ([body[:at], body[at:]] for at in range(len(body) + 1))


def cut_at(body: bytes, places: Iterable[int]) -> list[bytes]:
    """The body cut at the given places, taken modulo its length."""
    ends = sorted({place % (len(body) + 1) for place in places} | {0, len(body)})
    return [body[start:end] for start, end in pairwise(ends)]


def random_cuts(body: bytes, random: Random) -> list[bytes]:
    """The body cut at a random number of random places."""
    count = random.choice([1, 3, 20, len(body) // 8 + 1])
    return cut_at(body, [random.randrange(len(body) + 1) for _ in range(count)])
