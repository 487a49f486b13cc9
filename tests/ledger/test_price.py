"""Prices: which row holds, and exact, disjoint arithmetic (behaviour R24 to R26)."""

import itertools
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.canon.usage import Usage
from arno.ledger.money import parse_rate, parse_usd
from arno.ledger.price import PriceRow, PriceTable, price

RATES = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning")


def row(**fields):
    rates = {name: parse_rate(fields.pop(name)) for name in RATES if name in fields}
    start = {"endpoint": "e", "model": "m", "valid_from": "2026-01-01", "source": "a price page"}
    return PriceRow(**(start | rates | fields))


def usage(input, output, **parts):
    return Usage(input=input, output=output, **parts)


KNOWN_COSTS = {
    # case 0
    "seed, first step": (
        usage(68, 31, cache_read=68),
        row(cache_read="0.15", output="8.00"),
        "0.0002582",
    ),
    "seed, second step": (
        usage(121, 22, cache_read=32),
        row(input="0.40", cache_read="0.15", output="2.00"),
        "0.0000844",
    ),
    # behaviour R25
    "fresh, written and generated": (
        usage(12_307, 550, cache_write_5m=12_304),
        row(input="3", cache_write_5m="3.75", output="15"),
        "0.054399",
    ),
    "a cached prompt is not paid twice": (
        usage(262_960, 1_744, cache_read=257_955),
        row(input="1.25", cache_read="0.625", output="10"),
        "0.184918125",
    ),
    "tool-use prompt and thoughts are parts": (
        usage(151 + 18_329, 1_089 + 1_120, tool_input=18_329, reasoning=1_120),
        row(input="1.25", output="10"),
        "0.04519",
    ),
    "fresh, read and written": (
        usage(1_140, 0, cache_read=1_000, cache_write_5m=100),
        row(input="3", cache_read="0.3", cache_write_5m="3.75"),
        "0.000795",
    ),
    # openrouter-api 4.5
    "plain": (usage(577, 54), row(input="1", output="5"), "0.000847"),
    "cache write": (
        usage(2_572, 0, cache_write_5m=2_569),
        row(input="3", cache_write_5m="3.75"),
        "0.00964275",
    ),
    "cache read and write": (
        usage(2_649, 0, cache_read=2_569, cache_write_5m=79),
        row(input="3", cache_read="0.3", cache_write_5m="3.75"),
        "0.00106995",
    ),
    "explicit cache, fresh": (
        usage(4_020, 0, cache_write_5m=4_012),
        row(input="5", cache_write_5m="6.25"),
        "0.025115",
    ),
    "explicit cache, read": (
        usage(4_012, 0, cache_read=4_012),
        row(input="5", cache_read="0.5"),
        "0.002006",
    ),
    # beyond the vectors
    "an hour in the cache has its own rate": (
        usage(30, 0, cache_write_5m=10, cache_write_1h=20),
        row(cache_write_5m="1", cache_write_1h="2"),
        "0.00005",
    ),
    "reasoning at its own rate": (
        usage(0, 10, reasoning=4),
        row(output="1", reasoning="2"),
        "0.000014",
    ),
    "a fee per request": (usage(1, 1), row(input="1", output="1", request=2_000), "0.000004"),
    "free": (usage(5, 5), row(input="0", output="0"), "0"),
    "nothing used needs no rate": (usage(0, 0), row(), "0"),
}


@pytest.mark.parametrize("case", KNOWN_COSTS)
def test_the_cost_is_exact(case):
    counts, prices, cost = KNOWN_COSTS[case]
    priced = price(counts, prices)
    assert priced.nano == parse_usd(cost)
    assert (priced.missing, priced.anomaly) == ((), ())


ODD_COUNTS = {
    "an explicit cache counts its tokens as read and as written": (
        usage(2_168, 0, cache_read=2_161, cache_write_5m=2_161),
        row(input="0.3", cache_read="0.03", cache_write_5m="0.083333333"),
        247_013,
        "input_parts_exceed_input",
    ),
    "parts that exceed the prompt leave nothing fresh": (
        usage(100, 0, cache_read=90, cache_write_5m=20),
        row(input="1000", cache_read="1", cache_write_5m="1"),
        110_000,
        "input_parts_exceed_input",
    ),
    "equal parts, each over the prompt": (
        usage(10, 0, cache_read=20, cache_write_5m=20),
        row(input="1000", cache_read="1", cache_write_5m="1"),
        40_000,
        "input_parts_exceed_input",
    ),
    "one reasoning token more than generated": (
        usage(0, 10, reasoning=11),
        row(output="1"),
        10_000,
        "reasoning_exceeds_output",
    ),
}


@pytest.mark.parametrize("case", ODD_COUNTS)
def test_odd_counts_are_priced_without_going_below_zero_and_flagged(case):
    counts, prices, nano, anomaly = ODD_COUNTS[case]
    priced = price(counts, prices)
    assert (priced.nano, priced.anomaly) == (nano, (anomaly,))


UNPRICED = {
    "fresh tokens without a rate": (
        usage(69, 31, cache_read=68),
        row(cache_read="0.15", output="8"),
        ("input",),
    ),
    "several": (
        usage(3, 4, cache_read=1, cache_write_5m=1, cache_write_1h=1),
        row(),
        ("cache_read", "cache_write_5m", "cache_write_1h", "output"),
    ),
    "reasoning has the output's rate": (usage(0, 2, reasoning=2), row(), ("reasoning",)),
    "unknown input": (usage(None, 1), row(input="1", output="1"), ("input_tokens",)),
    "unknown output": (usage(1, None), row(input="1", output="1"), ("output_tokens",)),
    "nothing known": (Usage(), row(), ("input_tokens", "output_tokens")),
}


