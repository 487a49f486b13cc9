"""What a caller is told of its generations and its spending."""

import msgspec
import pytest

from arno.gateway.asgi import MAX_PARAMETERS
from arno.gateway.clock import Clock
from arno.gateway.keys import KeyRing
from arno.ledger.entry import ExchangeEntry, GenerationEntry, LedgerRecord
from arno.store.memory import MemorySink
from tests.gateway.harness import SickSink, gateway_app, get, running_gateway

ALICE = {"Authorization": "Bearer sk-alice-0123456789abcdef"}
BOB = {"Authorization": "Bearer sk-bob-0123456789abcdefgh"}
KEYS = [("alice", "sk-alice-0123456789abcdef"), ("bob", "sk-bob-0123456789abcdefgh")]

# Wednesday, 18 November 2026, 12:00 UTC.
NOON_MS = 1_795_003_200_000
DAY_MS = 86_400_000

ENTRY = GenerationEntry(
    id="gen-1-aaaaaaaaaaaaaaaaaaaa",
    key_id="alice",
    created_at_ms=NOON_MS,
    dialect="chat",
    model_requested="a/b",
    state="success",
    streamed=True,
    http_status=200,
    model_served="a/b-0905",
    endpoint="replay",
    served_by="Moonshot AI",
    upstream_id="gen-upstream",
    finish_reason="tool_calls",
    native_finish_reason="tool_calls",
    input_tokens=68,
    output_tokens=31,
    cache_read_tokens=68,
    tokens_basis="reported",
    cost_nano=258_200,
    cost_basis="reported",
    cost_reported="0.0002582",
    latency_ms=120,
    generation_ms=900,
    attempts=1,
)
EXCHANGE = ExchangeEntry(
    generation_id=ENTRY.id,
    attempt=1,
    endpoint="replay",
    model="a/b",
    state="success",
    started_at_ms=NOON_MS,
    duration_ms=1020,
    served_by="Moonshot AI",
    http_status=200,
    first_byte_ms=100,
    cost_nano=258_200,
)


def record(**changed):
    return LedgerRecord(msgspec.structs.replace(ENTRY, **changed))


def filled():
    sink = MemorySink()
    sink.append(LedgerRecord(ENTRY, (EXCHANGE,)))
    sink.append(record(id="gen-2", upstream_id="gen-bobs", key_id="bob"))
    sink.append(record(id="gen-3", upstream_id=None, cost_nano=None, cost_basis="unpriced"))
    sink.append(record(id="gen-4", upstream_id=None, created_at_ms=NOON_MS - DAY_MS))
    sink.append(record(id="gen-5", upstream_id=None, created_at_ms=NOON_MS - 3 * DAY_MS))
    sink.append(record(id="gen-6", upstream_id=None, created_at_ms=NOON_MS - 30 * DAY_MS))
    return sink


@pytest.fixture(scope="module")
def url():
    clock = Clock(wall_ns=lambda: NOON_MS * 10**6)
    with running_gateway(gateway_app(sink=filled(), keys=KeyRing(KEYS), clock=clock)) as address:
        yield address


@pytest.mark.parametrize("name", [ENTRY.id, "gen-upstream"])
@pytest.mark.parametrize("prefix", ["/api/v1", "/v1"])
def test_a_generation_by_our_id_and_by_the_upstreams(url, prefix, name):
    reply = get(url, f"{prefix}/generation?id={name}", ALICE)
    data = reply.document["data"]
    assert data["id"] == ENTRY.id
    assert (data["model"], data["provider_name"]) == ("a/b-0905", "Moonshot AI")
    assert data["created_at"] == "2026-11-18T12:00:00.000Z"
    assert (data["streamed"], data["cancelled"]) == (True, False)
    assert (data["tokens_prompt"], data["native_tokens_cached"]) == (68, 68)
    assert data["native_tokens_reasoning"] is None
    assert (data["latency"], data["generation_time"]) == (120, 900)
    assert b'"total_cost":0.0002582,"usage":0.0002582' in reply.body
    [attempt] = data["provider_responses"]
    assert (attempt["provider_name"], attempt["status"], attempt["latency"]) == (
        "Moonshot AI",
        200,
        100,
    )


