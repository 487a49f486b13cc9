"""Content codings, sans-IO: encoded bytes in, decoded bytes out, never more at once than asked for.

    gzip, x-gzip   zlib; members one after the other are one body (RFC 1952, 2.2)
    deflate        zlib; with its header, as RFC 9110 has it, or raw, as some servers send it
    br             `brotli` 1.2 or newer                          } of the gateway extra,
    zstd           `backports.zstd`; from Python 3.14 on its own  } imported when first needed

Every decoder gives out all that the bytes so far can be decoded to, so an upstream that flushes
each event is read event by event.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol

MAX_EMPTY: Final = 64
"""Members (gzip) or frames (zstd) in a row that may hold nothing: each costs more than its bytes
are worth."""

_WINDOW_LOG: Final = 23
"""Largest zstd window, 8 MiB: RFC 9659 lets no server use more."""

_GATEWAY_EXTRA: Final = "install arno with its extra 'gateway'"


class Undecodable(Exception):
    """The body is not what its content-encoding says, cannot be decoded here, or breaks a bound."""


class Codec(Protocol):
    """One coding being undone. Feed it when it is hungry; until then decode b"" for the rest."""

    @property
    def hungry(self) -> bool:
        """All that can be decoded so far has been given out."""
        ...

    @property
    def ended(self) -> bool:
        """The encoded data is complete (a further member may follow all the same)."""
        ...

    @property
    def spare(self) -> bytes:
        """Bytes that were fed and lie behind the end."""
        ...

    def decode(self, data: bytes, room: int) -> bytes:
        """About `room` bytes at most; `room` is at least 1. Raises the library's own error for
        garbage. Data after the end are `EOFError`, or become `spare`.
        """
        ...


class Coding:
    """A codec that says in one way what is wrong."""

    def __init__(self, codec: Codec, fault: type[Exception]) -> None:
        self._codec = codec
        self._fault = fault

    @property
    def hungry(self) -> bool:
        """See `Codec.hungry`; false as well while there is a fault still to be told."""
        return self._codec.hungry and not self._codec.spare

    @property
    def ended(self) -> bool:
        """See `Codec.ended`."""
        return self._codec.ended and not self._codec.spare

    def decode(self, data: bytes, room: int) -> bytes:
        """See `Codec.decode`; raises `Undecodable`. Bytes behind the end are a fault of the call
        after the one that found them, so that what was decoded before them is not lost.
        """
        try:
            if self._codec.spare:
                raise EOFError
            return self._codec.decode(data, room)
        except EOFError as error:
            raise Undecodable("bytes after the end of the encoded data") from error
        except self._fault as error:
            raise Undecodable(f"not valid data ({str(error)[:100]})") from error


class _Zlib:
    """A gzip member (wbits 31), a zlib stream (15) or raw deflate (-15)."""

    def __init__(self, wbits: int) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self.hungry = True

    @property
    def ended(self) -> bool:
        return self._inflate.eof

    @property
    def spare(self) -> bytes:
        return self._inflate.unused_data

    def decode(self, data: bytes, room: int) -> bytes:
        inflate = self._inflate
        out = inflate.decompress(inflate.unconsumed_tail + data, room)
        # A full read may leave output inside zlib although all input is consumed.
        self.hungry = inflate.eof or (len(out) < room and not inflate.unconsumed_tail)
        return out


class _Deflate:
    """`deflate` in either form; the first two bytes tell which."""

    def __init__(self) -> None:
        self._start = b""
        self._inner: _Zlib | None = None

    @property
    def hungry(self) -> bool:
        return self._inner is None or self._inner.hungry

    @property
    def ended(self) -> bool:
        return self._inner is not None and self._inner.ended

    @property
    def spare(self) -> bytes:
        return b"" if self._inner is None else self._inner.spare

    def decode(self, data: bytes, room: int) -> bytes:
        if self._inner is not None:
            return self._inner.decode(data, room)
        self._start += data
        if len(self._start) < 2:
            return b""
        self._inner = _Zlib(15 if _has_zlib_header(self._start) else -15)
        return self._inner.decode(self._start, room)


def _has_zlib_header(start: bytes) -> bool:
    """RFC 1950, 2.2. A raw stream looks so only if it pads a stored block with ones."""
    return start[0] & 0x0F == 8 and start[0] >> 4 <= 7 and (start[0] << 8 | start[1]) % 31 == 0


class _Brotli:
    """A `br` stream; the library itself refuses what follows it."""

    spare = b""

    def __init__(self, module: ModuleType) -> None:
        self._decoder = module.Decompressor()
        self.hungry = True

    @property
    def ended(self) -> bool:
        return bool(self._decoder.is_finished())

    def decode(self, data: bytes, room: int) -> bytes:
        out: bytes = self._decoder.process(data, output_buffer_limit=room)
        # The library takes more as soon as its input is used up, even if output is left inside.
        self.hungry = self.ended or (len(out) < room and self._decoder.can_accept_more_data())
        return out


class _Zstd:
    """One zstd frame."""

    def __init__(self, module: ModuleType) -> None:
        bound = {module.DecompressionParameter.window_log_max: _WINDOW_LOG}
        self._decoder = module.ZstdDecompressor(options=bound)

    @property
    def hungry(self) -> bool:
        return self.ended or bool(self._decoder.needs_input)

    @property
    def ended(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def spare(self) -> bytes:
        rest: bytes = self._decoder.unused_data
        return rest

    def decode(self, data: bytes, room: int) -> bytes:
        out: bytes = self._decoder.decompress(data, max_length=room)
        return out


class _Members:
    """Members one after the other, as one body: behind the end of one only another may begin."""

    spare = b""

    def __init__(self, begin: Callable[[], Codec]) -> None:
        self._begin = begin
        self._member = begin()
        self._next = b""
        self._empty = 0
        self._filled = False

    @property
    def hungry(self) -> bool:
        return not self._next and self._member.hungry

    @property
    def ended(self) -> bool:
        return not self._next and self._member.ended

    def decode(self, data: bytes, room: int) -> bytes:
        if self._member.ended:
            data = self._next + data
            if not data:
                return b""
            self._count()
            self._member = self._begin()
        out = self._member.decode(data, room)
        self._filled = self._filled or bool(out)
        self._next = self._member.spare if self._member.ended else b""
        return out

    def _count(self) -> None:
        self._empty = 0 if self._filled else self._empty + 1
        self._filled = False
        if self._empty > MAX_EMPTY:
            raise Undecodable(f"more than {MAX_EMPTY} empty members in a row")


def _gzip() -> tuple[Codec, type[Exception]]:
    return _Members(lambda: _Zlib(31)), zlib.error


def _deflate() -> tuple[Codec, type[Exception]]:
    return _Deflate(), zlib.error


def _br() -> tuple[Codec, type[Exception]]:
    try:
        module = import_module("brotli")
    except ImportError as error:
        raise Undecodable(f"the package brotli is missing: {_GATEWAY_EXTRA}") from error
    if not hasattr(module.Decompressor, "can_accept_more_data"):
        raise Undecodable(f"the package brotli is older than 1.2: {_GATEWAY_EXTRA}")
    return _Brotli(module), module.error


def _zstd() -> tuple[Codec, type[Exception]]:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        module = import_module(name)
    except ImportError as error:
        raise Undecodable(f"the module {name} is missing: {_GATEWAY_EXTRA}") from error
    return _Members(lambda: _Zstd(module)), module.ZstdError


_CODINGS: Final[dict[str, Callable[[], tuple[Codec, type[Exception]]]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "br": _br,
    "zstd": _zstd,
}


def begin(name: str) -> Coding:
    """Start to undo the coding `name` (lower case). Raises `Undecodable` if nothing here can."""
    make = _CODINGS.get(name)
    if make is None:
        raise Undecodable("unknown coding")
    codec, fault = make()
    return Coding(codec, fault)
