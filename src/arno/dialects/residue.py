"""Residue: the part of a wire object that canonical fields do not carry, kept in `ext[dialect]`.

`take` splits an object into what the caller decodes and what stays; a `Keeper` keeps what stays
and starts an encoded object from it. Keys that begin with "@" are notes of a dialect to itself
(which of two spellings the wire used) and are never written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arno.canon.ext import Ext, Json, is_empty

Document = dict[str, Json]


class Keeper:
    """The residue of one dialect."""

    __slots__ = ("dialect",)

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect

    def keep(self, residue: Mapping[str, Json]) -> Ext:
        """`ext` of a value decoded from this dialect, even when nothing is left over."""
        return {self.dialect: residue}

    def is_native(self, ext: Ext) -> bool:
        """True if the value was decoded from this dialect."""
        return self.dialect in ext

    def residue_of(self, ext: Ext) -> Mapping[str, Json]:
        """What this dialect kept, notes included."""
        return ext.get(self.dialect, {})

    def note(self, ext: Ext, name: str) -> Json:
        """A note made while decoding, e.g. `note(ext, "member")`; None if none."""
        return self.residue_of(ext).get("@" + name)

    def give(self, ext: Ext) -> Document:
        """A new wire object holding what was kept."""
        return {k: v for k, v in self.residue_of(ext).items() if not k.startswith("@")}


def take(document: Mapping[str, Json], *known: str) -> tuple[Document, Document]:
    """Split `document`: (known keys with a value, everything else as residue)."""
    values: Document = {}
    residue: Document = {}
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


def merge(document: Document, key: str, members: Mapping[str, Any]) -> None:
    """Write `members` into the object at `key`, over whatever was kept there."""
    kept = document.get(key)
    document[key] = {**kept, **members} if isinstance(kept, Mapping) else dict(members)
