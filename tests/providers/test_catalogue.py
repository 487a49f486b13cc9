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


LIVE = (
    "openrouter openrouter-messages openrouter-responses openai openai-responses anthropic "
    "google-ai-studio google-vertex google-vertex-anthropic amazon-bedrock "
    "amazon-bedrock-anthropic amazon-bedrock-mantle amazon-bedrock-mantle-responses azure "
    "azure-responses moonshotai deepinfra groq groq-responses xai xai-responses together fireworks "
    "mistral deepseek deepseek-responses cerebras z-ai huggingface vercel vercel-messages "
    "vercel-responses vllm llama-cpp ollama"
).split()
LOCAL = ("vllm", "llama-cpp", "ollama")
SAME_NAME = {
    "google-vertex-anthropic": "google-vertex",
    "amazon-bedrock-anthropic": "amazon-bedrock",
    "amazon-bedrock-mantle": "amazon-bedrock",
    "amazon-bedrock-mantle-responses": "amazon-bedrock",
}
"""Rows that have the display name of another one without being variants of it."""
AUTH = {
    "anthropic": "x-api-key",
    "google-ai-studio": "x-goog-api-key",
    "google-vertex": "google",
    "google-vertex-anthropic": "google",
    "amazon-bedrock": "aws",
    "amazon-bedrock-anthropic": "aws",
    "azure": "api-key",
    "azure-responses": "api-key",
}
SEVERAL = "openai azure deepinfra xai together fireworks mistral vllm replay".split()


def test_the_shipped_endpoints(catalogue):
    assert list(catalogue.endpoints) == [*LIVE, "replay"]
    live = [catalogue.endpoints[slug] for slug in LIVE]
    dialects = {"chat", "responses", "messages", "gemini", "converse"}
    assert {row.dialect for row in live} == dialects
    assert {row.transport for row in live} == {"live"}
    assert {row.family for row in live if row.contract} == {"openrouter"}
    assert [row.slug for row in live if not row.stream_usage] == ["mistral"]
    assert not any(row.finish_optional or row.price_as for row in live)
    assert all(row.unlisted_models and row.supported_parameters for row in live)
    for row in live:
        assert catalogue.slug_of(row.name) == SAME_NAME.get(row.slug, row.family)
    assert {row.slug: str(row.auth) for row in live if row.auth != "bearer"} == AUTH
    several = [row.slug for row in catalogue.endpoints.values() if row.multiple_choices]
    assert sorted(several) == sorted(SEVERAL)
    replay = catalogue.endpoints["replay"]
    assert (replay.contract, replay.transport, replay.price_as) == (True, "replay", "openrouter")
    assert not replay.unlisted_models


def test_variants_are_the_same_service_in_another_dialect(catalogue):
    for row in catalogue.endpoints.values():
        if row.variant_of is None:
            continue
        lead = catalogue.endpoints[row.variant_of]
        assert row.slug == f"{lead.slug}-{row.dialect}"
        assert (row.name, row.base_url, row.auth) == (lead.name, lead.base_url, lead.auth)
        assert (row.key_names, row.contract) == (lead.key_names, lead.contract)
        assert (row.field_env, row.switch_env) == (lead.field_env, lead.switch_env)
        assert row.dialect != lead.dialect


def test_hosted_endpoints_are_encrypted_and_stay_where_they_are(catalogue):
    """A key goes to the address in the row, whatever variables say; local ones can be moved."""
    for slug in LIVE:
        row = catalogue.endpoints[slug]
        local = slug in LOCAL
        scheme = "http://localhost:" if local else "https://"
        assert row.base_url.startswith(scheme), slug
        assert (row.base_url_env is not None) is row.anonymous is local, slug
        assert row.key_names or row.switch_env, slug
        assert not row.missing or set(row.missing) == set(row.field_env), slug


FIELDS = {
    "region": ("AWS_REGION", "us-east-1"),
    "project": ("GOOGLE_CLOUD_PROJECT", "my-project"),
    "resource": ("AZURE_RESOURCE_NAME", "mine"),
}
CLOUD = {"GOOGLE_CLOUD_LOCATION": "us-east5", **dict(FIELDS.values())}
"""What fills the addresses of all clouds."""


def test_one_variable_switches_one_endpoint_on_and_its_variants(catalogue):
    for slug in LIVE:
        lead = catalogue.endpoints[slug]
        for name in (*lead.key_names, *lead.switch_env):
            found = catalogue.from_environment({name: "k", **CLOUD}).endpoints
            assert lead.family in found
            shared = {row.name for row in found.values()}
            assert shared == {lead.name}, name


def test_a_key_alone_is_not_enough_for_an_address_with_variables(catalogue):
    for slug in LIVE:
        row = catalogue.endpoints[slug]
        if row.missing:
            for name in (*row.key_names, *row.switch_env):
                assert not catalogue.from_environment({name: "k"}).endpoints
    for slug in LOCAL:
        name = catalogue.endpoints[slug].base_url_env
        found = catalogue.from_environment({name: "http://gpu:1/v1/"}).endpoints
        assert [(row.slug, row.base_url) for row in found.values()] == [(slug, "http://gpu:1/v1")]


SPOKEN = [
    # asked for, the client's dialect: who is asked
    ("openai/gpt-5", "chat", "openai"),
    ("openai/gpt-5", "responses", "openai-responses"),
    ("openai/gpt-5", "messages", "openai"),
    ("openai-responses/gpt-5", "chat", "openai-responses"),
    ("openrouter/a/b", "messages", "openrouter-messages"),
    ("a/b", "responses", "openrouter-responses"),
    ("a/b", "gemini", "openrouter"),
    ("anthropic/claude", "chat", "anthropic"),
    ("amazon-bedrock/claude", "messages", "amazon-bedrock"),
    (KIMI, "messages", "openrouter-messages"),
]


@pytest.mark.parametrize(("model", "dialect", "slug"), SPOKEN)
def test_a_client_is_served_in_its_own_dialect_where_that_can_be(catalogue, model, dialect, slug):
    candidate = catalogue.candidates_for(model)[0]
    spoken = catalogue.spoken(candidate, dialect)
    assert spoken.endpoint.slug == slug
    assert (spoken.upstream_model, spoken.model) == (candidate.upstream_model, candidate.model)


def test_a_variant_that_is_off_is_not_asked(catalogue):
    alone = catalogue.only(["openai"])
    [candidate] = alone.candidates_for("openai/gpt-5")
    assert alone.spoken(candidate, "responses") == candidate


def test_a_variant_costs_what_its_row_costs(catalogue):
    for row in ("openrouter-messages", "openrouter-responses"):
        lead = catalogue.prices_for("openrouter", KIMI)
        own = catalogue.prices_for(row, KIMI)
        assert lead
        assert [msgspec.structs.replace(p, endpoint="openrouter") for p in own] == list(lead)
    guess = msgspec.structs.replace(
        catalogue.prices_for("openrouter", KIMI)[0],
        endpoint="openai",
        model="gpt-5",
        estimate=True,
        served_by=None,
    )
    guessed = catalogue.with_estimates([], [guess])
    candidate = guessed.candidates_for("openai-responses/gpt-5")[0]
    assert candidate.model == "openai/gpt-5"
    [price] = guessed.prices_for("openai-responses", candidate.model)
    assert (price.output, price.estimate) == (guess.output, True)


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
