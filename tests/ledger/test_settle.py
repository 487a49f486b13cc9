"""Settling: reported, then priced, then estimated, else unpriced (behaviour R24, R26)."""

import re

import msgspec
import pytest
import yaml

from arno.canon.usage import Usage
from arno.ledger.money import format_usd
from arno.ledger.price import PriceRow, PriceTable, price
from arno.ledger.settle import Charge, differs, settle_cost
from tests.shared import SHARED, needs_shared

DAY = "2026-03-12"


def row(**fields):
    start = {"endpoint": "e", "model": "m", "valid_from": "2026-01-01", "source": "page"}
    return PriceRow(**(start | fields))


PRICED = row(input=10**6, output=10**6)  # one nano-USD a token
GUESS = row(input=2 * 10**6, output=2 * 10**6, estimate=True, source="guess")
NO_INPUT = row(output=10**6)


def settle(usage, *rows):
    table = PriceTable(rows)
    return settle_cost(usage, table, endpoint="e", served_by=None, model="m", at=DAY)


def tokens(cost=None, **counts):
    return Usage(**({"input": 300, "output": 700} | counts), cost=cost)


CASES = {
    "reported and priced alike": (
        tokens("0.000001"),
        (PRICED, GUESS),
        Charge(
            nano=1_000,
            basis="reported",
            reported="0.000001",
            reported_nano=1_000,
            computed_nano=1_000,
            price_source="page",
        ),
    ),
    "reported without a price": (
        tokens("1e-6"),
        (),
        Charge(
            nano=1_000,
            basis="reported",
            reported="1e-6",
            reported_nano=1_000,
            missing=("price_row",),
        ),
    ),
    "a reported nothing is kept, and differs from a price": (
        tokens("0"),
        (PRICED,),
        Charge(
            nano=0,
            basis="reported",
            reported="0",
            reported_nano=0,
            computed_nano=1_000,
            differs=True,
            price_source="page",
        ),
    ),
    "priced": (
        tokens(),
        (PRICED, GUESS),
        Charge(nano=1_000, basis="priced", computed_nano=1_000, price_source="page"),
    ),
    "estimated where the row lacks a rate": (
        tokens(),
        (NO_INPUT, GUESS),
        Charge(
            nano=2_000,
            basis="estimated",
            computed_nano=2_000,
            missing=("input",),
            price_source="guess",
        ),
    ),
    "an estimate is not held against a reported cost": (
        tokens("0.000001"),
        (GUESS,),
        Charge(
            nano=1_000,
            basis="reported",
            reported="0.000001",
            reported_nano=1_000,
            computed_nano=2_000,
            missing=("price_row",),
            price_source="guess",
        ),
    ),
    "a missing rate is unpriced, never nothing": (
        tokens(),
        (NO_INPUT,),
        Charge(nano=None, basis="unpriced", missing=("input",), price_source="page"),
    ),
    "no row": (tokens(), (), Charge(nano=None, basis="unpriced", missing=("price_row",))),
    "no usage": (None, (PRICED,), Charge(nano=None, basis="unpriced", missing=("usage",))),
    "a report that is no amount falls back and is flagged": (
        tokens("lots"),
        (PRICED,),
        Charge(
            nano=1_000,
            basis="priced",
            reported="lots",
            computed_nano=1_000,
            anomalies=("reported_cost_unreadable",),
            price_source="page",
        ),
    ),
    "so does a negative one": (
        tokens("-1"),
        (),
        Charge(
            nano=None,
            basis="unpriced",
            reported="-1",
            missing=("price_row",),
            anomalies=("reported_cost_unreadable",),
        ),
    ),
    "no tokens at all are odd": (
        tokens(input=0, output=0),
        (PRICED,),
        Charge(
            nano=0,
            basis="priced",
            computed_nano=0,
            anomalies=("zero_usage",),
            price_source="page",
        ),
    ),
    "odd counts are told once": (
        tokens(output=0, cache_read=400),
        (row(cache_read=10**6), GUESS),
        Charge(
            nano=400,
            basis="priced",
            computed_nano=400,
            anomalies=("input_parts_exceed_input",),
            price_source="page",
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_charge_and_its_evidence(case):
    usage, rows, charge = CASES[case]
    assert settle(usage, *rows) == charge


@pytest.mark.parametrize(
    ("reported", "computed", "flagged"),
    [
        (100, 100, False),
        (100, 101, False),
        (100, 99, False),
        (100, 102, True),
        (1000, 989, True),
        (0, 0, False),
        (0, 1, True),
    ],
)
def test_a_difference_over_one_percent_is_flagged(reported, computed, flagged):
    assert differs(reported, computed) is flagged


def test_the_tier_is_chosen_by_the_whole_prompt():
    rows = (PRICED, row(input=5 * 10**6, output=5 * 10**6, over_input=200_000, source="tier"))
    small = settle(tokens(input=200_000, output=0, cache_read=0), *rows)
    large = settle(tokens(input=200_001, output=0, cache_read=0), *rows)
    assert (small.nano, large.nano) == (200_000, 1_000_005)


SEED_ROWS = (
    row(
        endpoint="openrouter",
        served_by="Moonshot AI",
        model="moonshotai/kimi-k2-0905",
        cache_read=150_000_000,
        output=8_000_000_000,
    ),
    row(
        endpoint="openrouter",
        served_by="DeepInfra",
        model="moonshotai/kimi-k2-0905",
        input=400_000_000,
        cache_read=150_000_000,
        output=2_000_000_000,
    ),
)


def seed_steps():
    """(served_by, model, usage) of the seed's two answers, the cost's digits kept."""
    document = yaml.safe_load((SHARED / "seed" / "tool_streaming.yaml").read_text())
    for interaction in document["interactions"]:
        body = interaction["response"]["body"]
        last = next(line[6:] for line in body.splitlines() if '"usage":' in line)
        chunk = msgspec.json.decode(last)
        counts = chunk["usage"]
        yield (
            chunk["provider"],
            chunk["model"],
            Usage(
                input=counts["prompt_tokens"],
                output=counts["completion_tokens"],
                cache_read=counts["prompt_tokens_details"]["cached_tokens"],
                cost=re.search(r'"cost":([0-9.]+)', last)[1],
            ),
        )


@needs_shared
def test_case_0_costs_are_exact_reported_and_recomputed():
    table = PriceTable(SEED_ROWS)
    charges = []
    for served_by, model, usage in seed_steps():
        charge = settle_cost(
            usage, table, endpoint="openrouter", served_by=served_by, model=model, at=DAY
        )
        assert charge.basis == "reported"
        assert charge.nano == charge.reported_nano == charge.computed_nano
        assert not charge.differs
        charges.append(charge)
    assert [charge.reported for charge in charges] == ["0.0002582", "0.0000844"]
    assert format_usd(sum(charge.nano for charge in charges)) == "0.0003426"


def test_a_fresh_token_where_no_fresh_rate_is_known_is_unpriced():
    fresh = price(Usage(input=69, output=31, cache_read=68), SEED_ROWS[0])
    assert (fresh.nano, fresh.missing) == (None, ("input",))
