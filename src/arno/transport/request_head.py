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
_UNSAFE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_SAFE = bytes({0x09, *range(0x20, 0x7F), *range(0x80, 0x100)})
_RESERVED = frozenset(
    {
        # Framing, and what is said to the next hop only.
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authorization",
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
    try:
        head = "".join(lines).encode("latin-1")
    except UnicodeEncodeError:
        raise _unsafe(request) from None
    # One pass over the whole head: without what is safe, our own line ends must be left, no more.
    if head.translate(None, _SAFE) != b"\r\n" * (len(lines) + 1):
        raise _unsafe(request)
    return head


def absolute_form(head: bytes, target: Target, authorization: str | None) -> bytes:
    """`head`, as `encode_head` makes it, for a proxy that passes requests on (RFC 9112, 3.2.2).

    The target is named in full, and `authorization` (Proxy-Authorization) is for the proxy alone.
    """
    method, space, rest = head.partition(b" ")
    fields = b"" if authorization is None else f"proxy-authorization: {authorization}\r\n".encode()
    place = f"http://{target.authority}".encode()
    return b"".join((method, space, place, rest.removesuffix(b"\r\n"), fields, b"\r\n"))


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


def _unsafe(request: HttpRequest) -> ValueError:
    culprits = [name for name, value in request.headers if _UNSAFE.search(value)]
    return ValueError(f"unsafe character in the value of header {(culprits or ['(unknown)'])[0]}")
