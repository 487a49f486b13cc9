"""What a client is told of models, hosts and prices."""

import msgspec
import pytest

from arno.gateway.catalogue_api import MAX_LIMIT
from arno.gateway.clock import Clock
from arno.providers import load_catalogue
from tests.gateway.harness import gateway_app, get, running_gateway
from tests.gateway.upstream import tables

KIMI, HARBOUR = "moonshotai/kimi-k2-0905", "arno/harbour-1"
NOW = Clock(wall_ns=lambda: 1_773_500_000 * 10**9)

PRICE = """
[[price]]
endpoint = "alpha"
model = "a/b"
valid_from = "2026-01-01"
source = "test"
output = "8"
"""
REQUIRED = """id canonical_slug name created context_length architecture pricing top_provider
per_request_limits supported_parameters default_parameters links""".split()


@pytest.fixture(scope="module")
def url():
    models = [KIMI, HARBOUR, "old/model", "new/model"]
    recorded = load_catalogue().with_recorded(models, created=5)
    catalogue = recorded.only(["replay"])
    with running_gateway(gateway_app(catalogue=catalogue, clock=NOW)) as address:
        yield address


@pytest.mark.parametrize("path", ["/api/v1/models", "/v1/models"])
def test_the_list_newest_first(url, path):
    document = get(url, path).document
    assert [model["id"] for model in document["data"]] == [HARBOUR, KIMI, "new/model", "old/model"]
    assert (document["object"], document["total_count"]) == ("list", 4)
    assert document["links"] == {"next": None}


def test_a_model_has_every_required_member(url):
    [harbour, kimi, new, _] = get(url, "/v1/models").document["data"]
    for model in (harbour, kimi, new):
        assert [name for name in REQUIRED if name not in model] == []
        assert model["object"] == "model"
        assert model["links"]["details"] == f"/api/v1/models/{model['id']}/endpoints"
        assert "tools" in model["supported_parameters"]
    assert (harbour["owned_by"], kimi["owned_by"]) == ("arno", "moonshotai")
    assert kimi["architecture"]["input_modalities"] == ["text"]
    # The cheapest host of which everything is known; a price nobody knows is null, not "0".
    assert kimi["pricing"] == {
        "prompt": "0.0000004",
        "completion": "0.000002",
        "input_cache_read": "0.00000015",
    }
    assert harbour["pricing"]["prompt"] == "0.00000035"
    assert new["pricing"] == {"prompt": None, "completion": None}


def test_the_hosts_of_a_model_and_their_prices(url):
    data = get(url, f"/api/v1/models/{KIMI}/endpoints").document["data"]
    assert data["id"] == KIMI
    hosts = {entry["provider_name"]: entry for entry in data["endpoints"]}
    assert set(hosts) == {"Moonshot AI", "DeepInfra"}
    assert hosts["Moonshot AI"]["tag"] == "moonshotai"
    assert hosts["Moonshot AI"]["pricing"] == {
        "prompt": None,
        "completion": "0.000008",
        "input_cache_read": "0.00000015",
    }
    assert hosts["DeepInfra"]["pricing"]["prompt"] == "0.0000004"
    assert hosts["DeepInfra"]["name"] == f"DeepInfra | {KIMI}"
    assert hosts["DeepInfra"]["uptime_last_30m"] is None


def test_a_model_without_prices_is_served_by_its_endpoint(url):
    [entry] = get(url, "/v1/models/new/model/endpoints").document["data"]["endpoints"]
    assert (entry["provider_name"], entry["tag"]) == ("Replay", "replay")


@pytest.mark.parametrize("path", ["/v1/models/no/such/endpoints", "/v1/models/arno//endpoints"])
def test_an_unknown_model_has_no_endpoints(url, path):
    assert get(url, path).status == 404


FILTERS = [
    ("q=KIMI", [KIMI]),
    ("q=model", ["new/model", "old/model"]),
    ("q=nothing", []),
    ("q=", [HARBOUR, KIMI, "new/model", "old/model"]),
    ("supported_parameters=tools,temperature&q=kimi", [KIMI]),
    ("supported_parameters=tools,web_search_options", []),
    ("offset=1&limit=2", [KIMI, "new/model"]),
    ("offset=9", []),
    ("limit=1", [HARBOUR]),
]


@pytest.mark.parametrize(("query", "ids"), FILTERS)
def test_filters_and_pages(url, query, ids):
    document = get(url, f"/v1/models?{query}").document
    assert [model["id"] for model in document["data"]] == ids


def test_pages_follow_each_other(url):
    path, found = "/v1/models?q=o&limit=1", []
    while path:
        document = get(url, path).document
        found += [model["id"] for model in document["data"]]
        path = document["links"]["next"]
        assert path is None or path.startswith("/v1/models?")
    assert found == [HARBOUR, KIMI, "new/model", "old/model"]
    assert document["total_count"] == 4


@pytest.mark.parametrize(
    "query", ["limit=0", f"limit={MAX_LIMIT + 1}", "limit=x", "offset=-1", "limit=1&limit=2"]
)
def test_a_page_that_cannot_be_is_refused(url, query):
    reply = get(url, f"/v1/models?{query}")
    assert (reply.status, reply.reason) == (400, "invalid_parameter")


def test_prices_of_tomorrow_do_not_hold_yet():
    early = Clock(wall_ns=lambda: 1_700_000_000 * 10**9)
    app = gateway_app(catalogue=load_catalogue(), clock=early)
    with running_gateway(app) as url:
        models = {model["id"]: model for model in get(url, "/v1/models").document["data"]}
    assert models[KIMI]["pricing"] == {"prompt": None, "completion": None}


def test_a_price_known_in_part_is_better_than_none():
    half = msgspec.structs.replace(
        tables("http://a.example/v1", "http://b.example/v1", False),
        prices=PRICE,
    )
    with running_gateway(gateway_app(catalogue=load_catalogue(half))) as url:
        [model] = get(url, "/v1/models").document["data"]
    assert model["pricing"] == {"prompt": None, "completion": "0.000008"}


def test_one_model_is_what_the_list_says_of_it(url):
    listed = {model["id"]: model for model in get(url, "/v1/models").document["data"]}
    for model in listed:
        assert get(url, f"/v1/models/{model}").document == listed[model]
    reply = get(url, "/v1/models/no/such")
    assert (reply.status, reply.reason) == (404, "model_not_found")


def test_the_list_is_told_as_the_callers_sdk_reads_it(url):
    fields = {"anthropic-version": "2023-06-01"}
    document = get(url, "/v1/models", fields).document
    assert [row["id"] for row in document["data"]] == [HARBOUR, KIMI, "new/model", "old/model"]
    assert document["data"][1]["display_name"] == "MoonshotAI: Kimi K2 0905"
    assert document["data"][1]["created_at"].startswith("2025-09-04T")
    assert (document["has_more"], document["last_id"]) == (False, "old/model")
    document = get(url, "/v1/models", {"x-goog-api-client": "google-genai-sdk/3.6.1"}).document
    assert "models/" + KIMI in [row["name"] for row in document["models"]]
