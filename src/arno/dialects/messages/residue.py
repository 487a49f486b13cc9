"""The residue of this dialect, kept in `ext["messages"]`; see `arno.dialects.residue`."""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.canon.parts import CacheHint
from arno.dialects.residue import (
    Document,
    Keeper,
)

DIALECT = "messages"

FORMAT = "anthropic-claude-v1"
"""Who can read the signatures and sealed reasoning of this wire, in the contract's words."""

_KEEPER = Keeper(DIALECT)
keep = _KEEPER.keep
is_native = _KEEPER.is_native
residue_of = _KEEPER.residue_of
note = _KEEPER.note
give = _KEEPER.give

_CACHE = "cache_control"
_HINT = {"type", "ttl"}


def take_cache(residue: Document) -> CacheHint | None:
    """A cache breakpoint in the one shape that says no more than a hint can hold."""
    mark = residue.get(_CACHE)
    if not isinstance(mark, Mapping) or mark.get("type") != "ephemeral" or mark.keys() - _HINT:
        return None
    if not isinstance(mark.get("ttl", ""), str):
        return None
    del residue[_CACHE]
    return CacheHint(ttl=mark.get("ttl"))


def write_cache(document: Document, cache: CacheHint | None) -> Document:
    """`document` with the breakpoint."""
    if cache is not None:
        ttl: Json = {} if cache.ttl is None else {"ttl": cache.ttl}
        document[_CACHE] = {"type": "ephemeral", **ttl}
    return document
