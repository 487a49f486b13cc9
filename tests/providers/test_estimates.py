"""Estimates: rows made of the price package's data say what the package itself would say.

Serves issue: prices and model lists where a row has none, marked as estimates.
"""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import data, types
from hypothesis import given
from hypothesis import strategies as st

from arno.canon.usage import Usage
from arno.engine.prices import charge, price_table
from arno.ledger.price import price
from arno.providers import CatalogueError, load_catalogue
from arno.providers.estimates import ABSENT, UNKNOWN, arguments, collect, parse_estimates
from arno.providers.estimating import ALWAYS, NO_ID, NOT_CHAT, OTHER_UNITS, TIME_OF_DAY, Rows
from arno.providers.naming import unlisted_id

CATALOGUE = load_catalogue()
NAMED = {row.slug: row.estimate_as for row in CATALOGUE.known.values() if row.estimate_as}
THEIRS = {provider.id: provider for provider in data.providers}
DAYS = ("2025-01-15", "2026-11-28")

USAGES = [
    Usage(input=0, output=0),
    Usage(input=7, output=3),
    Usage(input=1_000_003, output=77),
    Usage(input=1000, output=10, cache_read=333),
    Usage(input=1000, output=10, cache_read=200, cache_write_5m=300, cache_write_1h=100),
    Usage(input=50_000, output=9_999, reasoning=8_888),
    Usage(input=199_999, output=1, cache_read=100_000),
    Usage(input=200_000, output=1, cache_read=100_000),
    Usage(input=200_001, output=1, cache_read=100_000),
    Usage(input=272_001, output=50_000, cache_write_5m=272_001),
]


@pytest.fixture(scope="module")
def estimates():
    return collect(NAMED)


@pytest.fixture(scope="module")
def table(estimates):
    return price_table(CATALOGUE.with_estimates((), estimates.prices))


def their_usage(usage):
    written = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    return TheirUsage(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read or 0,
        cache_write_tokens=written,
        cache_write_5m_tokens=usage.cache_write_5m or 0,
        cache_write_1h_tokens=usage.cache_write_1h or 0,
        output_reasoning_tokens=usage.reasoning or 0,
    )


def their_nano(provider, there, usage, day):
    """What the package says it costs, rounded as we round."""
    at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
    found = provider.find_model(there).calc_price(
        their_usage(usage), provider, genai_request_timestamp=at
    )
    return int((found.total_price * 10**9).to_integral_value())


def our_nano(table, slug, model, usage, day):
    row = table.estimate(slug, None, model, day, usage.input)
    return None if row is None else price(usage, row).nano


def test_our_prices_are_the_package_s_for_every_model_and_usage(estimates, table):
    """Every id that has a row; each usage on one of two days, turn by turn."""
    catalogue = CATALOGUE.with_estimates((), estimates.prices)
    places = sorted({(row.endpoint, row.model) for row in estimates.prices})
    for turn, (slug, there) in enumerate(places):
        provider = THEIRS[NAMED[slug]]
        asked = unlisted_id(catalogue.known[slug], there)
        [candidate] = catalogue.only([slug]).candidates_for(asked)
        assert candidate.upstream_model == there
        for number, usage in enumerate(USAGES):
            day = DAYS[(turn + number) % 2]
            ours = our_nano(table, slug, candidate.model, usage, day)
            assert ours == their_nano(provider, there, usage, day), (slug, there, day, usage)
    assert len(places) > 1000


TOKENS = st.integers(0, 3_000_000)


@given(
    there=st.sampled_from(["gpt-5.4", "gpt-4o-2024-08-06", "o3", "gpt-5.4-mini", "gpt-4.1"]),
    parts=st.tuples(TOKENS, TOKENS, TOKENS, TOKENS),
    output=st.tuples(TOKENS, TOKENS),
)
def test_our_prices_are_the_package_s_for_any_usage(table, there, parts, output):
    usage = Usage(
        input=sum(parts),
        output=sum(output),
        cache_read=parts[0],
        cache_write_5m=parts[1],
        cache_write_1h=parts[2],
        reasoning=output[0],
    )
    [candidate] = CATALOGUE.only(["openai"]).candidates_for(f"openai/{there}")
    ours = our_nano(table, "openai", candidate.model, usage, DAYS[1])
    assert ours == their_nano(THEIRS["openai"], there, usage, DAYS[1])


