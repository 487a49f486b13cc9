"""Which candidates may serve a request, in order of trial.

The client's `provider` preferences (order, only, ignore, allow_fallbacks) are applied to our own
endpoints. An endpoint that is itself a gateway of the contract applies them among its own hosts,
so it is kept, and gets them.

Candidates with weights come in a drawn order: each place goes to one of those that are left, with a
chance in proportion to its weight. Leaving some out afterwards (a preference, a failure) keeps the
others' proportions. Chance is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from arno.canon.ext import Json
from arno.providers import Candidate

Lookup = Callable[[str], tuple[Candidate, ...]]

Draw = Callable[[], float]
"""Chance: each call gives a number from 0 up to, but not including, 1, all equally likely."""


def no_chance() -> float:
    """The draw that leaves candidates in the order of their rows."""
    return 0.0


def choose(
    models: Iterable[str], lookup: Lookup, preferences: Json, draw: Draw = no_chance
) -> tuple[Candidate, ...]:
    """Candidates of the first model, then of its fallback models; each (endpoint, model) once.

    draw: called once for each candidate with a weight, never for the others.
    """
    found: dict[tuple[str, str], Candidate] = {}
    for model in models:
        for candidate in prefer(by_weight(lookup(model), draw), preferences):
            found.setdefault((candidate.endpoint.slug, candidate.upstream_model), candidate)
    chosen = tuple(found.values())
    if preferences is None:
        return chosen
    if isinstance(preferences, Mapping) and preferences.get("allow_fallbacks") is False:
        return _without_fallbacks(chosen, _names(preferences, "order"))
    return chosen


def by_weight(candidates: tuple[Candidate, ...], draw: Draw) -> tuple[Candidate, ...]:
    """Candidates with a weight in a drawn order, then those without one in their own."""
    left = [(c, c.weight) for c in candidates if c.weight is not None]
    if not left:
        return candidates
    drawn: list[Candidate] = []
    while left:
        point = draw() * sum(weight for _, weight in left)
        number = 0
        # A rounding error must not lead behind the last one.
        while number < len(left) - 1 and point >= left[number][1]:
            point -= left[number][1]
            number += 1
        drawn.append(left.pop(number)[0])
    return (*drawn, *(c for c in candidates if c.weight is None))


def _without_fallbacks(chosen: tuple[Candidate, ...], order: list[str]) -> tuple[Candidate, ...]:
    """The first candidate, or all that the client has put in order (openrouter-api 5.1)."""
    if not order:
        return chosen[:1]
    return tuple(c for c in chosen if c.endpoint.contract or _rank(c, order) < len(order))


def prefer(candidates: tuple[Candidate, ...], preferences: Json) -> tuple[Candidate, ...]:
    """The candidates that the preferences leave, preferred ones first."""
    if preferences is None or not isinstance(preferences, Mapping):
        return candidates
    only, ignored = _names(preferences, "only"), _names(preferences, "ignore")
    order = _names(preferences, "order")
    private = preferences.get("zdr") is True or preferences.get("data_collection") == "deny"
    kept = [c for c in candidates if _is_allowed(c, only, ignored, private=private)]
    return tuple(sorted(kept, key=lambda c: _rank(c, order)))


def _names(preferences: Mapping[str, Json], key: str) -> list[str]:
    names = preferences.get(key)
    if not isinstance(names, list):
        return []
    return [name.lower() for name in names if isinstance(name, str)]


def _matches(candidate: Candidate, names: list[str]) -> bool:
    """Slugs (also of a variant: `slug/variant`) and display names, in any case."""
    endpoint = candidate.endpoint
    own = {endpoint.slug.lower(), endpoint.name.lower()}
    return any(name in own or name.partition("/")[0] in own for name in names)


def _is_allowed(
    candidate: Candidate, only: list[str], ignored: list[str], *, private: bool
) -> bool:
    """private: prompts may not be kept; a plain row does not say, so it is left out (R30)."""
    if candidate.endpoint.contract:
        return not _matches(candidate, ignored)
    if private:
        return False
    if only and not _matches(candidate, only):
        return False
    return not _matches(candidate, ignored)


def _rank(candidate: Candidate, order: list[str]) -> int:
    for rank, name in enumerate(order):
        if _matches(candidate, [name]):
            return rank
    return len(order)