@pytest.mark.parametrize("case", UNPRICED)
def test_a_cost_that_is_not_known_is_none_and_says_why(case):
    counts, prices, missing = UNPRICED[case]
    priced = price(counts, prices)
    assert (priced.nano, priced.missing) == (None, missing)


@pytest.mark.parametrize(
    ("counts", "anomaly"),
    [
        (usage(-1, 1), "negative_tokens"),
        (usage(1, 1, cache_read=-5), "negative_tokens"),
        (usage(10**18, 1), "cost_beyond_bounds"),
    ],
)
def test_impossible_counts_have_no_cost(counts, anomaly):
    priced = price(counts, row(input="100", output="100", cache_read="1"))
    assert (priced.nano, priced.anomaly) == (None, (anomaly,))


FITTING = st.tuples(*[st.integers(0, 10**7)] * 6)


@given(FITTING)
def test_every_token_is_paid_once(counts):
    fresh, read, short, long, text, reasoning = counts
    split = usage(
        fresh + read + short + long,
        text + reasoning,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        reasoning=reasoning,
    )
    one_nano_each = row(**dict.fromkeys(RATES, "0.001"))
    assert price(split, one_nano_each).nano == sum(counts)


@given(FITTING, st.tuples(*[st.integers(0, 10**11)] * 6))
def test_the_sum_is_rounded_once(counts, rates):
    fresh, read, short, long, text, reasoning = counts
    split = usage(
        fresh + read + short + long,
        text + reasoning,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        reasoning=reasoning,
    )
    names = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output", "reasoning")
    prices = msgspec.structs.replace(row(), **dict(zip(names, rates, strict=True)))
    exact = sum((n * Fraction(r, 10**6) for n, r in zip(counts, rates, strict=True)), Fraction())
    assert price(split, prices).nano == round(exact)


@given(st.tuples(*[st.none() | st.integers(-5, 50)] * 6))
def test_no_counts_whatever_give_a_negative_cost(counts):
    priced = price(Usage(*counts), row(**dict.fromkeys(RATES, "1")))
    assert priced.nano is None or priced.nano >= 0


OLD = row(valid_from="2026-01-01", source="old")
NEW = row(valid_from="2026-03-01", source="new")
EXACT = row(valid_from="2026-02-01", served_by="Someone", source="exact")
TIER = row(valid_from="2026-03-01", over_input=200_000, source="tier")
GUESS = row(valid_from="2026-01-01", source="guess", estimate=True)
ROWS = (OLD, NEW, EXACT, TIER, GUESS)

LOOKUPS = [
    # served_by, day, input tokens, source
    (None, "2025-12-31", 0, None),
    (None, "2026-01-01", 0, "old"),
    (None, "2026-02-28", 0, "old"),
    (None, "2026-03-01", 0, "new"),
    (None, "2026-03-01T00:00:00Z", 0, "new"),
    (None, "2030-01-01", 200_000, "new"),
    (None, "2030-01-01", 200_001, "tier"),
    ("Someone", "2026-01-15", 0, "old"),
    ("Someone", "2026-02-01", 0, "exact"),
    ("Someone", "2030-01-01", 300_000, "exact"),
    ("Somebody else", "2030-01-01", 0, "new"),
]


@pytest.mark.parametrize(("served_by", "at", "tokens", "source"), LOOKUPS)
@pytest.mark.parametrize("rows", [ROWS, ROWS[::-1]], ids=["in order", "reversed"])
def test_the_newest_row_of_exactly_this_server_holds(rows, served_by, at, tokens, source):
    found = PriceTable(rows).lookup("e", served_by, "m", at, tokens)
    assert (found.source if found else None) == source


def test_the_rows_order_never_matters():
    for rows in itertools.permutations(ROWS):
        table = PriceTable(rows)
        for served_by, at, tokens, source in LOOKUPS:
            found = table.lookup("e", served_by, "m", at, tokens)
            assert (found.source if found else None) == source


def test_other_endpoints_and_models_have_no_price():
    table = PriceTable(ROWS)
    assert table.lookup("other", None, "m", "2030-01-01") is None
    assert table.lookup("e", None, "other", "2030-01-01") is None


def test_an_estimate_is_found_only_when_asked_for():
    table = PriceTable((GUESS,))
    assert table.lookup("e", None, "m", "2030-01-01") is None
    assert table.estimate("e", "Someone", "m", "2030-01-01") == GUESS


def test_a_higher_tier_alone_does_not_price_small_prompts():
    assert PriceTable((TIER,)).lookup("e", None, "m", "2030-01-01", 5) is None


def test_one_model_three_prices_in_one_afternoon():
    rows = [
        row(served_by=name, input=price_in, output=price_out)
        for name, price_in, price_out in (
            ("Chutes", "0.44", "2.0"),
            ("Inceptron", "0.44", "2.2"),
            ("ModelRun", "0.55", "3.25"),
        )
    ]
    table = PriceTable(rows)
    costs = [
        price(usage(100, 100), found).nano
        for name in ("Chutes", "Inceptron", "ModelRun")
        if (found := table.lookup("e", name, "m", "2026-04-01"))
    ]
    assert costs == [244_000, 264_000, 380_000]


def test_two_rows_for_one_day_are_refused():
    with pytest.raises(ValueError, match="two price rows"):
        PriceTable((OLD, msgspec.structs.replace(OLD, source="again")))


@pytest.mark.parametrize("day", ["", "2026-13-01", "2026-1-1", "20260101", "2026-01-01T00:00:00"])
def test_a_row_needs_a_day(day):
    with pytest.raises(ValueError, match=r"day|isoformat|month"):
        row(valid_from=day)