def test_everything_is_marked_and_says_where_it_comes_from(estimates):
    assert estimates.reason is None
    assert {row.estimate for row in estimates.prices} == {True}
    [source] = {row.source for row in estimates.prices}
    assert source.startswith("genai-prices ")
    assert {row.endpoint for row in estimates.prices} == set(NAMED)
    assert set(estimates.left_out) == {NOT_CHAT, OTHER_UNITS, TIME_OF_DAY, NO_ID}
    listed = {(slug, there) for row in estimates.models for slug, there in row.served.items()}
    assert len(listed) == len(estimates.models)
    assert all(row.context_length is None or row.context_length > 0 for row in estimates.models)


def test_an_answer_that_no_row_prices_is_charged_as_an_estimate(estimates):
    own = CATALOGUE.from_environment({"OPENAI_API_KEY": "k"})
    catalogue = own.with_estimates(estimates.models, estimates.prices)
    assert not own.models
    assert "openai/gpt-4o" in catalogue.models
    assert all(name.startswith("openai/") for name in catalogue.models)
    [candidate] = catalogue.candidates_for("openai/gpt-4o-2024-08-06")
    usage = Usage(input=1_000_000, output=0)
    found = charge(usage, candidate, None, 1_790_000_000 * 10**9, price_table(catalogue))
    assert (found.nano, found.basis) == (2_500_000_000, "estimated")
    assert found.price_source.startswith("genai-prices ")


def test_one_model_of_two_endpoints_is_listed_once(estimates):
    environ = {"OPENAI_API_KEY": "k", "OPENROUTER_API_KEY": "k"}
    catalogue = CATALOGUE.from_environment(environ)
    catalogue = catalogue.with_estimates(estimates.models, estimates.prices)
    assert catalogue.models["openai/gpt-4o"].served == {
        "openrouter": "openai/gpt-4o",
        "openai": "gpt-4o",
    }
    # What the shipped file lists stays as it is.
    kimi = "moonshotai/kimi-k2-0905"
    assert catalogue.models[kimi] == CATALOGUE.models[kimi]


def their_model(prices, match=None, name="m"):
    clause = types.ClauseEquals(name) if match is None else match
    return types.ModelInfo(id=name, match=clause, name="M", context_window=9, prices=prices)


def rows_of(*models):
    provider = types.Provider(id="p", name="P", api_pattern="", models=list(models))
    return Rows("one", provider, "test")


def rate(text, *tiers):
    if not tiers:
        return Decimal(text)
    found = [types.Tier(start=start, price=Decimal(price)) for start, price in tiers]
    return types.TieredPrices(base=Decimal(text), tiers=found)


def prices(base, *tiers, **more):
    return types.ModelPrice(input_mtok=rate(base, *tiers), output_mtok=rate("9"), **more)


def since(day, found):
    constraint = types.StartDateConstraint(date.fromisoformat(day))
    return types.ConditionalPrice(constraint, prices=found)


def hourly(found):
    constraint = types.TimeOfDateConstraint(time(1), time(2))
    return types.ConditionalPrice(constraint, prices=found)


def always(found):
    return types.ConditionalPrice(prices=found)


@pytest.mark.parametrize(
    ("conditional", "expected"),
    [
        ([always(prices("1"))], [(ALWAYS, "1")]),
        (
            [always(prices("1")), since("2026-01-01", prices("2"))],
            [("2026-01-01", "2"), (ALWAYS, "1")],
        ),
        # Later entries go first, whatever their days.
        (
            [since("2026-03-01", prices("3")), since("2026-01-01", prices("2"))],
            [("2026-01-01", "2"), (ALWAYS, "3")],
        ),
        # Nothing holds before the first day: then the first entry does.
        (
            [since("2026-01-01", prices("2")), since("2026-03-01", prices("3"))],
            [("2026-03-01", "3"), ("2026-01-01", "2"), (ALWAYS, "2")],
        ),
        ([since("2026-01-01", prices("2")), always(prices("1"))], [(ALWAYS, "1")]),
        # The time of day counts until the first day of a later entry, so there is no row.
        (
            [always(prices("1")), hourly(prices("5")), since("2026-01-01", prices("2"))],
            [("2026-01-01", "2")],
        ),
        ([always(prices("1")), hourly(prices("5"))], []),
    ],
)
def test_conditional_prices_become_first_days(conditional, expected):
    model = their_model(conditional)
    rows = rows_of(model)
    assert [(row.valid_from, row.input) for row in rows.prices] == expected
    assert [row.id for row in rows.models] == ["one/m"]
    has_hours = any(hasattr(entry.constraint, "start_time") for entry in conditional)
    assert rows.left_out == ({TIME_OF_DAY: 1} if has_hours else {})
    for day in ("2025-12-31", "2026-01-01", "2026-02-28", "2026-03-01"):
        row = next((row for row in rows.prices if row.valid_from <= day), None)
        if row is not None:
            at = datetime.fromisoformat(day).replace(hour=12, tzinfo=UTC)
            assert Decimal(row.input) == model.get_prices(at).input_mtok


