"""Runs one tool call: raw argument text in, the result for the model out; nothing is raised.

Whatever goes wrong (no such tool, arguments that do not fit, a tool that fails) is a result with
`is_error`, so that the model can correct itself. Only cancellation passes through.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from arno.agent.tools import Tool
from arno.canon.parts import ToolCallPart
from arno.wire import json


class ToolOutcome(msgspec.Struct, frozen=True):
    """What the model reads as the result of its call."""

    text: str
    is_error: bool = False


async def execute(tools: Mapping[str, Tool[..., Any]], call: ToolCallPart) -> ToolOutcome:
    """Carry out `call`. Async tools run on the event loop, all others in a worker thread.

    A thread cannot be stopped: when the run is cancelled its tool still comes to its end, unheard.
    """
    tool = tools.get(call.name)
    if tool is None:
        known = ", ".join(sorted(tools)) or "none"
        return _error(f"There is no tool {call.name!r}. Tools: {known}")
    if tool.is_async:
        arguments = _decode(tool, call.arguments)
        if isinstance(arguments, ToolOutcome):
            return arguments
        return await _awaited(tool.function(**arguments))
    value = await asyncio.to_thread(_call, tool, call.arguments)
    if isinstance(value, ToolOutcome):
        return value
    return await _awaited(value)


def encode(value: object) -> ToolOutcome:
    """A tool's return value as text: a str as it is, anything else as JSON."""
    if isinstance(value, str):
        return ToolOutcome(value)
    try:
        return ToolOutcome(json.dumps(value).decode())
    except (TypeError, ValueError) as error:
        return _error(f"The tool's result cannot be written as JSON: {error}")


def _call(tool: Tool[..., Any], text: str) -> Awaitable[object] | ToolOutcome:
    """In the worker thread: no exception leaves it (a future cannot carry every kind)."""
    arguments = _decode(tool, text)
    if isinstance(arguments, ToolOutcome):
        return arguments
    try:
        value = tool.function(**arguments)
    except Exception as error:
        return _raised(error)
    return value if inspect.isawaitable(value) else encode(value)


async def _awaited(value: Awaitable[object]) -> ToolOutcome:
    try:
        return encode(await value)
    except Exception as error:
        return _raised(error)


def _decode(tool: Tool[..., Any], text: str) -> dict[str, Any] | ToolOutcome:
    try:
        return tool.decode(text)
    except msgspec.ValidationError as error:
        return _error(f"The arguments do not fit the tool {tool.name!r}: {error}")
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        return _error(f"The arguments are not valid JSON: {error}")
    except Exception as error:  # a class of the tool's author refused the values in its own way
        return _error(f"The arguments do not fit the tool {tool.name!r}: {_named(error)}")


def _raised(error: Exception) -> ToolOutcome:
    return _error(f"The tool failed: {_named(error)}")


def _named(error: Exception) -> str:
    """Class and text; no traceback, which would show the model the inside of the program."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _error(text: str) -> ToolOutcome:
    return ToolOutcome(text, is_error=True)
