"""Quirks: what a row's other members cannot say, one named pure function each.

A quirk takes the members of a request that would be sent and gives those to send; it never looks
into their values, so these may be raw bytes. It is applied only where the endpoint's row names it,
and is there only if traffic or a vendor's documents show that the upstream needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

Members = Mapping[str, Any]
Quirk = Callable[[Members], Members]

_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def max_completion_tokens(members: Members) -> Members:
    """The limit of the answer under its new name alone: with the old one the request is refused."""
    return _under_one_name(members, "max_completion_tokens", "max_tokens")


def max_tokens(members: Members) -> Members:
    """The limit of the answer under its old name alone: the new one is refused or overlooked."""
    return _under_one_name(members, "max_tokens", "max_completion_tokens")


def no_stream_options(members: Members) -> Members:
    """Without `stream_options`, which is refused; the usage is told unasked."""
    return {name: value for name, value in members.items() if name != "stream_options"}


def _under_one_name(members: Members, name: str, other: str) -> Members:
    """`members` without `other`; its value takes the place of a `name` that is not there."""
    if other not in members:
        return members
    rest = {key: value for key, value in members.items() if key != other}
    if _is_said(rest.get(name)) or not _is_said(members[other]):
        return rest
    return {**rest, name: members[other]}


def _is_said(value: Raw | None) -> bool:
    """False for a member that is null, which says as little as one that is not there."""
    return value is not None and bytes(value).strip() != b"null"


QUIRKS: Mapping[str, Quirk] = MappingProxyType(
    {quirk.__name__: quirk for quirk in (max_completion_tokens, max_tokens, no_stream_options)}
)
"""Every quirk by the name that rows use."""

_CONCERNS = {
    "max_completion_tokens": b"max_tokens",
    "max_tokens": b"max_completion_tokens",
    "no_stream_options": b"stream_options",
}
"""The member without which a quirk changes nothing: to look for it costs a tenth of decoding."""


def apply(quirks: Iterable[str], body: bytes) -> bytes:
    """The JSON request to send for `body`; the very same bytes where no quirk changes anything.

    `body` must be a JSON object. Raises KeyError for an unknown quirk (the catalogue has none).
    """
    names = [name for name in quirks if _CONCERNS[name] in body]
    if not names:
        return body
    asked: Members = _RAW.decode(body)
    members = asked
    for name in names:
        members = QUIRKS[name](members)
    return body if members == asked else msgspec.json.encode(members)
