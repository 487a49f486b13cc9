"""One call carried out: whatever happens, the model gets a result it can read."""

import asyncio
import contextvars
import dataclasses
import threading
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from arno.agent.execute import ToolOutcome, encode, execute
from arno.agent.tools import as_tools
from arno.canon.parts import ToolCallPart

MARK = contextvars.ContextVar("mark", default="unset")


class Even(msgspec.Struct):
    value: int

    def __post_init__(self) -> None:
        if self.value % 2:
            raise LookupError("odd")


def echo(text: str) -> str:
    """Say it again."""
    return text


async def echo_async(text: str) -> str:
    return text


def late(text: str) -> Awaitable[str]:
    return echo_async(text)


def fails(text: str) -> str:
    raise ValueError(text)


async def fails_async(text: str) -> str:
    raise ValueError(text)


def stops() -> None:
    raise StopIteration("no more")


def silent() -> None:
    raise KeyError


def takes_even(number: Even) -> int:
    return number.value


def unwritable() -> object:
    return object()


async def cancels_itself() -> None:
    raise asyncio.CancelledError


TOOLS = as_tools(
    [echo, echo_async, late, fails, fails_async, stops, silent, takes_even, unwritable]
)


def carry_out(name: str, arguments: str = "") -> ToolOutcome:
    call = ToolCallPart(call_id="c", name=name, arguments=arguments)
    return asyncio.run(execute(TOOLS, call))


@pytest.mark.parametrize("name", ["echo", "echo_async", "late"])
def test_every_kind_of_function_gives_its_value(name: str) -> None:
    assert carry_out(name, '{"text": "40 C"}') == ToolOutcome("40 C")


ERRORS = [
    ("nowhere", "{}", "There is no tool 'nowhere'. Tools: echo, echo_async, fails, "),
    ("echo", "{", "The arguments are not valid JSON: Input data was truncated"),
    ("echo_async", '{"text": ', "The arguments are not valid JSON: Input data was truncated"),
    ("echo", '{"text": 1}', "The arguments do not fit the tool 'echo': Expected `str`, got `int`"),
    ("echo", '{"text": 1}', "- at `$.text`"),
    ("echo", "", "Object missing required field `text`"),
    ("echo", '{"text": "a", "x": 1}', "Object contains unknown field `x`"),
    ("echo", "[" * 100_000, "The arguments "),
    ("echo", '{"text": "\ud800"}', "The arguments are not valid JSON: "),
    (
        "takes_even",
        '{"number": {"value": 1}}',
        "do not fit the tool 'takes_even': LookupError: odd",
    ),
    ("fails", '{"text": "broken"}', "The tool failed: ValueError: broken"),
    ("fails_async", '{"text": "broken"}', "The tool failed: ValueError: broken"),
    ("stops", "", "The tool failed: StopIteration: no more"),
    ("silent", "", "The tool failed: KeyError"),
    ("unwritable", "", "The tool's result cannot be written as JSON: "),
]


@pytest.mark.parametrize(("name", "arguments", "text"), ERRORS, ids=lambda value: value[:40])
def test_every_fault_is_a_result_that_says_what_and_where(
    name: str, arguments: str, text: str
) -> None:
    outcome = carry_out(name, arguments)
    assert outcome.is_error
    assert text in outcome.text
    assert "Traceback" not in outcome.text


@dataclasses.dataclass
class Reading:
    celsius: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (Decimal("0.10"), "0.10"),
        ([1, "é"], '[1,"é"]'),
        ({"a": None}, '{"a":null}'),
        (Reading(40.0), '{"celsius":40.0}'),
        (Even(2), '{"value":2}'),
    ],
)
def test_a_value_becomes_text(value: Any, text: str) -> None:
    assert encode(value) == ToolOutcome(text)


def test_sync_tools_run_off_the_loop_and_async_ones_on_it() -> None:
    def where() -> bool:
        return threading.current_thread() is threading.main_thread()

    async def where_async() -> bool:
        return where()

    async def both() -> list[str]:
        tools = as_tools([where, where_async])
        calls = [ToolCallPart(call_id="c", name=name) for name in tools]
        return [(await execute(tools, call)).text for call in calls]

    assert asyncio.run(both()) == ["false", "true"]


def test_a_worker_thread_sees_the_callers_context() -> None:
    def read() -> str:
        return MARK.get()

    async def run() -> ToolOutcome:
        MARK.set("set")
        return await execute(as_tools([read]), ToolCallPart(call_id="c", name="read"))

    assert asyncio.run(run()) == ToolOutcome("set")


def test_cancellation_passes_through() -> None:
    async def run() -> None:
        tools = as_tools([cancels_itself])
        await execute(tools, ToolCallPart(call_id="c", name="cancels_itself"))

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
