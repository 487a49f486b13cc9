"""Absolute URLs for the live transport: where to connect and what to put on the request line.

Parsing is strict because a URL may be built from a template (region or resource names): a `#`, `?`,
`@` or `\\` that slipped in must fail here, before it can move the host and with it the key.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

import msgspec

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9.])?")


class Origin(msgspec.Struct, frozen=True, gc=False):
    """One place to connect to. `host` is a lower-case name or address, without IPv6 brackets."""

    secure: bool
    host: str
    port: int

    @property
    def label(self) -> str:
        """`host:port` for messages; IPv6 addresses in brackets."""
        return f"{_bracketed(self.host)}:{self.port}"


class Target(msgspec.Struct, frozen=True, gc=False):
    """A parsed URL: origin, Host header value, and path with query for the request line."""

    origin: Origin
    authority: str
    path: str


@lru_cache(maxsize=256)
def parse_url(url: str) -> Target:
    """Parse an absolute http or https URL. One with a query names its path as well; a fragment is
    refused, since none is ever sent.

    Raises `ValueError`, whose text never repeats the URL (its query may hold a key).
    """
    if not _VISIBLE_ASCII.fullmatch(url) or "\\" in url:
        raise ValueError("URL holds a space, a backslash, a control or a non-ASCII character")
    if "#" in url:
        raise ValueError("URL must not have a fragment (#)")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("URL has no valid host") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("URL scheme must be http or https")
    if "@" in parts.netloc:
        raise ValueError("URL must not carry user information")
    host = parts.hostname or ""
    if not (_is_address(host, parts.netloc) if "[" in parts.netloc else is_host_name(host)):
        raise ValueError("URL has no valid host")
    if "?" in url and not parts.path:
        raise ValueError("URL must have a path before its query (?)")
    default_port = _DEFAULT_PORTS[parts.scheme]
    port = _port(parts, default_port)
    path = parts.path or "/"
    return Target(
        origin=Origin(secure=parts.scheme == "https", host=host, port=port),
        authority=_bracketed(host) if port == default_port else f"{_bracketed(host)}:{port}",
        path=f"{path}?{parts.query}" if parts.query else path,
    )


def is_host_name(text: str) -> bool:
    """Whether `text` can be looked up and named in TLS: labels of 1 to 63, in all 253 at most."""
    labels = text.removesuffix(".").split(".")
    return bool(_NAME.fullmatch(text)) and len(text) <= 254 and all(0 < len(x) < 64 for x in labels)


def _is_address(host: str, netloc: str) -> bool:
    """Whether brackets hold an IPv6 address, with nothing but a port behind them."""
    behind = netloc.partition("]")[2]
    if not netloc.startswith("[") or behind[:1] not in ("", ":"):
        return False
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


def _port(parts: SplitResult, default: int) -> int:
    try:
        port = default if parts.port is None else parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("URL has no valid port")
    return port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
