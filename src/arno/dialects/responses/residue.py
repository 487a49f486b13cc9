"""The residue of this dialect, kept in `ext["responses"]`; see `arno.dialects.residue`.

What an item holds beside its content stays in `Item.ext`, what a content entry holds in the part's
own `ext`. The entry's presence in a part says "this part was decoded from this dialect".
"""

from __future__ import annotations

from arno.canon.parts import Part
from arno.dialects.residue import Keeper

DIALECT = "responses"

_KEEPER = Keeper(DIALECT)
keep = _KEEPER.keep
is_native = _KEEPER.is_native
residue_of = _KEEPER.residue_of
note = _KEEPER.note
give = _KEEPER.give


def item_note(part: Part, name: str) -> object:
    """A note made on the item that a part stands in, None if none."""
    return None if part.item is None else note(part.item.ext, name)
