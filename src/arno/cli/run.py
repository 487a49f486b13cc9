"""`arno run`: ask a model, with tools, and print the answer as it arrives."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from arno.agent import (
    Agent,
    AgentEvent,
    RunError,
    RunFinished,
    RunResult,
    SettingsError,
    StepFinished,
    TextDelta,
    ToolCall,
    ToolResult,
)
from arno.canon.ext import Json
from arno.cli.terminal import inert
from arno.wire import json
from arno.wire.errors import MalformedJSON


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument("prompt", help="what to ask")
    parser.add_argument("--model", required=True, help="the model's id")
    parser.add_argument(
        "--tool",
        action="append",
        default=[],
        metavar="MODULE:FUNCTION",
        help="a typed Python function the model may call (may be repeated)",
    )
    parser.add_argument(
        "--base-url",
        help="where to ask, with the key in ARNO_API_KEY (default: ARNO_BASE_URL, or"
        " OPENAI_BASE_URL with OPENAI_API_KEY)",
    )
    parser.add_argument("--instructions", help="the system message")
    parser.add_argument("--max-tokens", type=int, help="cap of each answer, in tokens")
    parser.add_argument("--tool-choice", help="auto, none, required or a tool's name")
    parser.add_argument(
        "--extra", type=members, metavar="JSON", help="more members of the request, as an object"
    )
    parser.add_argument("--max-steps", type=int, default=20, help="cap of answers (default 20)")


def execute(options: argparse.Namespace) -> int:
    """Run to the end. Raises SettingsError for tools that cannot be used."""
    agent = Agent(
        options.model,
        tools=[load_tool(name) for name in options.tool],
        instructions=options.instructions,
        base_url=options.base_url,
        max_output_tokens=options.max_tokens,
        tool_choice=options.tool_choice,
        extra=options.extra,
        max_steps=options.max_steps,
    )
    try:
        asyncio.run(_print_run(agent, options.prompt))
    except RunError as error:
        print(f"\narno: {inert(str(error))}", file=sys.stderr)
        if error.result.steps:
            print(summary(error.result), file=sys.stderr)
        return 1
    return 0


def members(text: str) -> dict[str, Json]:
    """A JSON object of request members. Raises ArgumentTypeError."""
    try:
        document = json.loads(text)
    except MalformedJSON as error:
        raise argparse.ArgumentTypeError(f"this is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise argparse.ArgumentTypeError("this is no JSON object")
    return document


def load_tool(name: str) -> Callable[..., Any]:
    """The function named `module:function`; modules are looked for here as Python does."""
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SettingsError(f"--tool {name}: write MODULE:FUNCTION")
    if module_name.endswith(".py") or "/" in module_name:
        hint = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise SettingsError(f"--tool {name}: name the module, not its file: {hint}:{attribute}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except Exception as error:  # a user's module may fail in any way while it is imported
        raise SettingsError(f"--tool {name}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise SettingsError(f"--tool {name}: this is no function")
    function: Callable[..., Any] = found
    return function


async def _print_run(agent: Agent, prompt: str) -> None:
    async with agent, agent.stream(prompt) as run:
        async for event in run:
            _print_event(event)


def _print_event(event: AgentEvent) -> None:
    """The answer on stdout; what is about it on stderr."""
    if isinstance(event, TextDelta):
        print(inert(event.text), end="", flush=True)
    elif isinstance(event, ToolCall):
        print(f"\n[{event.name} {inert(event.arguments)}]", file=sys.stderr)
    elif isinstance(event, ToolResult):
        mark = "error" if event.is_error else "result"
        print(f"[{mark}: {inert(event.text)}]", file=sys.stderr)
    elif isinstance(event, StepFinished):
        print(flush=True)
    elif isinstance(event, RunFinished):
        print(summary(event.result), file=sys.stderr)


def summary(result: RunResult) -> str:
    """What a run did and cost, as far as it is known."""
    usage, cost = result.usage, result.cost_usd
    tokens = "tokens unknown"
    if usage is not None and usage.input is not None and usage.output is not None:
        tokens = f"{usage.input} in, {usage.output} out"
    return f"[{len(result.steps)} steps, {tokens}, {dollars(cost)}]"


def dollars(cost: Decimal | None) -> str:
    """A cost for people; unknown is said to be unknown."""
    return "cost unknown" if cost is None else f"{cost:f} USD"
