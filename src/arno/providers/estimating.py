"""Rows from the data of the package `genai-prices`: prices marked as estimates, and models.

Its objects come in as they are and are read by their members' names, so that nothing here imports
it. What a price row cannot say is left out and counted under a reason.

The package prices tokens of a class without a price of its own (read from a cache, written to one)
as the whole that they are a part of; an estimate says the same, which is why its rows name these
rates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from arno.providers.rows import RATE_TEXT, Model, Price

Package = Any
"""A value of the package."""

ALWAYS = "1970-01-01"
"""The first day of a price that the package gives no first day."""

TIME_OF_DAY = "price depends on the time of day"
NO_ID = "no id that names it exactly"
NOT_CHAT = "no price for text in and out"
OTHER_UNITS = "tokens of other media have prices of their own"
BAD_RATE = "rate that is no price"
BAD_TIER = "tier from the first token on"

_MEDIA = ("image", "audio", "video")
_TOKENS = "_mtok"
_PLACES = Decimal("0.000000001")

_RATES = {
    # Our rate, then the package's names for it, the first one that has a price counts.
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok", "input_mtok"),
    "cache_write_5m": ("cache_write_5m_mtok", "cache_write_mtok", "input_mtok"),
    "cache_write_1h": ("cache_write_1h_mtok", "cache_write_mtok", "input_mtok"),
    "reasoning": ("output_reasoning_mtok",),
}


class Rows:
    """The rows of one provider of the package, as an endpoint's; left_out: counts by reason."""

    def __init__(self, slug: str, provider: Package, source: str) -> None:
        self.models: list[Model] = []
        self.prices: list[Price] = []
        self.left_out: Counter[str] = Counter()
        self._slug = slug
        self._source = source
        for model in provider.models:
            self._add(model, [i for i in _ids(model) if provider.find_model(i) is model])

    def _add(self, model: Package, ids: list[str]) -> None:
        if not ids or not any(map(_is_chat, _all_prices(model))):
            self.left_out[NOT_CHAT if ids else NO_ID] += 1
            return
        self.models.append(self._model(model, ids[0]))
        rows = [row for era in _eras(model) for row in self._rows(*era)]
        self.prices += [Price(model=name, **row) for name in ids for row in rows]

    def _model(self, model: Package, there: str) -> Model:
        name = f"{self._slug}/{there}"
        return Model(
            id=name,
            canonical_slug=name,
            name=model.name or there,
            created=0,
            served={self._slug: there},
            context_length=model.context_window,
        )

    def _rows(self, since: str, prices: Package) -> Iterator[dict[str, Any]]:
        """The members of the rows that hold from one day on, one row for each tier."""
        reason = _unspeakable(prices)
        if reason is not None:
            self.left_out[reason] += 1
            return
        for over in [0, *sorted(_tiers(prices))]:
            yield {
                "endpoint": self._slug,
                "valid_from": since,
                "source": self._source,
                "over_input": over,
                "estimate": True,
                **_rates(prices, over),
            }


def _ids(model: Package) -> list[str]:
    """The ids that name a model exactly, its first one first; prefixes name nothing exactly."""
    exact = _exact(model.match)
    own = model.id if not model.id.endswith(("-", ":", "/")) else None
    found = dict.fromkeys([own, *exact] if own in exact or not exact else [*exact, own])
    return [name for name in found if name]


def _exact(clause: Package) -> list[str]:
    if hasattr(clause, "equals"):
        return [clause.equals]
    return [name for part in getattr(clause, "or_", ()) for name in _exact(part)]


def _eras(model: Package) -> Iterator[tuple[str, Package]]:
    """(first day, prices) of a model, newest first; prices None: they cannot be said.

    The package looks at conditional prices from the last to the first one and takes what holds;
    if nothing does, it takes the first.
    """
    if not isinstance(model.prices, list):
        yield ALWAYS, model.prices
        return
    until = date.max
    for entry in reversed(model.prices):
        constraint = entry.constraint
        if constraint is None:
            yield ALWAYS, entry.prices
            return
        if not hasattr(constraint, "start_date"):
            yield ALWAYS, None
            return
        if constraint.start_date < until:
            until = constraint.start_date
            yield until.isoformat(), entry.prices
    yield ALWAYS, model.prices[0].prices


def _all_prices(model: Package) -> list[Package]:
    found = model.prices
    return [entry.prices for entry in found] if isinstance(found, list) else [found]


def _is_chat(prices: Package) -> bool:
    return prices.input_mtok is not None and prices.output_mtok is not None


def _unspeakable(prices: Package) -> str | None:
    """Why prices cannot be rows, None if they can."""
    if prices is None:
        return TIME_OF_DAY
    if not _is_chat(prices):
        return NOT_CHAT
    named = [name for name, value in vars(prices).items() if value is not None]
    if any(name.endswith(_TOKENS) and any(word in name for word in _MEDIA) for name in named):
        return OTHER_UNITS
    if any(over <= 0 for over in _tiers(prices)):
        return BAD_TIER
    rates = (text for over in [0, *_tiers(prices)] for text in _rates(prices, over).values())
    return None if all(RATE_TEXT.fullmatch(text) for text in rates) else BAD_RATE


def _tiers(prices: Package) -> set[int]:
    """Where any of the prices changes with the size of the prompt, in tokens."""
    names = {name for group in _RATES.values() for name in group}
    values = (getattr(prices, name) for name in names)
    return {tier.start for value in values for tier in getattr(value, "tiers", ())}


def _rates(prices: Package, over: int) -> dict[str, str]:
    """Our rates for prompts of more than `over` tokens, as decimal text."""
    found = {rate: _first(prices, names) for rate, names in _RATES.items()}
    return {rate: _text(_at(value, over)) for rate, value in found.items() if value is not None}


def _first(prices: Package, names: Iterable[str]) -> Package:
    return next((v for name in names if (v := getattr(prices, name)) is not None), None)


def _at(value: Package, over: int) -> Decimal:
    """The price for prompts of more than `over` tokens, which is where a tier starts, or 0."""
    if isinstance(value, Decimal):
        return value
    price: Decimal = value.base
    for tier in value.tiers:
        if tier.start <= over:
            price = tier.price
    return price


def _text(price: Decimal) -> str:
    """Plain decimal text, rounded to the nine places that a price row may have."""
    rounded = price.quantize(_PLACES) if price.is_finite() else price
    return format(rounded.normalize(), "f")
