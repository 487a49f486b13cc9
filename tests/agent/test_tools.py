"""Functions as tools: what is read off a function, and which arguments fit it."""

import dataclasses
import functools
from typing import Annotated, Any, Literal

import msgspec
import pytest

from arno.agent.errors import ToolDefinitionError
from arno.agent.tools import Tool, as_tools, tool
from arno.canon import request as canon


@tool
def weather(location: Annotated[str, "the city"]) -> str:
    """Get weather information for a location"""
    return f"sunny in {location}"


@dataclasses.dataclass
class Point:
    x: int
    y: int | None


@tool(name="plot-it", description="Draws", strict=True)
async def plot(points: list[Point | None], colour: Literal["red", "blue"]) -> None:
    """Not this text."""


class Adder:
    """Adds what it was made with."""

    def __init__(self, base: int) -> None:
        self.base = base

    def __call__(self, more: int) -> int:
        return self.base + more

    def add(self, more: int) -> int:
        """Add."""
        return self.base + more


class AsyncCallable:
    async def __call__(self) -> int:
        return 1


def test_definition_is_what_the_model_is_told() -> None:
    assert weather.definition == canon.Tool(
        name="weather",
        description="Get weather information for a location",
        parameters={
            "properties": {"location": {"description": "the city", "type": "string"}},
            "required": ["location"],
            "type": "object",
        },
        strict=False,
    )


def test_the_function_stays_callable_and_keeps_its_name() -> None:
    assert weather("Rome") == "sunny in Rome"
    assert (weather.name, weather.__doc__) == ("weather", weather.function.__doc__)
    assert repr(weather) == "Tool('weather')"


def test_docstring_parameters_become_descriptions() -> None:
    @tool
    def find(name: str, limit: int = 3) -> str:
        """Find it.

        Args:
            name: What it is called.
            limit: At most.
        """
        return name * limit

    assert find.description == "Find it."
    assert find.parameters["properties"] == {
        "name": {"description": "What it is called.", "type": "string"},
        "limit": {"description": "At most.", "type": "integer", "default": 3},
    }


def test_no_docstring_is_no_description() -> None:
    def silent() -> None: ...

    assert Tool(silent).definition.description is None


@pytest.mark.parametrize(
    ("function", "name", "description", "is_async"),
    [
        (weather.function, "weather", "Get weather information for a location", False),
        (plot.function, "plot", "Not this text.", True),
        (functools.partial(weather.function), "weather", weather.description, False),
        (functools.partial(plot.function, colour="red"), "plot", "Not this text.", True),
        (Adder(1), "Adder", "Adds what it was made with.", False),
        (Adder(1).add, "add", "Add.", False),
        (AsyncCallable(), "AsyncCallable", None, True),
    ],
)
def test_any_callable_can_be_a_tool(
    function: Any, name: str, description: str | None, is_async: bool
) -> None:
    made = Tool(function)
    assert (made.name, made.description, made.is_async) == (name, description, is_async)


def test_settings_override_what_the_function_says() -> None:
    assert (plot.name, plot.description, plot.strict) == ("plot-it", "Draws", True)


def test_strict_is_refused_at_decoration_where_it_cannot_hold() -> None:
    with pytest.raises(ToolDefinitionError, match="tool 'f': strict: a in the parameters"):

        @tool(strict=True)
        def f(a: int = 1) -> None: ...


def no_annotation(x):
    return x


def many(*values: int) -> None: ...


def keywords(**values: int) -> None: ...


def by_position(x: int, /) -> None: ...


def unknown(x) -> None: ...


unknown.__annotations__["x"] = "Nowhere"


def unsupported(x: complex) -> None: ...


DEFINITION_ERRORS = [
    (no_annotation, "tool 'no_annotation': parameter 'x' has no annotation"),
    (many, "parameter 'values': variadic positional"),
    (keywords, "parameter 'values': variadic keyword"),
    (by_position, "parameter 'x': positional-only"),
    (unknown, "tool 'unknown': an annotation cannot be read: name 'Nowhere' is not defined"),
    (unsupported, "parameter 'x': type <class 'complex'> is not supported"),
    (lambda: None, "a name has 1 to 64 letters"),
]


@pytest.mark.parametrize(("function", "message"), DEFINITION_ERRORS)
def test_a_signature_that_cannot_be_told_is_refused(function: Any, message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        tool(function)


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 65, "a.b", "a\n"])
def test_a_name_no_upstream_takes_is_refused(name: str) -> None:
    with pytest.raises(ToolDefinitionError, match="a name has"):
        Tool(weather.function, name=name)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"points": [], "colour": "red"}', {"points": [], "colour": "red"}),
        (
            '{"colour": "blue", "points": [{"x": 1, "y": null}, null]}',
            {"points": [Point(1, None), None], "colour": "blue"},
        ),
    ],
)
def test_arguments_are_converted_to_the_annotations(text: str, expected: dict[str, Any]) -> None:
    made = Tool(plot.function)
    assert made.decode(text) == expected


def test_empty_text_is_an_empty_object() -> None:
    def nothing(x: int = 3) -> int:
        return x

    assert Tool(nothing).decode("") == {}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", msgspec.DecodeError, "truncated"),
        ('{"location": "a"} x', msgspec.DecodeError, "trailing"),
        ("[]", msgspec.ValidationError, "Expected `object`, got `array`"),
        ("null", msgspec.ValidationError, "Expected `object`, got `null`"),
        ("{}", msgspec.ValidationError, "missing required field `location`"),
        (
            '{"location": 1}',
            msgspec.ValidationError,
            "Expected `str`, got `int` - at `\\$.location",
        ),
        ('{"location": "a", "b": 1}', msgspec.ValidationError, "unknown field `b`"),
        ('{"city": "a"}', msgspec.ValidationError, "unknown field `city`"),
    ],
)
def test_what_does_not_fit_is_named(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        weather.decode(text)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(int, '"1"'), (int, "1.5"), (int, "true"), (str, "1"), (bool, "1"), (float, '"1.0"')],
)
def test_types_are_not_bent(annotation: Any, text: str) -> None:
    def f(x): ...

    f.__annotations__["x"] = annotation
    with pytest.raises(msgspec.ValidationError, match=r"at `\$.x`"):
        Tool(f).decode(f'{{"x": {text}}}')


def test_plain_functions_become_tools_by_name() -> None:
    made = as_tools([weather, Adder(1).add])
    assert list(made) == ["weather", "add"]
    assert made["weather"] is weather


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="two tools have the name 'weather'"):
        as_tools([weather, weather.function])
