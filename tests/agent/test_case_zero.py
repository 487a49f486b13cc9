"""Case 0, item 3: the recorded conversation, with everything set through the public API."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml

from arno import Agent, tool
from arno.agent.result import RunResult
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


def recorded() -> list[dict[str, Any]]:
    path = (SHARED or Path()) / "seed" / "tool_streaming.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return list(document["interactions"])


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[start : start + size] for start in range(0, len(body), size)]


def replay(size: int) -> tuple[RunResult, list[SeenRequest]]:
    """The conversation over a real connection, the answers cut into pieces of `size` bytes."""

    async def go() -> tuple[RunResult, list[SeenRequest]]:
        bodies = [one["response"]["body"].encode() for one in recorded()]
        scripts = [Script.sse(*pieces(body, size)) for body in bodies]
        async with ScriptedUpstream(scripts) as upstream:
            agent = Agent(
                "moonshotai/kimi-k2-0905",
                tools=[weather],
                instructions="You are a helpful assistant",
                base_url=upstream.url + "/api/v1",
                max_output_tokens=4000,
                tool_choice="auto",
                include_usage=True,
                extra={"usage": {"include": True}},
            )
            async with agent:
                return await agent.run(PROMPT), upstream.requests

    return asyncio.run(go())


@needs_shared
@pytest.mark.parametrize("size", [1 << 20, 1000, 7])
def test_the_requests_equal_the_recorded_ones_and_the_answer_is_the_recorded_text(
    size: int,
) -> None:
    result, requests = replay(size)
    sent = [json.loads(request.body) for request in requests]
    expected = [json.loads(one["request"]["body"]) for one in recorded()]
    assert len(sent) == 2
    assert json.equal(sent, expected)
    assert result.text == ANSWER


@needs_shared
def test_who_served_and_what_it_cost() -> None:
    result, _ = replay(1 << 20)
    assert [step.served_by for step in result.steps] == ["Moonshot AI", "DeepInfra"]
    assert [str(step.cost_usd) for step in result.steps] == ["0.0002582", "0.0000844"]
    assert str(result.cost_usd) == "0.0003426"
    usage = result.usage
    assert usage is not None
    assert (usage.input, usage.output, usage.cache_read) == (189, 53, 100)
    assert [step.usage.cache_read for step in result.steps if step.usage] == [68, 32]
