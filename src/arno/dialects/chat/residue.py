"""Residue: the part of a wire object that canonical fields do not carry, kept in `ext["chat"]`.

`take` splits an object into what the caller decodes and what stays; `give` starts an encoded
object from what stayed. Keys that begin with "@" are notes of this dialect to itself (which of
two spellings the wire used) and are never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arno.canon.ext import Ext, Json, is_empty

DIALECT = "chat"

Document = dict[str, Json]


def keep(residue: Mapping[str, Json]) -> Ext:
    """`ext` of a value decoded from this dialect, even when nothing is left over."""
    return {DIALECT: residue}


def is_native(ext: Ext) -> bool:
    """True if the value was decoded from this dialect."""
    return DIALECT in ext


def residue_of(ext: Ext) -> Mapping[str, Json]:
    """What this dialect kept, notes included."""
    return ext.get(DIALECT, {})


def note(ext: Ext, name: str) -> Json:
    """A note this dialect made while decoding, e.g. `note(ext, "member")`; None if none."""
    return residue_of(ext).get("@" + name)


def give(ext: Ext) -> Document:
    """A new wire object holding what was kept."""
    return {k: v for k, v in residue_of(ext).items() if not k.startswith("@")}


def take(document: Mapping[str, Json], *known: str) -> tuple[dict[str, Json], dict[str, Json]]:
    """Split `document`: (known keys with a value, everything else as residue)."""
    values: dict[str, Json] = {}
    residue: dict[str, Json] = {}
    for key, value in document.items():
        (values if key in known and not is_empty(value) else residue)[key] = value
    return values, residue


def items(value: Json) -> list[Json]:
    """A member that should be a list: as it is, one stray value as a list of one, or nothing."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    return [] if is_empty(value) else [value]


def all_text(values: Mapping[str, Json]) -> bool:
    """True if every value is a string, as fields of the canonical form need it."""
    return all(isinstance(value, str) for value in values.values())


def text(value: Json) -> str | None:
    """A string that says something, else None."""
    return value if isinstance(value, str) and value else None


def integer(value: Json) -> int | None:
    """A whole number, else None; true and false are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number_of(choice: Mapping[str, Json], position: int) -> int:
    """The number of a choice: its own index, else its place in the list."""
    index = integer(choice.get("index"))
    return position if index is None else index


def merge(document: Document, key: str, members: Mapping[str, Any]) -> None:
    """Write `members` into the object at `key`, over whatever was kept there."""
    kept = document.get(key)
    document[key] = {**kept, **members} if isinstance(kept, Mapping) else dict(members)
