"""Case 0: the conversation that the product exists for, as recorded and as shipped.

Two cassettes of one shape: two steps, two providers, a tool call over many deltas, cached tokens,
exact costs. What is expected of them is written down here by hand, so that every test compares
what it found with the same facts. Tests take `case` through `every_case`.
"""

from typing import Annotated, Any

import msgspec
import pytest

from arno import tool
from arno.cassette.govcr import load
from arno.cassette.index import NamedCassette
from arno.cassette.recordings import built_in
from tests.shared import SHARED, needs_shared

SEED_FILE = "seed/tool_streaming.yaml"


class Call(msgspec.Struct, frozen=True):
    """A tool call: raw argument text, and what the tool answers."""

    id: str
    name: str
    arguments: str
    result: str


class Step(msgspec.Struct, frozen=True):
    """One answer. cost: USD as its digits stand on the wire, cost_nano: the same in nano-USD."""

    id: str
    served_by: str
    text: str
    finish: str
    input: int
    cached: int
    output: int
    cost: str
    cost_nano: int
    call: Call | None = None


class Case(msgspec.Struct, frozen=True):
    """A conversation.

    agent: the settings of `Agent` that make its requests, without where to send them. endpoint:
    whose price rows hold.
    """

    name: str
    model: str
    prompt: str
    agent: dict[str, Any]
    endpoint: str
    steps: tuple[Step, Step]
    cost: str
    cost_nano: int

    @property
    def cassette(self) -> NamedCassette:
        """The recording."""
        if self.name == "shipped":
            return built_in()
        assert SHARED is not None
        return NamedCassette(load((SHARED / SEED_FILE).read_bytes()), SEED_FILE)


@tool
def departures(harbour: Annotated[str, "the harbour's name"]) -> str:
    """List today's departures from a harbour"""
    return "08:40 Île d'Avel, quay 2; 11:15 Skärsund, quay 5" if harbour == "Port Amber" else ""


@tool
def weather(location: Annotated[str, "the city"]) -> str:
    """Get weather information for a location"""
    return "40 C" if location == "Florence, Italy" else ""


SHIPPED = Case(
    name="shipped",
    model="arno/harbour-1",
    prompt="Which boats leave Port Amber today?",
    agent={
        "tools": [departures],
        "instructions": "You are a harbour clerk.",
        "tool_choice": "auto",
        "max_output_tokens": 1000,
        "extra": {"usage": {"include": True}},
    },
    endpoint="replay",
    steps=(
        Step(
            id="gen-1773273600-q7LmT2xVb9RkZc4WnY8s",
            served_by="Northpier",
            text="I'll look up today's departures from Port Amber for you.",
            finish="tool_calls",
            input=96,
            cached=64,
            output=34,
            cost="0.0001136",
            cost_nano=113_600,
            call=Call(
                id="departures:0",
                name="departures",
                arguments='{"harbour": "Port Amber"}',
                result="08:40 Île d'Avel, quay 2; 11:15 Skärsund, quay 5",
            ),
        ),
        Step(
            id="gen-1773273602-D5hJw3PfKv6XeGt1QaUz",
            served_by="Southpier",
            text=(
                "Two boats leave Port Amber today:\n- 08:40 to Île d'Avel, quay 2\n"
                "- 11:15 to Skärsund, quay 5\nBon voyage — take a coat!"
            ),
            finish="stop",
            input=158,
            cached=96,
            output=41,
            cost="0.0001051",
            cost_nano=105_100,
        ),
    ),
    cost="0.0002187",
    cost_nano=218_700,
)

SEED = Case(
    name="seed",
    model="moonshotai/kimi-k2-0905",
    prompt="What's the weather in Florence,Italy?",
    agent={
        "tools": [weather],
        "instructions": "You are a helpful assistant",
        "tool_choice": "auto",
        "max_output_tokens": 4000,
        "extra": {"usage": {"include": True}},
    },
    endpoint="openrouter",
    steps=(
        Step(
            id="gen-1773323480-GOHpLW2Qp9HHMgKUfVW4",
            served_by="Moonshot AI",
            text="I'll check the weather in Florence, Italy for you.",
            finish="tool_calls",
            input=68,
            cached=68,
            output=31,
            cost="0.0002582",
            cost_nano=258_200,
            call=Call(
                id="weather:0",
                name="weather",
                arguments='{"location": "Florence, Italy"}',
                result="40 C",
            ),
        ),
        Step(
            id="gen-1773323482-u8BT7v3Z7RmNRNFABPjT",
            served_by="DeepInfra",
            text=(
                "The current weather in Florence, Italy is 40°C (104°F). "
                "It's quite hot there right now!"
            ),
            finish="stop",
            input=121,
            cached=32,
            output=22,
            cost="0.0000844",
            cost_nano=84_400,
        ),
    ),
    cost="0.0003426",
    cost_nano=342_600,
)

every_case = pytest.mark.parametrize(
    "case",
    [pytest.param(SHIPPED, id="shipped"), pytest.param(SEED, id="seed", marks=needs_shared)],
)
"""Gives a test the argument `case`: the shipped conversation and, where it is there, the seed."""
