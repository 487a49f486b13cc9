"""Prices: which row holds for a request, and what its tokens cost.

Serves behaviour R24 to R26. The canonical usage has inclusive totals with optional parts; pricing
splits it into disjoint classes, so that no token is paid twice (R25), and sums in integers. A row
is a fact about the outside world: it has a first day and a source.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from arno.canon.usage import Usage
from arno.ledger.money import MAX_NANO, TOKENS_PER_RATE, Rate, divide_half_even

UNKNOWN_INPUT = "input_tokens"
UNKNOWN_OUTPUT = "output_tokens"
UNKNOWN_USAGE = "usage"
NO_ROW = "price_row"

PARTS_EXCEED_INPUT = "input_parts_exceed_input"
REASONING_EXCEEDS_OUTPUT = "reasoning_exceeds_output"
NEGATIVE_TOKENS = "negative_tokens"
BEYOND_BOUNDS = "cost_beyond_bounds"


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one model costs at one endpoint from one day on.

    served_by: None holds for everyone behind the endpoint. valid_from: ISO date. Rates are nano-USD
    per million tokens, None where the price is not known; reasoning: None is priced as output.
    request: nano-USD per request. over_input: the row holds for prompts of more input tokens than
    this, caches included, and then for the whole prompt (R26). estimate: a guess, marked as such.
    """

    endpoint: str
    model: str
    valid_from: str
    source: str
    served_by: str | None = None
    input: Rate | None = None
    output: Rate | None = None
    cache_read: Rate | None = None
    cache_write_5m: Rate | None = None
    cache_write_1h: Rate | None = None
    reasoning: Rate | None = None
    request: int | None = None
    over_input: int = 0
    estimate: bool = False

    def __post_init__(self) -> None:
        if date.fromisoformat(self.valid_from).isoformat() != self.valid_from:
            raise ValueError(f"valid_from is not a day (YYYY-MM-DD): {self.valid_from!r}")


class Priced(msgspec.Struct, frozen=True):
    """What a row says a usage costs.

    nano: nano-USD, None if it cannot be known. missing: the classes without a rate and the counts
    that are unknown. anomaly: what was odd in the counts.
    """

    nano: int | None
    missing: tuple[str, ...] = ()
    anomaly: tuple[str, ...] = ()


_Key = tuple[str, str, str | None]
_Tiers = tuple[tuple[PriceRow, ...], ...]

_KNOWN_PLACES = 4096
"""How many (endpoint, host, model, day) are remembered; a client cannot make more of them."""


