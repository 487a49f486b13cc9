"""The catalogue's price rows as the ledger's, and the one place where an answer is priced.

`providers` and `ledger` do not know each other: a row of the catalogue is decimal text, a rate of
the ledger an integer.
"""

from __future__ import annotations

from datetime import UTC, datetime

from arno.canon.usage import Usage
from arno.ledger.money import parse_rate, parse_usd
from arno.ledger.price import PriceRow, PriceTable
from arno.ledger.settle import Charge, settle_cost
from arno.providers import Candidate, Catalogue, Price


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


def day_of(ns: int) -> str:
    """The UTC day of a wall clock time, as price rows name days."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).date().isoformat()


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
