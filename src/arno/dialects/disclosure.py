"""How an answer tells what was lost on the way: the member `losses` of its usage object.

The same list stands in the header `X-Arno-Loss`, shortened. A client that does not know the member
does not read it; one that does sees, in every dialect, what its request asked for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from arno.canon.ext import Ext, Json, Loss, is_empty

MEMBER = "losses"
MAX_TOLD = 32
"""Losses that an answer names; a request with more of them names the first ones."""

STRUCTURAL = frozenset({"type", "index", "object", "role"})
"""Members that say what a value is and where it stands, which the canonical value says as well."""


BODIES = frozenset({"function", "custom", "json_schema", "toolSpec", "source"})
"""Members that hold the body of the object they stand in: what is left of one is told by member."""


def header_text(losses: Iterable[Loss]) -> str:
    """Losses as the value of a header: `<path>=<action>`, separated by commas, each once."""
    told = dict.fromkeys(f"{loss.path}={loss.action}" for loss in losses)
    return ", ".join(list(told)[:MAX_TOLD])


def disclosed(losses: Iterable[Loss]) -> list[Json]:
    """Losses as JSON, each once, at most `MAX_TOLD`."""
    found = dict.fromkeys((loss.path, loss.action, loss.why) for loss in losses)
    return [
        {"path": path, "action": action, "why": why} for path, action, why in list(found)[:MAX_TOLD]
    ]


def foreign(ext: Ext, dialect: str, path: str) -> list[Loss]:
    """One Loss for each member that other dialects kept in `ext` and `dialect` cannot write.

    path: where the value with this `ext` stands in the canonical request. Members that carry
    nothing (empty ones, switches that are off, and objects of those) are no loss, nor are notes
    of a dialect.
    """
    losses: list[Loss] = []
    for name, residue in ext.items():
        if name != dialect:
            losses += _told(residue, path, f"a member of {name} that {dialect} has not")
    return losses


def _told(residue: Mapping[str, Json], path: str, why: str) -> list[Loss]:
    losses: list[Loss] = []
    for key, value in residue.items():
        place = f"{path}/{_pointer(key)}"
        if key.startswith("@") or key in STRUCTURAL or _says_nothing(value):
            continue
        if key in BODIES and isinstance(value, dict):
            losses += _told(value, place, why)
        else:
            losses.append(Loss(place, "dropped", why))
    return losses


def _says_nothing(value: Json) -> bool:
    """True for empty values, and for a switch that is off: a wire without it has it off as well."""
    return (
        value is False
        or is_empty(value)
        or (isinstance(value, dict) and all(map(_says_nothing, value.values())))
    )


def _pointer(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
