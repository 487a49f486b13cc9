"""The agent's settings: what is sent is what was set, and mistakes are named."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from arno.agent.agent import Agent
from arno.agent.errors import SettingsError, ToolDefinitionError
from arno.agent.events import AgentEvent, RunFinished
from arno.agent.history import user
from arno.canon.failure import LocalError
from arno.canon.parts import TextPart
from arno.canon.request import (
    Message,
    Reasoning,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from tests.agent.scripted import ScriptedModel, answer, outline


def add(x: int) -> int:
    """Add one."""
    return x + 1


ADD = Tool(
    "add",
    "Add one.",
    {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    strict=False,
)
HELLO = (user("hi"),)
BASE = Request(model="m", messages=HELLO, stream=True, include_usage=True)


def asked(**settings: Any) -> Request:
    """The request that an agent with these settings sends for "hi"."""
    model = ScriptedModel([answer("hello")])
    Agent("m", via=model, **settings).run_sync("hi")
    return model.requests[0]


SETTINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"include_usage": False}, {"include_usage": None}),
    ({"max_output_tokens": 9}, {"max_output_tokens": 9}),
    ({"temperature": 0.0}, {"sampling": Sampling(temperature=0.0)}),
    ({"top_p": 0.5, "seed": 7}, {"sampling": Sampling(top_p=0.5, seed=7)}),
    ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    ({"reasoning_effort": "low"}, {"reasoning": Reasoning(effort="low")}),
    ({"extra": {"usage": {"include": True}}}, {"ext": {"chat": {"usage": {"include": True}}}}),
    ({"extra": {}}, {}),
    ({"tools": [add]}, {"tools": (ADD,)}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"tool_choice": "auto"}, {"tool_choice": ToolChoice(ToolChoiceMode.AUTO)}),
    ({"tool_choice": "none"}, {"tool_choice": ToolChoice(ToolChoiceMode.NONE)}),
    (
        {"tools": [add], "tool_choice": "add"},
        {"tools": (ADD,), "tool_choice": ToolChoice(ToolChoiceMode.NAMED, ("add",))},
    ),
    (
        {"instructions": "Be brief"},
        {"messages": (Message(Role.SYSTEM, (TextPart(text="Be brief"),)), *HELLO)},
    ),
]


@pytest.mark.parametrize(("settings", "changes"), SETTINGS, ids=lambda value: " ".join(value))
def test_only_what_is_set_is_asked_for(settings: dict[str, Any], changes: dict[str, Any]) -> None:
    assert asked(**settings) == msgspec.structs.replace(BASE, **changes)


MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"tool_choice": "subtract"}, SettingsError, "tool_choice 'subtract' is no mode and no tool"),
    ({"max_steps": 0}, SettingsError, "max_steps must be at least 1, not 0"),
    ({"max_parallel_tools": 0}, SettingsError, "max_parallel_tools must be at least 1"),
    ({"tools": [add, add]}, ToolDefinitionError, "two tools have the name 'add'"),
    ({"base_url": "http://127.0.0.1/v1"}, SettingsError, "`via` takes the place of base_url"),
    ({"api_key": "k"}, SettingsError, "`via` takes the place"),
]


@pytest.mark.parametrize(("settings", "error", "message"), MISTAKES)
def test_mistakes_are_named(settings: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Agent("m", via=ScriptedModel([]), **settings)


def test_a_prompt_may_be_messages() -> None:
    model = ScriptedModel([answer("hello")])
    Agent("m", via=model).run_sync([Message(Role.DEVELOPER, (TextPart(text="x"),)), user("hi")])
    assert outline(model.requests[0].messages) == ["developer", "user"]


def test_a_conversation_goes_on_from_a_result_without_doubled_instructions() -> None:
    model = ScriptedModel([answer("hello"), answer("well")])
    chat = Agent("m", via=model, instructions="Be brief")
    first = chat.run_sync("hi")
    second = chat.run_sync("how are you?", history=first.messages)
    assert outline(first.messages) == ["user", "assistant"]
    assert outline(second.messages) == ["user", "assistant", "user", "assistant"]
    assert outline(model.requests[1].messages) == ["system", "user", "assistant", "user"]


def test_nothing_to_send_is_refused() -> None:
    with pytest.raises(SettingsError, match="nothing to send"):
        Agent("m", via=ScriptedModel([])).stream([])


def through_run(agent: Agent) -> str:
    return asyncio.run(agent.run("hi")).text


def through_stream(agent: Agent) -> str:
    async def last() -> AgentEvent:
        return [event async for event in agent.stream("hi")][-1]

    event = asyncio.run(last())
    assert isinstance(event, RunFinished)
    return event.result.text


def through_run_sync(agent: Agent) -> str:
    return agent.run_sync("hi").text


@pytest.mark.parametrize("way", [through_run, through_stream, through_run_sync])
def test_three_ways_to_one_answer(way: Callable[[Agent], str]) -> None:
    assert way(Agent("m", via=ScriptedModel([answer("hello")]))) == "hello"


def test_run_sync_inside_an_event_loop_says_what_to_do() -> None:
    async def go() -> None:
        with pytest.raises(LocalError, match=r"await agent.run\(...\)"):
            Agent("m", via=ScriptedModel([])).run_sync("hi")

    asyncio.run(go())


def test_run_sync_lets_connections_go_and_async_with_too() -> None:
    model = ScriptedModel([answer("hello")])
    Agent("m", via=model).run_sync("hi")
    assert model.closed == 1

    async def go() -> None:
        async with Agent("m", via=model):
            assert model.closed == 1

    asyncio.run(go())
    assert model.closed == 2


def test_runs_of_one_agent_are_independent() -> None:
    async def go() -> list[str]:
        model = ScriptedModel([answer("one"), answer("two")])
        agent = Agent("m", via=model)
        results = await asyncio.gather(agent.run("a"), agent.run("b"))
        return [result.text for result in results]

    assert sorted(asyncio.run(go())) == ["one", "two"]


WRONG_SETTINGS = {
    "no model": ({"model": None}, "model"),
    "an empty model": ({"model": ""}, "model"),
    "extra with a member of its own": ({"extra": {"model": "x"}}, "model"),
    "extra with two": ({"extra": {"stop": [], "tools": []}}, "stop, tools"),
}


@pytest.mark.parametrize("case", WRONG_SETTINGS)
def test_settings_that_say_nothing_or_the_same_twice_are_named(case):
    changed, reason = WRONG_SETTINGS[case]
    with pytest.raises(SettingsError, match=reason):
        Agent(**{"model": "m", "base_url": "http://127.0.0.1:1", **changed})


@pytest.mark.parametrize("prompt", [None, 5, ["x"], "\udcff"])
def test_a_prompt_is_a_text_or_messages(prompt):
    agent = Agent("m", base_url="http://127.0.0.1:1")
    with pytest.raises(SettingsError, match="prompt"):
        agent.stream(prompt)
