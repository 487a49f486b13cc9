"""Tools: typed functions that a model may call.

    @tool
    def weather(location: Annotated[str, "the city"]) -> str:
        "Get weather information for a location"
        return look_up(location)

The annotations are the schema, the docstring is the description. The function stays callable.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar, overload

import msgspec

from arno.agent.docstring import parse_docstring
from arno.agent.errors import ToolDefinitionError
from arno.agent.schema import MISSING, Parameter, Schema, arguments_schema, arguments_type
from arno.canon import request as canon

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class Tool(Generic[P, R]):
    """A function with what a model needs to call it.

    name, description; parameters: the JSON Schema document; strict: the upstream is asked to
    enforce the schema; function: the function itself, sync (run in a thread) or async.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        strict: bool = False,
    ) -> None:
        self.function = function
        self.name = name if name is not None else _name_of(function)
        if not _NAME.fullmatch(self.name):
            raise ToolDefinitionError(
                f"tool {self.name!r}: a name has 1 to 64 letters, digits, `_` or `-`"
            )
        self.strict = strict
        self.is_async = _is_async(function)
        documentation = parse_docstring(_docstring_of(function))
        self.description = description if description is not None else documentation.summary
        try:
            parameters = _parameters(function, documentation.parameters)
            self.parameters: Schema = arguments_schema(parameters, strict=strict)
            self._decoder = msgspec.json.Decoder(arguments_type(parameters))
        except ToolDefinitionError as error:
            raise ToolDefinitionError(f"tool {self.name!r}: {error}") from error
        functools.update_wrapper(self, function, updated=())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, as if it were no tool."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    @property
    def definition(self) -> canon.Tool:
        """What the model is told."""
        return canon.Tool(self.name, self.description, self.parameters, self.strict)

    def decode(self, arguments: str) -> dict[str, Any]:
        """The keyword arguments that `arguments` (JSON text) spells, checked and converted.

        "" counts as {}. Raises msgspec.DecodeError (not JSON) or msgspec.ValidationError (does
        not fit), or what a class of the caller's own raises while it is built.
        """
        values = self._decoder.decode(arguments or "{}")
        given = {name: getattr(values, name) for name in values.__struct_fields__}
        return {name: value for name, value in given.items() if value is not MISSING}


@overload
def tool(function: Callable[P, R], /) -> Tool[P, R]: ...


@overload
def tool(
    *, name: str | None = None, description: str | None = None, strict: bool = False
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...


def tool(
    function: Callable[P, R] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    strict: bool = False,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a function a tool; plain `@tool` or with settings, `@tool(name=..., strict=True)`.

    Raises ToolDefinitionError if the signature cannot be told to a model.
    """

    def make(decorated: Callable[P, R]) -> Tool[P, R]:
        return Tool(decorated, name=name, description=description, strict=strict)

    return make if function is None else make(function)


def as_tools(functions: Sequence[Callable[..., Any]]) -> dict[str, Tool[..., Any]]:
    """The tools by name; plain functions become tools. Raises ToolDefinitionError."""
    tools: dict[str, Tool[..., Any]] = {}
    for function in functions:
        made = function if isinstance(function, Tool) else Tool(function)
        if made.name in tools:
            raise ToolDefinitionError(f"two tools have the name {made.name!r}")
        tools[made.name] = made
    return tools


def _name_of(function: Callable[..., Any]) -> str:
    inner = function.func if isinstance(function, functools.partial) else function
    return getattr(inner, "__name__", type(inner).__name__)


def _docstring_of(function: Callable[..., Any]) -> str | None:
    """The function's own words, not those of the class of a callable object's wrapper."""
    if isinstance(function, functools.partial):
        return _docstring_of(function.func)
    return function.__doc__


def _is_async(function: Callable[..., Any]) -> bool:
    """Seen through partials; a callable object is what its `__call__` is."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        type(function).__call__
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    inner = function.func if isinstance(function, functools.partial) else function
    if not (inspect.isroutine(inner) or isinstance(inner, type)):
        inner = type(inner).__call__
    try:
        return typing.get_type_hints(inner, include_extras=True)
    except (NameError, TypeError) as error:
        raise ToolDefinitionError(f"an annotation cannot be read: {error}") from error


def _parameters(
    function: Callable[..., Any], descriptions: dict[str, str]
) -> tuple[Parameter, ...]:
    hints = _hints(function)
    found: list[Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in _BY_KEYWORD:
            raise ToolDefinitionError(
                f"parameter {name!r}: {parameter.kind.description} parameters"
                " have no place in a JSON object"
            )
        if name not in hints:
            raise ToolDefinitionError(f"parameter {name!r} has no annotation")
        default = MISSING if parameter.default is parameter.empty else parameter.default
        found.append(Parameter(name, hints[name], default, descriptions.get(name)))
    return tuple(found)
