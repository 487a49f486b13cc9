"""When and how a recorded body arrived: the `x_wire` key, and bodies cut into timed chunks.

Serves spec/cassettes.md section 4.1 and behaviour R39. On disk a chunk is `ms:length`, where the
milliseconds may carry decimals (`15.25:37`), so no nanosecond is lost.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import msgspec

from arno.cassette.duration import decimal_text
from arno.cassette.errors import CassetteError
from arno.cassette.model import End, Interaction, Tree, WireTiming
from arno.wire.sse import SSEDecoder

_MS: Final = 1_000_000
_CHUNK: Final = re.compile(r"(\d{1,12})(?:\.(\d{1,6}))?:([1-9]\d{0,11})", re.ASCII)
_KNOWN: Final = ("chunks", "sent", "end")


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """One read of a body: nanoseconds since the response head, and the bytes."""

    at_ns: int
    data: bytes


def chunks_of(interaction: Interaction) -> tuple[Chunk, ...]:
    """The body as it arrived; the chunks' data joined is always the whole body.

    Without timing, or with timing whose lengths do not sum to the body (somebody edited it), an
    event stream gives one chunk per event and any other body one chunk, all at 0.
    """
    body = interaction.response.body
    wire = interaction.wire
    if wire is None or not is_current(wire, body):
        return tuple(Chunk(0, data) for data in _natural_chunks(interaction))
    chunks = []
    start = 0
    for at_ns, length in wire.chunks:
        chunks.append(Chunk(at_ns, body[start : start + length]))
        start += length
    return tuple(chunks)


def is_current(wire: WireTiming, body: bytes) -> bool:
    """Whether the timing is of this body: its lengths sum to it."""
    return sum(length for _, length in wire.chunks) == len(body)


def retimed(wire: WireTiming, edits: Iterable[tuple[int, int, int]]) -> WireTiming:
    """The timing after the body's bytes from `start` to `end` became `length` others, for each
    `(start, end, length)` in `edits`, in order. A replacement arrives with the chunk in which the
    replaced bytes began; a chunk that has no bytes left is gone.
    """
    pending = deque(edits)
    chunks = []
    old_end = kept_end = shift = 0
    for at_ns, length in wire.chunks:
        old_end += length
        while pending and pending[0][1] <= old_end:
            start, end, replaced = pending.popleft()
            shift += replaced - (end - start)
        new_end = old_end + shift
        if pending and pending[0][0] < old_end:
            new_end = pending[0][0] + shift + pending[0][2]
        if new_end > kept_end:
            chunks.append((at_ns, new_end - kept_end))
        kept_end = new_end
    return msgspec.structs.replace(wire, chunks=tuple(chunks))


def read_wire(tree: dict[str, Tree], line: int | None = None) -> WireTiming:
    """The timing in an `x_wire` mapping; keys not known here are kept in `extra`."""
    texts = {key: tree.get(key, "") for key in _KNOWN}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise CassetteError(f"expected text in x_wire.{key}", line)
    end = str(texts["end"]) or End.EOF
    if end not in set(End):
        raise CassetteError(f"expected x_wire.end to be one of {', '.join(End)}", line)
    return WireTiming(
        chunks=_read_chunks(str(texts["chunks"]), line),
        sent=str(texts["sent"]) or None,
        end=End(end),
        extra={key: value for key, value in tree.items() if key not in _KNOWN},
    )


def wire_tree(wire: WireTiming) -> dict[str, Tree]:
    """The `x_wire` mapping of a timing, every value on a single line."""
    tree: dict[str, Tree] = {"chunks": " ".join(map(_chunk_text, wire.chunks))}
    if wire.sent is not None:
        tree["sent"] = wire.sent
    tree["end"] = wire.end.value
    return tree | wire.extra


def _natural_chunks(interaction: Interaction) -> list[bytes]:
    body = interaction.response.body
    if not _is_event_stream(interaction):
        return [body] if body else []
    decoder = SSEDecoder(limit=len(body) + 1)
    return [frame.raw for frame in chain(decoder.feed(body), decoder.close())]


def _is_event_stream(interaction: Interaction) -> bool:
    headers = interaction.response.headers.items()
    types = (
        value for name, values in headers if name.lower() == "content-type" for value in values
    )
    return any(value.lstrip().lower().startswith("text/event-stream") for value in types)


def _read_chunks(text: str, line: int | None) -> tuple[tuple[int, int], ...]:
    return tuple(_checked(text, line))


def _checked(text: str, line: int | None) -> Iterator[tuple[int, int]]:
    latest = 0
    for pair in text.split():
        found = _CHUNK.fullmatch(pair)
        if found is None:
            raise CassetteError("expected x_wire.chunks as pairs of ms:length", line)
        at_ns = int(found[1]) * _MS + int((found[2] or "").ljust(6, "0"))
        if at_ns < latest:
            raise CassetteError("expected x_wire.chunks in order of time", line)
        latest = at_ns
        yield at_ns, int(found[3])


def _chunk_text(chunk: tuple[int, int]) -> str:
    at_ns, length = chunk
    return f"{decimal_text(at_ns, _MS)}:{length}"
