"""The journal's line format, pure: `length:crc32:json` and a line feed.

Serves architecture 4.6 and fault row 27: a line that was not written whole, or not as it was meant,
is found by its length and checksum and skipped, never read as something else. JSON text holds no
line feed, so the next line feed is always the end of a line.
"""

from __future__ import annotations

import zlib

import msgspec


class Scan(msgspec.Struct, frozen=True):
    """What a piece of a journal holds, read from its start.

    payloads: the JSON texts of whole lines. end: bytes up to the end of the last whole or damaged
    line; what follows is a line without its end. damaged: lines that are not what was written.
    """

    payloads: tuple[bytes, ...]
    end: int
    damaged: int


def encode_line(payload: bytes) -> bytes:
    """One line of the journal for a JSON text without line feeds."""
    return b"%d:%08x:%b\n" % (len(payload), zlib.crc32(payload), payload)


def decode_line(line: bytes) -> bytes | None:
    """The JSON text of a line (its line feed taken off), None if the line is damaged."""
    payload = line.partition(b":")[2].partition(b":")[2]
    # Encoding again is the strictest test: exactly one text gives exactly these bytes.
    return payload if encode_line(payload)[:-1] == line else None


def scan(data: bytes, max_lines: int) -> Scan:
    """Read up to max_lines lines."""
    payloads: list[bytes] = []
    start = damaged = 0
    while len(payloads) + damaged < max_lines:
        stop = data.find(b"\n", start)
        if stop < 0:
            break
        payload = decode_line(data[start:stop])
        if payload is None:
            damaged += 1
        else:
            payloads.append(payload)
        start = stop + 1
    return Scan(tuple(payloads), start, damaged)
