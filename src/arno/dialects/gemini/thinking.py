"""How much to think: `thinkingConfig` and the canonical `Reasoning`.

Newer models take a level, the ones before a budget of tokens, and refuse the other; the levels of a
budget are the vendor's own. Source: Gemini API, "Gemini thinking" and "OpenAI compatibility"
(reasoning_effort).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from arno.canon.ext import Json, Loss
from arno.canon.request import Reasoning
from arno.dialects.gemini.residue import give, is_native, keep, note, respell, take_spelled
from arno.dialects.residue import Document, integer, text

LEVEL, BUDGET, SHOW = "thinkingLevel", "thinkingBudget", "includeThoughts"
OFF, DYNAMIC = 0, -1
"""Budgets that are no number of tokens: none at all, and as much as the model finds right."""

EFFORTS: dict[str, tuple[str, int, bool]] = {
    "none": ("MINIMAL", OFF, False),
    "minimal": ("MINIMAL", 1024, True),
    "low": ("LOW", 1024, True),
    "medium": ("MEDIUM", 8192, True),
    "high": ("HIGH", 24576, True),
    "xhigh": ("HIGH", 24576, False),
    "max": ("HIGH", 24576, False),
}
"""An effort to its level, its budget where there are no levels, and whether that is the same."""

_BUDGETED = re.compile(r"gemini-(?:1|2)(?![0-9])")
"""Models that know no levels."""


def decode_thinking(value: Json) -> Reasoning | None:
    """What the config asks for, None if it cannot be read."""
    if not isinstance(value, Mapping):
        return None
    values, rest = take_spelled(value, LEVEL, BUDGET, SHOW)
    level, budget, show = values.get(LEVEL), values.get(BUDGET), values.get(SHOW)
    if integer(budget) is None and budget is not None:
        return None
    if show is not None and not isinstance(show, bool):
        return None
    if level is not None:
        rest["@level"] = level
    if budget in (OFF, DYNAMIC):
        rest["@budget"] = budget
    word = text(level)
    return Reasoning(
        effort=None if word is None else word.lower(),
        budget=None if budget in (OFF, DYNAMIC) else budget,
        enabled=None if budget not in (OFF, DYNAMIC) else budget == DYNAMIC,
        exclude=None if show is None else not show,
        ext=keep(rest),
    )


def encode_thinking(reasoning: Reasoning, model: str, losses: list[Loss]) -> Document | None:
    """The config, None if nothing is asked for. Thoughts are shown unless they are excluded."""
    document: Document = give(reasoning.ext)
    native = is_native(reasoning.ext)
    if reasoning.budget is not None:
        document[BUDGET] = reasoning.budget
        if reasoning.effort is not None and not native:
            losses.append(Loss("/reasoning/effort", "dropped", "a budget is given as well"))
    elif reasoning.effort is not None and not native:
        document.update(_of_effort(reasoning.effort, model, losses))
    elif reasoning.enabled is not None and not native:
        document.update(_switched(reasoning.enabled, model, losses))
    if native:
        kept = {LEVEL: note(reasoning.ext, "level"), BUDGET: note(reasoning.ext, "budget")}
        document.update({k: v for k, v in kept.items() if v is not None})
    elif reasoning.summary not in (None, "auto"):
        why = "the wire does not choose between summaries"
        losses.append(Loss("/reasoning/summary", "dropped", why))
    if reasoning.exclude is not None:
        document[SHOW] = not reasoning.exclude
    elif not native:
        document[SHOW] = True
    return respell(document, note(reasoning.ext, "snake"))


def _of_effort(effort: str, model: str, losses: list[Loss]) -> Document:
    known = EFFORTS.get(effort)
    if known is None:
        losses.append(Loss("/reasoning/effort", "dropped", f"no effort {effort} is known here"))
        return {}
    level, budget, exact = known
    budgeted = bool(_BUDGETED.search(model))
    if not exact and not (budgeted and budget == OFF):
        losses.append(Loss("/reasoning/effort", "approximated", f"the nearest level is {level}"))
    return {BUDGET: budget} if budgeted else {LEVEL: level}


def _switched(enabled: bool, model: str, losses: list[Loss]) -> Document:
    """Thinking on or off; models with levels always think, and a little is the least."""
    if _BUDGETED.search(model):
        return {BUDGET: DYNAMIC if enabled else OFF}
    if enabled:
        return {}
    losses.append(Loss("/reasoning/enabled", "approximated", "the least is MINIMAL"))
    return {LEVEL: "MINIMAL"}