def test_tiers_of_any_price_become_rows_that_name_all_rates():
    found = types.ModelPrice(
        input_mtok=rate("1", (1000, "2"), (5000, "3")),
        output_mtok=rate("4", (2000, "6")),
        cache_write_mtok=rate("7"),
    )
    rows = rows_of(their_model(found)).prices
    assert [(r.over_input, r.input, r.output, r.cache_read, r.cache_write_1h) for r in rows] == [
        (0, "1", "4", "1", "7"),
        (1000, "2", "4", "2", "7"),
        (2000, "2", "6", "2", "7"),
        (5000, "3", "6", "3", "7"),
    ]


def test_rates_are_plain_text_of_at_most_nine_places():
    found = types.ModelPrice(input_mtok=Decimal("1E+1"), output_mtok=Decimal("0.08333333333333334"))
    [row] = rows_of(their_model(found)).prices
    assert (row.input, row.output) == ("10", "0.083333333")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (their_model(types.ModelPrice(input_mtok=rate("1"))), NOT_CHAT),
        (their_model(types.ModelPrice(input_audio_mtok=rate("1"))), NOT_CHAT),
        (their_model(prices("1", output_audio_mtok=rate("1"))), OTHER_UNITS),
        (their_model(prices("1", (0, "2"))), "tier from the first token on"),
        (their_model(prices("-1")), "rate that is no price"),
        (their_model(prices("1"), types.ClauseStartsWith("m-"), "m-"), NO_ID),
    ],
)
def test_what_no_row_can_say_is_left_out_and_counted(model, reason):
    rows = rows_of(model)
    assert not rows.prices
    assert rows.left_out == {reason: 1}


def test_ids_are_those_that_name_the_model_exactly():
    both = types.ClauseOr([types.ClauseEquals("m-2"), types.ClauseStartsWith("m-")])
    first = their_model(prices("1"), both, "m-1")
    second = their_model(prices("2"), types.ClauseEquals("m-2"), "other")
    rows = rows_of(first, second)
    assert [row.served for row in rows.models] == [{"one": "m-2"}]
    assert [(row.model, row.input) for row in rows.prices] == [("m-2", "1"), ("m-1", "1")]
    assert rows.left_out == {NO_ID: 1}


def run(*command):
    found = subprocess.run([sys.executable, *command], capture_output=True, timeout=60, check=False)
    return found.returncode, found.stdout, found.stderr.decode()


def test_the_child_prints_what_the_parent_reads():
    rows = [CATALOGUE.known["groq"], CATALOGUE.known["vllm"], CATALOGUE.known["xai"]]
    assert arguments(rows) == ["groq=groq", "xai=x-ai"]
    code, out, err = run("-m", "arno.providers.estimates", *arguments(rows))
    assert (code, err) == (0, "")
    assert parse_estimates(out) == collect({"groq": "groq", "xai": "x-ai"})


@pytest.mark.parametrize("wrong", [[], ["groq"], ["groq="]])
def test_the_child_tells_how_it_is_used(wrong):
    code, out, err = run("-m", "arno.providers.estimates", *wrong)
    assert (code, out) == (2, b"")
    assert err.startswith("usage: ")


def test_nothing_imports_the_package_before_it_is_asked_for():
    program = (
        "import sys, arno.providers.estimates as e; e.parse_estimates('{}'); print([*sys.modules])"
    )
    code, out, _ = run("-c", program)
    assert code == 0
    assert b"arno.providers.estimating" in out
    assert b"genai_prices" not in out
    assert b"pydantic" not in out


def test_without_the_package_there_is_a_reason_and_no_row(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    found = collect(NAMED)
    assert (found.models, found.prices, found.reason) == ((), (), ABSENT)
    empty = CATALOGUE.with_estimates(found.models, found.prices)
    assert (empty.models, empty.prices) == (CATALOGUE.models, CATALOGUE.prices)


def test_a_name_that_the_package_does_not_know_is_counted():
    assert collect({"one": "no-such"}).left_out == {UNKNOWN: 1}


FIRM = {"endpoint": "a", "model": "m", "valid_from": "2026-01-01", "source": "s", "input": "1"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"\xff",
        b'{"prices": [{}]}',
        b'{"models": 1}',
        json.dumps({"prices": [FIRM]}),
        json.dumps({"prices": [{**FIRM, "estimate": True, "input": "x"}]}),
    ],
)
def test_what_is_no_output_of_the_child_is_refused(text):
    with pytest.raises(CatalogueError, match="estimates: "):
        parse_estimates(text)
    assert parse_estimates(json.dumps({"prices": [{**FIRM, "estimate": True}]})).prices
