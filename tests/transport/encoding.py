"""Bodies in every content coding, event by event, and a response that gives out what it is told."""

import asyncio
import sys
import zlib
from collections.abc import Callable
from importlib import import_module

import pytest

from arno.transport.base import ErrorKind, TransportError
from arno.transport.decoding import decoded
from tests.transport.running import fault_of, read_all, read_to_fault

brotli = import_module("brotli")
zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


class Encoder:
    """Encodes a body piece by piece; each piece can be decoded without the next one."""

    def __init__(self, add: Callable[[bytes], bytes], end: Callable[[], bytes]):
        self.add = add
        self.end = end


def _zlib(wbits: int) -> Encoder:
    engine = zlib.compressobj(wbits=wbits)
    return Encoder(lambda d: engine.compress(d) + engine.flush(zlib.Z_SYNC_FLUSH), engine.flush)


def _br() -> Encoder:
    engine = brotli.Compressor(quality=5)
    return Encoder(lambda data: engine.process(data) + engine.flush(), engine.finish)


def _zstd() -> Encoder:
    engine = zstd.ZstdCompressor()
    return Encoder(lambda data: engine.compress(data, engine.FLUSH_BLOCK), engine.flush)


def _chain(first: Callable[[], Encoder], second: Callable[[], Encoder]) -> Encoder:
    inner, outer = first(), second()
    return Encoder(
        lambda data: outer.add(inner.add(data)), lambda: outer.add(inner.end()) + outer.end()
    )


ENCODERS: dict[str, tuple[str, Callable[[], Encoder]]] = {
    "gzip": ("gzip", lambda: _zlib(31)),
    "x-gzip": ("x-gzip", lambda: _zlib(31)),
    "deflate": ("deflate", lambda: _zlib(15)),
    "raw deflate": ("deflate", lambda: _zlib(-15)),
    "br": ("br", _br),
    "zstd": ("zstd", _zstd),
    "gzip then br": ("gzip, br", lambda: _chain(lambda: _zlib(31), _br)),
    "zstd then gzip": ("zstd, gzip", lambda: _chain(_zstd, lambda: _zlib(31))),
}
"""By name: the content-encoding header, and what makes an encoder."""


def encoded_pieces(name: str, pieces: list[bytes]) -> list[bytes]:
    """The pieces encoded, and the end of the encoded data as the last one."""
    encoder = ENCODERS[name][1]()
    return [*(encoder.add(piece) for piece in pieces), encoder.end()]


def encoded(name: str, body: bytes) -> bytes:
    return b"".join(encoded_pieces(name, [body]))


class PiecesResponse:
    """An `HttpResponse` that gives the pieces, one a read, then ends well or with `fault`."""

    def __init__(self, coding: str, pieces, fault: ErrorKind | None = None):
        self.status = 200
        self.headers = (
            ("content-type", "text/event-stream"),
            ("content-encoding", coding),
            ("content-length", "7"),
        )
        self.pieces = [piece for piece in pieces if piece]
        self.fault = fault
        self.reads = 0
        self.aborted = 0

    async def read(self):
        self.reads += 1
        if self.aborted:
            raise TransportError(ErrorKind.CUT, "aborted", sent=True)
        if self.pieces:
            return self.pieces.pop(0)
        if self.fault is not None:
            raise TransportError(self.fault, "from inside", sent=True)
        return b""

    def abort(self):
        self.aborted += 1


def bomb(name, megabytes):
    """That many MiB of zeros."""
    zeros = bytes(1024 * 1024)
    if name == "zstd":
        return zstd.compress(zeros) * megabytes
    if name == "br":
        engine = brotli.Compressor(quality=1)
        return b"".join([*(engine.process(zeros) for _ in range(megabytes)), engine.finish()])
    deflate = zlib.compressobj(wbits=-15)
    block = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + deflate.flush()


EVENTS = [b'data: {"n":%d,"text":"%b"}\n\n' % (n, b"abcdefgh" * n) for n in range(1, 6)]
BODY = b"".join(EVENTS)
ALONE = [name for name in ENCODERS if "then" not in name]

every_coding = pytest.mark.parametrize("name", ENCODERS)
every_single_coding = pytest.mark.parametrize("name", ALONE)


def response(name, pieces, fault=None):
    """A decoded response over these encoded pieces, and the inner one."""
    inner = PiecesResponse(ENCODERS.get(name, (name,))[0], pieces, fault)
    return decoded(inner), inner


def outcome(name, pieces, fault=None, **settings):
    """What is read of these encoded pieces, and how it ends."""
    inner = PiecesResponse(ENCODERS.get(name, (name,))[0], pieces, fault)
    return asyncio.run(read_to_fault(decoded(inner, **settings)))


def first_fault(name, pieces):
    """What these encoded pieces end with; again and again, and the inner response is let go."""

    async def scenario():
        reader, inner = response(name, pieces)
        error = await fault_of(read_all(reader))
        again = await fault_of(reader.read())
        assert (again.kind, again.message) == (error.kind, error.message)
        assert inner.aborted
        return error

    return asyncio.run(scenario())
