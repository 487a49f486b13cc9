"""The two recordings say what `cases` says of them, and the shipped one is hard enough to read."""

import asyncio
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest

from arno import Agent
from arno.canon.parts import TextPart, ToolCallPart
from arno.cassette.govcr import dump
from arno.cassette.index import asked_models
from arno.cassette.recordings import built_in, built_in_cassette
from arno.cassette.timing import chunks_of, is_current
from arno.engine.prices import price_table
from arno.ledger.money import parse_usd
from arno.ledger.price import price
from arno.providers import load_catalogue
from arno.transport.replay import ReplayTransport
from arno.wire import json
from tests.case0.cases import every_case
from tests.laws.harness import decode, failed, folded

DAY = "2026-03-12"


def answers(case):
    """Step and folded answer, one pair per interaction."""
    for step, item in zip(case.steps, case.cassette.cassette.interactions, strict=True):
        events = decode(item.response.body)
        assert not failed(events)
        yield step, folded(events)


@every_case
def test_the_answers_are_those_of_the_case(case):
    for step, answer in answers(case):
        [choice] = answer.choices
        assert (answer.id, answer.model, answer.served_by) == (step.id, case.model, step.served_by)
        assert choice.reason.value == step.finish
        assert [p.text for p in choice.parts if isinstance(p, TextPart)] == [step.text]
        calls = [p for p in choice.parts if isinstance(p, ToolCallPart)]
        wanted = [] if step.call is None else [step.call]
        assert [(c.call_id, c.name, c.arguments) for c in calls] == [
            (call.id, call.name, call.arguments) for call in wanted
        ]


@every_case
def test_usage_and_cost_are_those_of_the_case(case):
    for step, answer in answers(case):
        usage = answer.usage
        assert (usage.input, usage.cache_read, usage.output) == (
            step.input,
            step.cached,
            step.output,
        )
        assert (usage.cost, parse_usd(usage.cost)) == (step.cost, step.cost_nano)
    assert sum(step.cost_nano for step in case.steps) == case.cost_nano == parse_usd(case.cost)


@every_case
def test_price_rows_recompute_the_costs_to_the_digit(case):
    prices = price_table(load_catalogue())
    for step, answer in answers(case):
        row = prices.lookup(case.endpoint, step.served_by, case.model, DAY, step.input)
        assert price(answer.usage, row).nano == step.cost_nano


@every_case
def test_the_parts_of_a_cost_add_up(case):
    for step, answer in answers(case):
        document = answer.usage.raw["chat"]
        parts = document["cost_details"]
        assert parts["upstream_inference_cost"] == Decimal(step.cost) == document["cost"]
        assert Decimal(step.cost) == (
            parts["upstream_inference_prompt_cost"] + parts["upstream_inference_completions_cost"]
        )
        assert document["total_tokens"] == step.input + step.output


@every_case
def test_our_agent_sends_the_recorded_requests_and_ends_with_the_recorded_text(case):
    """Replay is sealed and compares whole requests: one that differs would not be answered."""
    transport = ReplayTransport([case.cassette], scale=0)

    async def scenario():
        settings = {**case.agent, "base_url": "http://any.example/api/v1", "transport": transport}
        return await Agent(case.model, **settings).run(case.prompt)

    result = asyncio.run(scenario())
    assert result.text == case.steps[-1].text
    assert transport.index.unused() == ()
    assert result.cost_usd == Decimal(case.cost)
    assert [step.served_by for step in result.steps] == [step.served_by for step in case.steps]


@every_case
def test_requests_ask_for_the_model_of_the_case(case):
    assert asked_models(case.cassette.cassette) == (case.model,)


# ---------------------------------------------------------------- the shipped one alone


@pytest.fixture
def interactions():
    return built_in().cassette.interactions


def members(value, path=""):
    """The paths of a JSON document's members, list places left out."""
    if isinstance(value, dict):
        return {path} | {p for key, item in value.items() for p in members(item, f"{path}/{key}")}
    if isinstance(value, list):
        return {path} | {p for item in value for p in members(item, f"{path}/*")}
    return {path}


def test_the_file_is_what_our_writer_makes_of_it():
    assert dump(built_in().cassette) == built_in_cassette()


def test_the_requests_have_the_members_of_the_contract(interactions):
    first, second = (members(json.loads(item.request.body)) for item in interactions)
    assert {
        "/messages/*/role",
        "/tools/*/function/parameters/properties/harbour/description",
        "/tools/*/function/parameters/required/*",
        "/tool_choice",
        "/max_tokens",
        "/stream_options/include_usage",
        "/usage/include",
        "/stream",
    } <= first
    assert {"/messages/*/tool_calls/*/function/arguments", "/messages/*/tool_call_id"} <= second


def test_the_chunks_are_not_the_events(interactions):
    for item in interactions:
        chunks = [chunk.data for chunk in chunks_of(item)]
        assert is_current(item.wire, item.response.body)
        assert any(data.count(b"\n\n") > 1 for data in chunks)
        assert any(b"\n\n" not in data for data in chunks)


def test_a_character_stands_in_two_chunks(interactions):
    chunks = [chunk.data for chunk in chunks_of(interactions[1])]
    assert any(data.decode(errors="ignore").encode() != data for data in chunks)


def test_the_tool_call_and_the_text_come_in_many_pieces(interactions):
    first = interactions[0].response.body
    assert first.count(b'"arguments":') >= 12
    assert first.count(b'"delta":{"content":"') >= 11


def test_it_lasts_about_four_seconds_at_an_uneven_pace(interactions):
    heads = [item.response.duration_ns for item in interactions]
    streams = [chunks_of(item)[-1].at_ns for item in interactions]
    assert 3e9 < sum(heads) + sum(streams) < 5e9
    for item in interactions:
        times = [chunk.at_ns for chunk in chunks_of(item)]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) > 2 * min(gaps)


def test_it_names_no_place_where_it_was_made(interactions):
    assert b"127.0.0.1" not in built_in_cassette()
    for item in interactions:
        assert item.request.url == "https://gateway.example/api/v1/chat/completions"
        headers = msgspec.structs.asdict(item.request)["headers"]
        assert headers.keys() == {"Accept", "Content-Type", "User-Agent"}
