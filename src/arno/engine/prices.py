"""The catalogue's price rows as the ledger's, and the one place where an answer is priced.

`providers` and `ledger` do not know each other: a row of the catalogue is decimal text, a rate of
the ledger an integer.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from arno.canon.usage import Usage
from arno.ledger.money import format_usd, parse_rate, parse_usd
from arno.ledger.price import PriceRow, PriceTable
from arno.ledger.settle import Charge, settle_cost
from arno.providers import Candidate, Catalogue, Price

_DAY_NS = 86_400 * 1_000_000_000
_EPOCH = date(1970, 1, 1)


def price_table(catalogue: Catalogue) -> PriceTable:
    """The catalogue's prices as the ledger's rates."""
    return PriceTable(_price_row(price) for price in catalogue.prices)


def charge(
    usage: Usage | None,
    candidate: Candidate,
    served_by: str | None,
    at_ns: int,
    prices: PriceTable,
) -> Charge:
    """What `usage` costs at a candidate; at_ns: wall clock, UTC since the epoch.

    What a client is shown and what the ledger books both come from here.
    """
    return settle_cost(
        usage,
        prices,
        endpoint=candidate.endpoint.slug,
        served_by=served_by or candidate.endpoint.name,
        model=candidate.model,
        at=day_of(at_ns),
    )


class Charger:
    """Charges the answer of one attempt; asked again for the same usage, it answers at once.

    The client is shown a cost when its answer is stamped, the ledger books it a moment later.
    """

    __slots__ = ("_at_ns", "_candidate", "_last", "_prices", "_served_by", "_usage")

    def __init__(self, candidate: Candidate, at_ns: int, prices: PriceTable) -> None:
        """at_ns: wall clock, UTC since the epoch."""
        self._candidate = candidate
        self._at_ns = at_ns
        self._prices = prices
        self._usage: Usage | None = None
        self._served_by: str | None = None
        self._last: Charge | None = None

    def __call__(self, usage: Usage | None, served_by: str | None) -> Charge:
        """What `usage` costs when `served_by` served it, None: the endpoint itself."""
        served_by = served_by or self._candidate.endpoint.name
        if self._last is None or usage is not self._usage or served_by != self._served_by:
            self._last = charge(usage, self._candidate, served_by, self._at_ns, self._prices)
            self._usage, self._served_by = usage, served_by
        return self._last


class Teller:
    """What a client is shown of a charge (a `Pricer`); apart from the plan, which holds writers
    that hold it.
    """

    __slots__ = ("_charger",)

    def __init__(self, charger: Charger) -> None:
        self._charger = charger

    def __call__(self, usage: Usage, served_by: str | None) -> str | None:
        """Cost of `usage` in USD as plain text, None if no row knows it."""
        nano = self._charger(usage, served_by).nano
        return None if nano is None else format_usd(nano)


def day_of(ns: int) -> str:
    """The UTC day of a wall clock time, as price rows name days."""
    return _day(ns // _DAY_NS)


@lru_cache(maxsize=8)
def _day(number: int) -> str:
    return (_EPOCH + timedelta(days=number)).isoformat()


def _price_row(price: Price) -> PriceRow:
    return PriceRow(
        endpoint=price.endpoint,
        model=price.model,
        valid_from=price.valid_from,
        source=price.source,
        served_by=price.served_by,
        input=_rate(price.input),
        output=_rate(price.output),
        cache_read=_rate(price.cache_read),
        cache_write_5m=_rate(price.cache_write_5m),
        cache_write_1h=_rate(price.cache_write_1h),
        reasoning=_rate(price.reasoning),
        request=None if price.request is None else parse_usd(price.request),
        over_input=price.over_input,
        estimate=price.estimate,
    )


def _rate(text: str | None) -> int | None:
    return None if text is None else parse_rate(text)
