"""Case 0, item 2: every official client holds the recorded conversation with `arno serve`.

The client sends what was recorded, through its typed interface; the second request is made of what
it read of the first answer, so a wrong reading would find no recording.
"""

from decimal import Decimal

import openai

from tests.case0.cases import SHIPPED, every_case
from tests.engine.harness import MODEL, answer
from tests.sdk.clients import KEY, conversation, job, typed
from tests.sdk.gateways import fronting
from tests.transport.upstream import Script


def expected(step):
    """What a client must read of a step."""
    usage = {"input": step.input, "output": step.output, "total": step.input + step.output}
    return {
        "text": step.text,
        "call": step.call and [step.call.id, step.call.name],
        "arguments": step.call.arguments if step.call else "",
        "reasons": [step.finish],
        "usage": {**usage, "cached": step.cached, "cost": step.cost},
        "provider": step.served_by,
    }


def digits(number):
    """A number of dollars as digits."""
    return f"{Decimal(str(number)):f}"


def comparable(reading):
    """A reading with its cost as digits, without our own generation id."""
    plain = {name: value for name, value in reading.items() if name != "generation_id"}
    usage = reading["usage"]
    return {**plain, "usage": {**usage, "cost": digits(usage["cost"])}}


def check_conversation(client, todo, case):
    """Both steps are read as they were recorded."""
    found = client.run(todo)
    assert found["error"] is None
    assert list(map(comparable, found["readings"])) == list(map(expected, case.steps))


@every_case
def test_case_0_2_both_steps_are_read_as_recorded(client, gateway_of, case):
    check_conversation(client, conversation(gateway_of(case), case), case)


def test_the_short_base_url(client, gateway_of):
    check_conversation(client, conversation(gateway_of(SHIPPED), SHIPPED, prefix="/v1"), SHIPPED)


@every_case
def test_the_replay_server_is_read_the_same(plain_client, replay_of, case):
    check_conversation(plain_client, conversation(replay_of(case), case), case)


@every_case
def test_case_0_4_the_generation_id_leads_to_the_ledger(plain_client, gateway_of, case):
    url = gateway_of(case)
    readings = plain_client.run(conversation(url, case))["readings"]
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        for reading, step in zip(readings, case.steps, strict=True):
            query = {"params": {"id": reading["generation_id"]}}
            row = client.get("/generation", cast_to=dict, options=query)["data"]
            assert (row["id"], row["upstream_id"]) == (reading["generation_id"], step.id)
            assert (row["provider_name"], row["state"]) == (step.served_by, "success")
            assert digits(row["total_cost"]) == step.cost


@every_case
def test_case_0_1_the_sdk_sees_the_recorded_bytes(gateway_of, case):
    url = gateway_of(case)
    [first, _] = case.cassette.cassette.interactions
    request = conversation(url, case)["request"]
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
        client.chat.completions.with_streaming_response.create(**typed(request)) as response,
    ):
        assert response.read() == first.response.body


@every_case
def test_the_models_are_listed(client, gateway_of, case):
    found = client.run(job(gateway_of(case)))
    assert (found["error"], found["models"]) == (None, [case.model])


def test_a_whole_answer(plain_client):
    request = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    with fronting([Script.json(answer("Good day"))]) as url:
        found = plain_client.run(job(url, request))
    [reading] = found["readings"]
    assert reading["generation_id"].startswith("gen-")
    assert comparable(reading) == {
        "text": "Good day",
        "call": None,
        "arguments": "",
        "reasons": ["stop"],
        # 10 and 5 tokens at 1 and 2 dollars for a million.
        "usage": {"input": 10, "output": 5, "total": 15, "cached": None, "cost": "0.00002"},
        "provider": "Scripted",
    }
