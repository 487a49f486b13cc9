"""How an answer tells what was lost on the way: the member `losses` of its usage object.

The same list stands in the header `X-Arno-Loss`, shortened. A client that does not know the member
does not read it; one that does sees, in every dialect, what its request asked for in vain.
"""

from __future__ import annotations

from collections.abc import Iterable

from arno.canon.ext import Json, Loss

MEMBER = "losses"
MAX_TOLD = 32
"""Losses that an answer names; a request with more of them names the first ones."""


def disclosed(losses: Iterable[Loss]) -> list[Json]:
    """Losses as JSON, each once, at most `MAX_TOLD`."""
    found = dict.fromkeys((loss.path, loss.action, loss.why) for loss in losses)
    return [
        {"path": path, "action": action, "why": why} for path, action, why in list(found)[:MAX_TOLD]
    ]
