"""Case 0 through every layer over real HTTP: bytes, ledger, money, errors."""

from decimal import Decimal

import pytest

from arno.wire import json
from tests.gateway.harness import CHAT, connect, get, post
from tests.gateway.replaying import CONVERSATIONS, replaying, seed
from tests.shared import needs_shared


@pytest.mark.parametrize("recording", CONVERSATIONS)
@pytest.mark.parametrize("path", [CHAT, "/v1/chat/completions"])
def test_case_0_1_both_bodies_are_the_recorded_ones(tmp_path, recording, path):
    named = recording()
    steps = named.cassette.interactions
    assert len(steps) == 2
    with replaying(tmp_path, [named]) as url:
        for step in steps:
            reply = post(url, step.request.body, path=path)
            assert (reply.status, reply.body) == (200, step.response.body)
            assert reply.headers["content-type"].startswith("text/event-stream")
            assert reply.headers["cache-control"] == "no-cache"


@needs_shared
def test_case_0_4_the_ledger_knows_who_served_and_what_it_cost(tmp_path):
    found = []
    named = seed()
    with replaying(tmp_path, [named]) as url:
        for step in named.cassette.interactions:
            reply = post(url, step.request.body)
            name = reply.headers["x-generation-id"]
            found.append(get(url, f"/api/v1/generation?id={name}").document["data"])
        upstream = get(url, f"/api/v1/generation?id={found[0]['upstream_id']}").document["data"]
        key = get(url, "/api/v1/key").document["data"]
    assert upstream["id"] == found[0]["id"]
    assert [row["provider_name"] for row in found] == ["Moonshot AI", "DeepInfra"]
    assert [row["total_cost"] for row in found] == [Decimal("0.0002582"), Decimal("0.0000844")]
    assert [row["cost_reported"] for row in found] == ["0.0002582", "0.0000844"]
    assert [row["cost_computed"] for row in found] == [Decimal("0.0002582"), Decimal("0.0000844")]
    assert [row["cost_basis"] for row in found] == ["reported", "reported"]
    assert [row["native_tokens_cached"] for row in found] == [68, 32]
    assert [row["finish_reason"] for row in found] == ["tool_calls", "stop"]
    assert [row["state"] for row in found] == ["success", "success"]
    assert [len(row["provider_responses"]) for row in found] == [1, 1]
    assert (key["usage"], key["usage_daily"]) == (Decimal("0.0003426"), Decimal("0.0003426"))
    assert (key["requests"], key["unpriced_requests"]) == (2, 0)


@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_the_provider_header_names_who_really_served(tmp_path, recording):
    named = recording()
    with replaying(tmp_path, [named]) as url:
        for step in named.cassette.interactions:
            reply = post(url, step.request.body)
            lines = reply.body.split(b"\n\n")
            first = json.loads(lines[0].removeprefix(b"data: "))
            assert reply.headers["x-provider-name"] == first["provider"]


@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_a_request_without_a_recording_is_a_loud_error(tmp_path, recording):
    named = recording()
    asked = json.loads(named.cassette.interactions[0].request.body)
    asked["messages"][-1]["content"] += " Please."
    with replaying(tmp_path, [named]) as url:
        reply = post(url, asked)
    error = reply.document["error"]
    assert reply.status == error["code"] == 424
    assert named.name.rsplit("/", 1)[-1] in error["message"]


def test_a_model_that_nobody_serves_is_an_error_in_the_contracts_shape(tmp_path):
    [recording] = [param.values[0] for param in CONVERSATIONS if param.id == "shipped"]
    with replaying(tmp_path, [recording()]) as url:
        reply = post(url, {"model": "no/such", "messages": [{"role": "user", "content": "x"}]})
        data = get(url, f"/v1/generation?id={reply.headers['x-generation-id']}").document["data"]
    error = reply.document["error"]
    assert (reply.status, error["code"]) == (400, 400)
    assert error["message"] == "no/such is not a valid model ID"
    assert (data["state"], data["total_cost"], data["attempts"]) == ("refused", None, 0)


@pytest.mark.parametrize("recording", CONVERSATIONS)
def test_the_models_of_the_recording_are_listed_and_served(tmp_path, recording):
    named = recording()
    asked = {json.loads(step.request.body)["model"] for step in named.cassette.interactions}
    with replaying(tmp_path, [named]) as url:
        listed = {model["id"] for model in get(url, "/v1/models").document["data"]}
        for model in asked:
            hosts = get(url, f"/v1/models/{model}/endpoints").document["data"]["endpoints"]
            assert len(hosts) == 2
    assert asked <= listed


@needs_shared
def test_one_connection_serves_both_steps(tmp_path):
    named = seed()
    with replaying(tmp_path, [named]) as url, connect(url) as client:
        for step in named.cassette.interactions:
            client.post(json.loads(step.request.body))
            status, _ = client.read_head()
            assert status == 200
            client.read_until(b"data: [DONE]")
            client.read_until(b"0\r\n\r\n")
