"""Settling: which cost a request is charged, and on what evidence.

Serves behaviour R24 and R26: what the upstream reports comes first, then the price row, then an
estimate marked as such. A cost that nobody knows is None and the request "unpriced", never 0; a
reported 0 is a fact and stays 0. Both figures are kept, a difference over 1 % is flagged.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from arno.canon.usage import Usage
from arno.ledger.money import parse_usd
from arno.ledger.price import NO_ROW, UNKNOWN_USAGE, Priced, PriceRow, PriceTable, price

CostBasis = Literal["reported", "priced", "estimated", "unpriced"]
"""Where a cost comes from."""

UNREADABLE_COST = "reported_cost_unreadable"
ZERO_USAGE = "zero_usage"
NO_PRICES = PriceTable(())


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What one request or exchange is charged.

    nano: nano-USD, None when unpriced. reported: the upstream's text, unchanged. computed_nano: our
    own figure, from the row that price_source names. differs: both are known, the row is no
    estimate, and they are more than 1 % apart. missing: what kept us from computing.
    """

    nano: int | None
    basis: CostBasis
    reported: str | None = None
    reported_nano: int | None = None
    computed_nano: int | None = None
    differs: bool = False
    missing: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()
    price_source: str | None = None


def differs(reported: int, computed: int) -> bool:
    """Whether two costs are more than 1 % of the reported one apart."""
    return abs(reported - computed) * 100 > reported


def settle_cost(
    usage: Usage | None,
    prices: PriceTable = NO_PRICES,
    *,
    endpoint: str,
    served_by: str | None,
    model: str,
    at: str,
) -> Charge:
    """The charge of a usage served at an endpoint on the day `at` (ISO date or time, UTC)."""
    if usage is None:
        return Charge(nano=None, basis="unpriced", missing=(UNKNOWN_USAGE,))
    tokens = usage.input or 0
    firm_row = prices.lookup(endpoint, served_by, model, at, tokens)
    guess_row = prices.estimate(endpoint, served_by, model, at, tokens)
    firm, guess = _priced(usage, firm_row), _priced(usage, guess_row)
    own, row = (firm, firm_row) if firm.nano is not None or not guess_row else (guess, guess_row)
    reported = _reported(usage)
    anomalies = dict.fromkeys((*_oddities(usage, reported), *firm.anomaly, *guess.anomaly))
    nano, basis = _choose(reported, firm.nano, guess.nano)
    return Charge(
        nano=nano,
        basis=basis,
        reported=usage.cost,
        reported_nano=reported,
        computed_nano=own.nano,
        differs=reported is not None and firm.nano is not None and differs(reported, firm.nano),
        missing=firm.missing,
        anomalies=tuple(anomalies),
        price_source=row.source if row else None,
    )


def _priced(usage: Usage, row: PriceRow | None) -> Priced:
    return Priced(None, missing=(NO_ROW,)) if row is None else price(usage, row)


def _reported(usage: Usage) -> int | None:
    nano = None if usage.cost is None else parse_usd(usage.cost)
    return nano if nano is None or nano >= 0 else None


def _oddities(usage: Usage, reported: int | None) -> list[str]:
    found = []
    if usage.cost is not None and reported is None:
        found.append(UNREADABLE_COST)
    if usage.input == 0 and usage.output == 0:
        found.append(ZERO_USAGE)
    return found


def _choose(
    reported: int | None, firm: int | None, guess: int | None
) -> tuple[int | None, CostBasis]:
    if reported is not None:
        return reported, "reported"
    if firm is not None:
        return firm, "priced"
    if guess is not None:
        return guess, "estimated"
    return None, "unpriced"