CONTRACT = """id request_id upstream_id model provider_name api_type router preset_id origin
http_referer app_id user_agent external_user session_id created_at streamed cancelled finish_reason
native_finish_reason tokens_prompt tokens_completion native_tokens_prompt native_tokens_completion
native_tokens_reasoning native_tokens_cached native_tokens_completion_images num_media_prompt
num_media_completion num_input_audio_prompt num_search_results num_fetches web_search_engine latency
generation_time moderation_latency total_cost usage upstream_inference_cost cache_discount is_byok
service_tier data_region response_cache_source_id workspace_id provider_responses""".split()


def test_the_record_has_every_member_of_the_contract(url):
    data = get(url, f"/api/v1/generation?id={ENTRY.id}", ALICE).document["data"]
    assert [name for name in CONTRACT if name not in data] == []


def test_an_unpriced_generation_has_no_cost_rather_than_none_at_all(url):
    data = get(url, "/api/v1/generation?id=gen-3", ALICE).document["data"]
    assert (data["total_cost"], data["cost_basis"]) == (None, "unpriced")


@pytest.mark.parametrize(
    ("headers", "name"), [(ALICE, "gen-2"), (ALICE, "gen-bobs"), (BOB, ENTRY.id), (ALICE, "none")]
)
def test_others_generations_are_as_unknown_as_unknown_ones(url, headers, name):
    reply = get(url, f"/api/v1/generation?id={name}", headers)
    assert (reply.status, reply.reason) == (404, "generation_not_found")


@pytest.mark.parametrize("path", ["/v1/generation", "/v1/models"])
def test_a_query_with_too_many_parameters_is_refused(path):
    with running_gateway(gateway_app()) as url:
        few = get(url, f"{path}?" + "&".join(["x=1"] * MAX_PARAMETERS))
        many = get(url, f"{path}?" + "&".join(["x=1"] * (MAX_PARAMETERS + 1)))
    assert b"at most" not in few.body
    assert (many.status, many.reason) == (400, "invalid_parameter")
    assert "at most 32 parameters" in many.document["error"]["message"]


@pytest.mark.parametrize("query", ["", "?id=", "?id=a&id=b", "?id=" + "a" * 300])
def test_a_generation_needs_one_id(url, query):
    assert get(url, f"/api/v1/generation{query}", ALICE).status == 400


@pytest.mark.parametrize("path", ["/api/v1/key", "/api/v1/auth/key", "/v1/key", "/v1/auth/key"])
def test_the_key_and_what_it_spent(url, path):
    reply = get(url, path, ALICE)
    data = reply.document["data"]
    assert (data["label"], data["limit"], data["limit_remaining"]) == ("alice", None, None)
    assert b'"usage":0.0010328,"usage_daily":0.0002582,' in reply.body
    assert b'"usage_weekly":0.0005164,"usage_monthly":0.0007746' in reply.body
    assert (data["requests"], data["unpriced_requests"]) == (5, 1)
    assert data["rate_limit"]["requests"] == -1
    assert get(url, path, BOB).document["data"]["requests"] == 1


def test_a_ledger_that_does_not_answer_is_a_503_without_its_words():
    with running_gateway(gateway_app(sink=SickSink())) as address:
        for path in ("/v1/key", "/v1/generation?id=gen-1"):
            reply = get(address, path)
            assert (reply.status, reply.reason) == (503, "ledger_unavailable")
            assert reply.headers["retry-after"] == "5"
            assert b"db.internal" not in reply.body


def test_health_says_whether_the_ledger_works():
    with running_gateway(gateway_app(sink=SickSink())) as address:
        live, ready = get(address, "/healthz"), get(address, "/readyz")
    assert (live.status, live.document) == (200, {"status": "ok"})
    assert (ready.status, ready.document) == (503, {"status": "ledger unavailable", "pending": 3})
    with running_gateway(gateway_app()) as address:
        assert get(address, "/readyz").document == {"status": "ready", "pending": 0}
