"""The residue of this dialect, kept in `ext["chat"]`; see `arno.dialects.residue`."""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.dialects.residue import Keeper, integer

DIALECT = "chat"

_KEEPER = Keeper(DIALECT)
keep = _KEEPER.keep
is_native = _KEEPER.is_native
residue_of = _KEEPER.residue_of
note = _KEEPER.note
give = _KEEPER.give


def number_of(choice: Mapping[str, Json], position: int) -> int:
    """The number of a choice: its own index, else its place in the list."""
    index = integer(choice.get("index"))
    return position if index is None else index
