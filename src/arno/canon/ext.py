"""`ext`: what a dialect knows and the canonical form does not.

`ext[dialect]` holds the keys of a wire object that no canonical field carries, and known keys
whose value was empty (null, "", [] or {}), exactly as they stood. The same dialect writes them
back; another dialect reports each as a Loss. The entry's presence says "this value was decoded
from that dialect", so an encoder adds its own defaults only where the entry is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Json = Any
"""A JSON value as `arno.wire.json` gives it: dict, list, str, int, Decimal, bool, None."""

Ext = Mapping[str, Mapping[str, Json]]
"""Dialect name to the residue of one wire object."""

NO_EXT: Ext = {}


class Loss(msgspec.Struct, frozen=True):
    """What an encoder could not carry over.

    path: JSON pointer into the canonical value; action: dropped, approximated or renamed;
    why: one plain sentence for the client and the ledger.
    """

    path: str
    action: str
    why: str


def is_empty(value: Json) -> bool:
    """True for null, "", [] and {}: values that carry nothing."""
    return value is None or value == "" or value == [] or value == {}
