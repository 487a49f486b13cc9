"""The residue of this dialect, kept in `ext["gemini"]`, and the two spellings of its members.

REST takes every member in camelCase and in snake_case (the JSON mapping of protocol buffers), and
clients send both. A decoded object has the members that are known in camelCase; which of them stood
there in the other spelling is the note "@snake", and the same dialect writes them back so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from arno.canon.ext import Ext, Json
from arno.dialects.residue import Document, Keeper, take

DIALECT = "gemini"
SNAKE = "@snake"

_KEEPER = Keeper(DIALECT)
keep = _KEEPER.keep
is_native = _KEEPER.is_native
residue_of = _KEEPER.residue_of
note = _KEEPER.note

_HUMP = re.compile(r"(?=[A-Z])")


def give(ext: Ext) -> Document:
    """A new wire object holding what was kept, in camelCase; `respell` it when it is whole."""
    return _KEEPER.give(ext)


@cache
def snake_of(name: str) -> str:
    """A member's other spelling."""
    return "_".join(_HUMP.split(name)).lower()


def spell(document: Mapping[str, Json], names: Iterable[str]) -> Document:
    """`document` with the members of `names` in camelCase; where both stand, nothing is changed.

    What was spelled otherwise is named in the note `SNAKE`, which stands among the members.
    """
    found = {
        snake: name
        for name in names
        if (snake := snake_of(name)) != name and snake in document and name not in document
    }
    if not found:
        return dict(document)
    spelled = {found.get(key, key): value for key, value in document.items()}
    return {**spelled, SNAKE: tuple(found.values())}


def take_spelled(document: Mapping[str, Json], *known: str) -> tuple[Document, Document]:
    """`take` for either spelling; the note about it is among the residue."""
    return take(spell(document, known), *known)


def respell(document: Document, snake: Json) -> Document:
    """A wire object with the members named in a note `SNAKE` in their other spelling."""
    if not snake:
        return document
    return {snake_of(key) if key in snake else key: value for key, value in document.items()}


def nest(outer: Mapping[str, Json], member: str, inner: Mapping[str, Json]) -> Document:
    """The residue of an object and of the one at `member` in it.

    Notes about the inner one are lifted, since notes stand at the top alone: "@id" is "@.id".
    """
    lifted = {f"@.{key[1:]}": value for key, value in inner.items() if key.startswith("@")}
    rest = {key: value for key, value in inner.items() if not key.startswith("@")}
    return {**outer, **lifted, **({member: rest} if rest else {})}
