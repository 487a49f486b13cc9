"""One HTTP/1.1 response after another out of bytes, sans-IO: httptools (llhttp) with our limits.

llhttp bounds nothing by itself and says nothing about bytes after the end of a message, so this
module adds what RFC 9112 and a hostile upstream ask for:

    head, trailers, chunk extensions   at most `max_head_bytes` without progress of the body
    1xx                                skipped, at most `MAX_INTERIM`; 101 is refused
    HEAD, 204, 304                     no body, whatever the headers say
    framing                            chunked | content-length | until close; other codings refused
    bytes after the end                the response stands, the connection is not reusable
"""

from __future__ import annotations

from functools import lru_cache

import httptools

from arno.transport.base import Headers

MAX_INTERIM = 16
"""1xx responses accepted before the final one."""

_SWITCHING = 101
_VERSIONS = frozenset({"1.0", "1.1"})


class ProtocolViolation(Exception):
    """What came is not an HTTP/1.1 response, or breaks a limit."""


class _StopParsing(Exception):
    """Raised inside a parser callback; httptools turns it into its own error."""


class ResponseParser:
    """Feed it what the socket gives; read the attributes after each `feed`.

    `head_complete`: `status` and `headers` are final. `pieces` and `size`: body bytes not yet
    taken by the reader (the list is shared with the reader, who clears it). `complete`: the
    message has ended as announced. `keep_alive`: the connection may carry another request.
    `until_close`: only the end of the connection ends the body. `encoded`: the body has a
    content-encoding.
    """

    __slots__ = (
        "_dry_bytes",
        "_field_bytes",
        "_fields",
        "_head_request",
        "_interims",
        "_max_head_bytes",
        "_parser",
        "_progress",
        "_violation",
        "complete",
        "encoded",
        "head_complete",
        "headers",
        "keep_alive",
        "pieces",
        "size",
        "status",
        "until_close",
    )

    def __init__(self, max_head_bytes: int) -> None:
        """`max_head_bytes` bounds each head, the 1xx before it and the trailers after it."""
        self._max_head_bytes = max_head_bytes
        self._head_request = False
        self._parser = httptools.HttpResponseParser(self)
        self.begin("GET")

    def begin(self, method: str) -> None:
        """Expect the response to a request with `method`."""
        if self._head_request:
            # The last answer announced a body that never comes: llhttp still waits for it.
            self._parser = httptools.HttpResponseParser(self)
        self._head_request = method == "HEAD"
        self._fields: list[tuple[str, str]] = []
        self._field_bytes = 0
        self._dry_bytes = 0
        self._interims = 0
        self._progress = False
        self._violation = ""
        self.status = 0
        self.headers: Headers = ()
        self.pieces: list[bytes] = []
        self.size = 0
        self.head_complete = False
        self.complete = False
        self.keep_alive = False
        self.until_close = False
        self.encoded = False

    def feed(self, data: bytes) -> None:
        """Parse `data`; raises `ProtocolViolation` (body pieces before the fault are kept)."""
        self._progress = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.complete:
                raise ProtocolViolation(self._violation or str(error)) from error
            self.keep_alive = False
            return
        if self._progress:
            self._dry_bytes = 0
            return
        self._dry_bytes += len(data)
        if self._dry_bytes > self._max_head_bytes:
            raise ProtocolViolation(self._too_large())

    # Callbacks of httptools.

    def on_message_begin(self) -> None:
        """A new message starts; after the awaited one has ended that is smuggling or a bug."""
        if self.complete:
            raise _StopParsing

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field, or a trailer field after the head: counted, and published nowhere."""
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > self._max_head_bytes:
            self._stop(self._too_large())
        self._fields.append((_field_name(name), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        """The head is whole: refuse what cannot be framed, skip 1xx, else publish it."""
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in _VERSIONS:
            self._stop("the response is not HTTP/1.1")
        if status < 200:
            self._interim(status)
            return
        if status > 599:
            self._stop(f"status {status} is not an HTTP status")
        self.until_close = self._unframed()
        self.status = status
        self.headers = tuple(self._fields)
        self.head_complete = True
        self._progress = True
        if self._head_request:
            self.complete = True
            self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of the body, framing removed."""
        if self.complete:
            raise _StopParsing
        self.pieces.append(body)
        self.size += len(body)
        self._progress = True

    def on_message_complete(self) -> None:
        """The message ended as announced."""
        if not self.head_complete:
            self._fields = []
            return
        if not self.complete:
            self.complete = True
            # Only here llhttp still knows: after the callback it answers no for every response.
            self.keep_alive = self._parser.should_keep_alive()
            self._progress = True

    def _interim(self, status: int) -> None:
        self._interims += 1
        if status < 100 or status == _SWITCHING:
            self._stop(f"status {status} was not asked for")
        if self._interims > MAX_INTERIM:
            self._stop(f"more than {MAX_INTERIM} interim (1xx) responses")

    def _unframed(self) -> bool:
        """True if only the end of the connection can end a body of this response."""
        unframed = True
        for name, value in self._fields:
            if name == "transfer-encoding":
                if value.lower() != "chunked":
                    self._stop("transfer-encoding other than chunked")
                unframed = False
            elif name == "content-length":
                unframed = False
            elif name == "content-encoding":
                self.encoded = True
        return unframed

    def _too_large(self) -> str:
        return f"response head, trailers or chunk framing above {self._max_head_bytes} bytes"

    def _stop(self, violation: str) -> None:
        self._violation = violation
        raise _StopParsing


@lru_cache(maxsize=1024)
def _field_name(name: bytes) -> str:
    """Lower-case name; upstreams repeat the same few, so they share one string each."""
    return name.decode("latin-1").lower()
