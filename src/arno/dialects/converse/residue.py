"""The residue of this dialect, kept in `ext["converse"]`; see `arno.dialects.residue`."""

from __future__ import annotations

from arno.canon.ids import IdRule
from arno.dialects.residue import Keeper

DIALECT = "converse"

CALL_IDS = IdRule(64, "_-")
"""What ids of tool calls may be. The wire itself has begun to allow `.` and `:`, the models behind
it have not."""

_KEEPER = Keeper(DIALECT)
keep = _KEEPER.keep
is_native = _KEEPER.is_native
residue_of = _KEEPER.residue_of
note = _KEEPER.note
give = _KEEPER.give
