"""Case 0, item 3: the recorded conversation, with everything set through the public API."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml

from arno import Agent, tool
from arno.agent.errors import ModelError
from arno.agent.result import RunResult
from arno.canon.failure import FailureKind
from arno.cassette import load
from arno.cassette.index import NamedCassette
from arno.transport.replay import ReplayTransport
from arno.wire import json
from tests.shared import SHARED, needs_shared
from tests.transport.upstream import Script, ScriptedUpstream, SeenRequest

PROMPT = "What's the weather in Florence,Italy?"
ANSWER = "The current weather in Florence, Italy is 40°C (104°F). It's quite hot there right now!"


@tool
def weather(location: Annotated[str, "the city"]) -> str:
    """Get weather information for a location"""
    assert location == "Florence, Italy"
    return "40 C"


def seed_file() -> Path:
    return (SHARED or Path()) / "seed" / "tool_streaming.yaml"


def recorded() -> list[dict[str, Any]]:
    document = yaml.safe_load(seed_file().read_text(encoding="utf-8"))
    return list(document["interactions"])


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def agent(**place: Any) -> Agent:
    """The recording program's settings."""
    return Agent(
        "moonshotai/kimi-k2-0905",
        tools=[weather],
        instructions="You are a helpful assistant",
        max_output_tokens=4000,
        tool_choice="auto",
        include_usage=True,
        extra={"usage": {"include": True}},
        **place,
    )


def over_http(size: int) -> tuple[RunResult, list[SeenRequest]]:
    """The conversation over a real connection, the answers cut into pieces of `size` bytes."""

    async def go() -> tuple[RunResult, list[SeenRequest]]:
        bodies = [one["response"]["body"].encode() for one in recorded()]
        scripts = [Script.sse(*pieces(body, size)) for body in bodies]
        async with (
            ScriptedUpstream(scripts) as upstream,
            agent(base_url=upstream.url + "/api/v1") as asking,
        ):
            return await asking.run(PROMPT), upstream.requests

    return asyncio.run(go())


def replaying() -> ReplayTransport:
    cassette = load(seed_file().read_bytes())
    return ReplayTransport([NamedCassette(cassette, "seed")], scale=0.0)


@needs_shared
@pytest.mark.parametrize("size", [1 << 20, 1000, 7])
def test_the_requests_equal_the_recorded_ones_and_the_answer_is_the_recorded_text(
    size: int,
) -> None:
    result, requests = over_http(size)
    sent = [json.loads(request.body) for request in requests]
    expected = [json.loads(one["request"]["body"]) for one in recorded()]
    assert len(sent) == 2
    assert json.equal(sent, expected)
    assert result.text == ANSWER


@needs_shared
def test_who_served_and_what_it_cost() -> None:
    result, _ = over_http(1 << 20)
    assert [step.served_by for step in result.steps] == ["Moonshot AI", "DeepInfra"]
    assert [str(step.cost_usd) for step in result.steps] == ["0.0002582", "0.0000844"]
    assert str(result.cost_usd) == "0.0003426"
    usage = result.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read) == (189, 53, 100)
    assert [step.usage.cache_read for step in result.steps if step.usage] == [68, 32]


@needs_shared
def test_replayed_from_the_cassette_without_any_socket() -> None:
    """The replay answers only requests that equal the recorded ones."""
    asking = agent(base_url="http://replay.test/api/v1", transport=replaying())
    result = asking.run_sync(PROMPT)
    assert (result.text, str(result.cost_usd)) == (ANSWER, "0.0003426")


@needs_shared
def test_a_question_that_was_not_recorded_is_a_loud_error() -> None:
    asking = agent(base_url="http://replay.test/api/v1", transport=replaying())
    with pytest.raises(ModelError) as caught:
        asking.run_sync("What's the weather in Rome?")
    assert caught.value.failure.kind is FailureKind.UNMATCHED