class PriceTable:
    """Rows by (endpoint, model, served_by); answers are the same for rows in any order."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        """Raises ValueError for two rows that would hold at the same time."""
        self._known: dict[tuple[str, str, str | None, str], tuple[_Tiers, _Tiers]] = {}
        self._firm: dict[_Key, list[PriceRow]] = {}
        self._estimates: dict[_Key, list[PriceRow]] = {}
        for row in rows:
            index = self._estimates if row.estimate else self._firm
            index.setdefault((row.endpoint, row.model, row.served_by), []).append(row)
        for index in (self._firm, self._estimates):
            for key, group in index.items():
                group.sort(key=_rank, reverse=True)
                if len({_rank(row) for row in group}) != len(group):
                    raise ValueError(f"two price rows hold at the same time: {key}")

    def lookup(
        self, endpoint: str, served_by: str | None, model: str, at: str, input_tokens: int = 0
    ) -> PriceRow | None:
        """The newest row that holds on the day `at` (ISO date or time, UTC), None without one.

        A row of exactly this served_by wins over one for everyone. Estimates are not looked at.
        """
        return _tier(self._rows(endpoint, served_by, model, at)[0], input_tokens)

    def estimate(
        self, endpoint: str, served_by: str | None, model: str, at: str, input_tokens: int = 0
    ) -> PriceRow | None:
        """As `lookup`, among the rows marked as estimates."""
        return _tier(self._rows(endpoint, served_by, model, at)[1], input_tokens)

    def _rows(
        self, endpoint: str, served_by: str | None, model: str, at: str
    ) -> tuple[_Tiers, _Tiers]:
        """Firm rows and estimates that hold on a day; the same few are asked for all the time."""
        place = (endpoint, model, served_by, at)
        known = self._known.get(place)
        if known is None:
            if len(self._known) >= _KNOWN_PLACES:
                self._known.clear()
            key = (endpoint, model, served_by)
            known = _holding(self._firm, key, at), _holding(self._estimates, key, at)
            self._known[place] = known
        return known


def _rank(row: PriceRow) -> tuple[str, int]:
    return row.valid_from, row.over_input


def _holding(index: dict[_Key, list[PriceRow]], key: _Key, at: str) -> _Tiers:
    """For this host, and for everyone: the rows of the newest day, highest tier first."""
    endpoint, model, served_by = key
    return tuple(
        _of_newest_day(index.get((endpoint, model, who), []), at)
        for who in dict.fromkeys((served_by, None))
    )


def _of_newest_day(rows: list[PriceRow], at: str) -> tuple[PriceRow, ...]:
    """Of rows sorted from the newest down: those of the newest day that has come."""
    day = next((row.valid_from for row in rows if row.valid_from <= at), None)
    return tuple(row for row in rows if row.valid_from == day)


def _tier(tiers: _Tiers, input_tokens: int) -> PriceRow | None:
    for rows in tiers:
        for row in rows:
            # A prompt of 0 tokens is above no tier, and the lowest one has to take it.
            if input_tokens > row.over_input or not row.over_input:
                return row
    return None


def _fresh(total: int, read: int, written: int) -> tuple[int, bool]:
    """Input tokens neither read from a cache nor written to one, and whether the parts fit.

    Where an explicit cache is made, both counts name the same tokens (openrouter-api 4.5): they
    are then taken off once. Any other excess leaves nothing.
    """
    if read + written <= total:
        return total - read - written, True
    if read == written and read <= total:
        return total - read, False
    return 0, False


def _classes(
    usage: Usage, row: PriceRow, total_input: int, total_output: int
) -> tuple[list[tuple[str, int, Rate | None]], list[str]]:
    """Disjoint (class, tokens, rate) of a usage, and what was odd."""
    anomalies: list[str] = []
    read = usage.cache_read or 0
    written_5m, written_1h = usage.cache_write_5m or 0, usage.cache_write_1h or 0
    fresh, fits = _fresh(total_input, read, written_5m + written_1h)
    if not fits:
        anomalies.append(PARTS_EXCEED_INPUT)
    # The inclusive total is what is billed; a part that exceeds it is an upstream's rounding.
    reasoning = min(usage.reasoning or 0, total_output)
    if (usage.reasoning or 0) > total_output:
        anomalies.append(REASONING_EXCEEDS_OUTPUT)
    classes = [
        ("input", fresh, row.input),
        ("cache_read", read, row.cache_read),
        ("cache_write_5m", written_5m, row.cache_write_5m),
        ("cache_write_1h", written_1h, row.cache_write_1h),
        ("output", total_output - reasoning, row.output),
        ("reasoning", reasoning, row.output if row.reasoning is None else row.reasoning),
    ]
    return classes, anomalies


def _negative(usage: Usage) -> bool:
    total = min(usage.input or 0, usage.output or 0, usage.reasoning or 0)
    cached = min(usage.cache_read or 0, usage.cache_write_5m or 0, usage.cache_write_1h or 0)
    return total < 0 or cached < 0


def price(usage: Usage, row: PriceRow) -> Priced:
    """The cost of a usage by a row, rounded once, half-even, to nano-USD.

    Unknown totals, and tokens of a class without a rate, make it unpriced (nano None): an unknown
    cost is never 0. A class without tokens needs no rate.
    """
    if _negative(usage):
        return Priced(None, anomaly=(NEGATIVE_TOKENS,))
    if usage.input is None or usage.output is None:
        unknown = ((UNKNOWN_INPUT, usage.input), (UNKNOWN_OUTPUT, usage.output))
        return Priced(None, missing=tuple(name for name, count in unknown if count is None))
    classes, anomalies = _classes(usage, row, usage.input, usage.output)
    total = 0
    missing: list[str] = []
    for name, tokens, rate in classes:
        if rate is not None:
            total += tokens * rate
        elif tokens:
            missing.append(name)
    if missing:
        return Priced(None, tuple(missing), tuple(anomalies))
    nano = divide_half_even(total, TOKENS_PER_RATE) + (row.request or 0)
    if nano > MAX_NANO:
        return Priced(None, anomaly=(*anomalies, BEYOND_BOUNDS))
    return Priced(nano, anomaly=tuple(anomalies))
