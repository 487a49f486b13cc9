"""The shipped catalogue and its look-ups."""

import msgspec
import pytest

from arno.ledger.money import parse_rate
from arno.ledger.price import PriceRow, PriceTable
from arno.providers import load_catalogue, shipped, upstream_key, usable
from arno.providers.rows import RATES

KIMI = "moonshotai/kimi-k2-0905"
HARBOUR = "arno/harbour-1"


@pytest.fixture(scope="module")
def catalogue():
    return load_catalogue()


def test_the_shipped_endpoints(catalogue):
    rows = {
        slug: (row.name, row.dialect, row.contract, row.transport, row.price_as)
        for slug, row in catalogue.endpoints.items()
    }
    assert rows == {
        "openrouter": ("OpenRouter", "chat", True, "live", None),
        "moonshotai": ("Moonshot AI", "chat", False, "live", None),
        "deepinfra": ("DeepInfra", "chat", False, "live", None),
        "replay": ("Replay", "chat", True, "replay", "openrouter"),
    }


def test_candidates_come_in_the_order_of_the_model_row(catalogue):
    found = [(c.endpoint.slug, c.upstream_model) for c in catalogue.candidates_for(KIMI)]
    assert found == [
        ("openrouter", KIMI),
        ("moonshotai", "kimi-k2-0905-preview"),
        ("deepinfra", "moonshotai/Kimi-K2-Instruct-0905"),
    ]


def test_an_unlisted_model_goes_to_endpoints_that_take_any(catalogue):
    found = [(c.endpoint.slug, c.upstream_model) for c in catalogue.candidates_for("some/model")]
    assert found == [("openrouter", "some/model")]


@pytest.mark.parametrize("model", ["", "some/model", KIMI])
def test_a_replay_catalogue_serves_nothing_that_was_not_recorded(catalogue, model):
    assert catalogue.only(["replay"]).candidates_for(model) == ()


def test_a_restricted_catalogue_lists_only_what_it_can_serve(catalogue):
    assert list(catalogue.only(["replay"]).models) == [HARBOUR]
    assert list(catalogue.only(["deepinfra"]).models) == [KIMI]
    with pytest.raises(KeyError):
        catalogue.only(["nobody"])


def test_recorded_models_are_served_by_replay_under_the_id_asked_for(catalogue):
    recorded = catalogue.with_recorded([KIMI, "new/model", "new/model"], created=77)
    served = recorded.only(["replay"])
    assert list(served.models) == [KIMI, "new/model"]
    for model in (KIMI, "new/model"):
        [candidate] = served.candidates_for(model)
        assert (candidate.endpoint.slug, candidate.upstream_model) == ("replay", model)
    assert served.candidates_for(HARBOUR) == ()
    assert served.models["new/model"].created == 77
    assert served.models[KIMI].created == catalogue.models[KIMI].created
    # Others keep serving it, and are still tried first.
    assert [c.endpoint.slug for c in recorded.candidates_for(KIMI)][-1] == "replay"
    assert len(catalogue.candidates_for(KIMI)) == 3


def test_prices_of_the_recorded_conversation(catalogue):
    rows = {row.served_by: row for row in catalogue.prices_for("openrouter", KIMI)}
    moonshot, deepinfra = rows["Moonshot AI"], rows["DeepInfra"]
    assert (moonshot.input, moonshot.cache_read, moonshot.output) == (None, "0.15", "8.00")
    assert (deepinfra.input, deepinfra.cache_read, deepinfra.output) == ("0.40", "0.15", "2.00")
    assert {row.source for row in rows.values()} == {"recorded conversation 2026-03-12"}


def test_replay_borrows_prices_where_it_has_none_of_its_own(catalogue):
    replay = catalogue.only(["replay"])
    borrowed = {row.served_by: row.output for row in replay.prices_for("replay", KIMI)}
    assert borrowed == {"Moonshot AI": "8.00", "DeepInfra": "2.00"}
    own = {
        row.served_by: (row.cache_read, row.input, row.output)
        for row in replay.prices_for("replay", HARBOUR)
    }
    assert own == {"Northpier": ("0.20", "0.60", "2.40"), "Southpier": ("0.10", "0.35", "1.80")}


def test_own_prices_hide_all_borrowed_ones_of_that_model():
    tables = shipped()
    borrowed = """
[[price]]
endpoint = "openrouter"
served_by = "Elsewhere"
model = "arno/harbour-1"
valid_from = "2026-03-12"
source = "test"
input = "9"
"""
    catalogue = load_catalogue(msgspec.structs.replace(tables, prices=tables.prices + borrowed))
    assert [row.served_by for row in catalogue.prices_for("openrouter", HARBOUR)] == ["Elsewhere"]
    own = [row.served_by for row in catalogue.prices_for("replay", HARBOUR)]
    assert own == ["Northpier", "Southpier"]


def test_every_price_is_a_rate_of_the_ledger(catalogue):
    rows = [
        PriceRow(
            endpoint=row.endpoint,
            model=row.model,
            valid_from=row.valid_from,
            source=row.source,
            served_by=row.served_by,
            **{name: parse_rate(text) for name in RATES if (text := getattr(row, name))},
        )
        for row in catalogue.prices
    ]
    found = PriceTable(rows).lookup("replay", "Moonshot AI", KIMI, "2026-03-12T14:00:00Z")
    assert found is not None
    assert (found.input, found.cache_read, found.output) == (None, 150_000_000, 8_000_000_000)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Moonshot AI", "moonshotai"),
        ("DeepInfra", "deepinfra"),
        ("Google", "google-vertex"),
        ("Google AI Studio", "google-ai-studio"),
        ("Z.AI", "z-ai"),
        ("Amazon Bedrock", "amazon-bedrock"),
        ("VoyageAI by MongoDB", "voyageai"),
        ("Northpier", "northpier"),
    ],
)
def test_the_slug_of_a_display_name(catalogue, name, slug):
    assert catalogue.slug_of(name) == slug


def test_keys_come_from_the_environment_given(catalogue):
    live, replay = catalogue.endpoints["deepinfra"], catalogue.endpoints["replay"]
    assert upstream_key(live, {"DEEPINFRA_API_KEY": "k"}) == "k"
    assert usable(live, {"DEEPINFRA_API_KEY": "k"})
    for nothing in ({}, {"DEEPINFRA_API_KEY": ""}):
        assert upstream_key(live, nothing) is None
        assert not usable(live, nothing)
    assert upstream_key(replay, {}) is None
    assert usable(replay, {})
