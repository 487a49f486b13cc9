"""The head of an outgoing HTTP/1.1 request, safe against header injection.

Framing (RFC 9112) is ours alone: a caller that sets Content-Length, Transfer-Encoding or the like
could make the upstream see two requests in one, so those names are refused. Values never appear
in an error message, because they hold keys.
"""

from __future__ import annotations

import re
from functools import lru_cache

from arno.transport.base import HttpRequest
from arno.transport.url import Target

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE = re.compile(r"[^\t\r\n\x20-\x7e\x80-\xff]")
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_BODY_METHODS = frozenset({"PATCH", "POST", "PUT"})


def encode_head(request: HttpRequest, target: Target) -> bytes:
    """Request line and headers up to and including the empty line.

    Raises `ValueError` for a method or header name that is no token, for a reserved header, and
    for CR, LF, NUL or another control character anywhere.
    """
    lines = [f"{_method(request.method)} {target.path} HTTP/1.1\r\nhost: {target.authority}\r\n"]
    lines += [f"{_field_name(name)}: {value}\r\n" for name, value in request.headers]
    if request.body or request.method in _BODY_METHODS:
        lines.append(f"content-length: {len(request.body)}\r\n")
    lines.append("\r\n")
    head = "".join(lines)
    # One pass over the whole head: any CR or LF beyond our own line ends came from a value.
    line_ends = len(lines) + 1
    if head.count("\r") != line_ends or head.count("\n") != line_ends or _UNSAFE.search(head):
        raise ValueError(f"unsafe character in the value of header {_culprit(request)}")
    return head.encode("latin-1")


@lru_cache(maxsize=64)
def _method(method: str) -> str:
    if not _TOKEN.fullmatch(method) or method == "CONNECT":
        raise ValueError("request method is not a token that can be sent")
    return method


@lru_cache(maxsize=512)
def _field_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("header name is not a token")
    if name.lower() in _RESERVED:
        raise ValueError(f"header {name.lower()} is set by the transport")
    return name


def _culprit(request: HttpRequest) -> str:
    for name, value in request.headers:
        if "\r" in value or "\n" in value or _UNSAFE.search(value):
            return name
    return "(unknown)"
