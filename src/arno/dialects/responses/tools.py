"""Tools, the choice between them, and the shape of the output asked for, both ways.

Functions and custom tools are every dialect's; the others are tools of this wire (`kind` provider,
their settings in `ext`). Source: OpenAI API reference, "Create a model response".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import Executor
from arno.canon.request import Output, Tool, ToolChoice, ToolChoiceMode
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document, take, text
from arno.dialects.responses.residue import DIALECT, give, is_native, keep

SHARED = ("function", "custom")
"""Types of tools that every dialect may have."""

CLIENT_RUN = frozenset(
    {"computer", "computer_use_preview", "local_shell", "apply_patch", "namespace"}
)
"""Types of this wire's tools that the client runs; `shell` and `tool_search` say it themselves."""

PLAIN_CHOICES = ("auto", "none", "required")
OUTPUT_KINDS = {"text": "text", "json_object": "json", "json_schema": "schema"}
OUTPUT_TYPES = {kind: type_ for type_, kind in OUTPUT_KINDS.items()}
DEFAULT_NAME = "answer"
"""What a schema is called whose dialect gives it no name."""


def decode_tools(tools: Json) -> tuple[Tool, ...]:
    """The tools of a request. Raises RequestError naming the tool."""
    if not isinstance(tools, list):
        raise RequestError("tools must be an array", "tools")
    return tuple(_decode_tool(tool, f"tools[{number}]") for number, tool in enumerate(tools))


def _decode_tool(tool: Json, path: str) -> Tool:
    if not isinstance(tool, Mapping):
        raise RequestError("a tool must be an object", path)
    type_ = text(tool.get("type"))
    if type_ is None:
        raise RequestError("a tool needs a type", f"{path}.type")
    if type_ not in SHARED:
        return Tool(
            name=type_,
            kind="provider",
            type=type_,
            executor=_executor(type_, tool),
            ext=keep(dict(tool)),
        )
    members = ("name", "description", "strict", "parameters" if type_ == "function" else "format")
    values, residue = take(tool, *members)
    if not isinstance(values.get("name"), str):
        raise RequestError("a tool needs a name", f"{path}.name")
    for name, expected in (("description", str), ("strict", bool)):
        if not isinstance(values.get(name), expected | None):
            raise RequestError(f"{name} has the wrong type", f"{path}.{name}")
    deferred = residue.get("defer_loading") is True
    if deferred:
        del residue["defer_loading"]
    return Tool(kind=type_, deferred=deferred, ext=keep(residue), **values)


def _executor(type_: str, tool: Mapping[str, Json]) -> Executor:
    if type_ == "tool_search":
        return Executor.CLIENT if tool.get("execution") == "client" else Executor.PROVIDER
    if type_ == "shell":
        environment = tool.get("environment")
        hosted = isinstance(environment, Mapping) and environment.get("type") != "local"
        return Executor.PROVIDER if hosted else Executor.CLIENT
    return Executor.CLIENT if type_ in CLIENT_RUN else Executor.PROVIDER


def encode_tools(tools: Sequence[Tool]) -> tuple[list[Json], list[Loss]]:
    """The tools as this wire writes them, without those that only another dialect has."""
    documents: list[Json] = []
    losses: list[Loss] = []
    for number, tool in enumerate(tools):
        path = f"/tools/{number}"
        losses += foreign(tool.ext, DIALECT, path)
        if tool.kind not in SHARED and not is_native(tool.ext):
            losses.append(Loss(path, "dropped", f"this wire has no tool {tool.type or tool.kind}"))
            continue
        if tool.cache is not None:
            why = "this wire caches long prompts by itself"
            losses.append(Loss(f"{path}/cache", "dropped", why))
        documents.append(_encode_tool(tool))
    return documents, losses


def _encode_tool(tool: Tool) -> Document:
    native = is_native(tool.ext)
    document: Document = give(tool.ext) if native else {"type": tool.kind}
    if tool.kind not in SHARED:
        return document
    members: Document = {"name": tool.name, "description": tool.description}
    if tool.kind == "function":
        members |= {"parameters": tool.parameters, "strict": tool.strict}
    else:
        members["format"] = _flat(tool.format)
    document.update({key: value for key, value in members.items() if value is not None})
    if tool.kind == "function" and not native:
        # Both are required here; left out, this wire would take strict for true.
        document.setdefault("parameters", None)
        document.setdefault("strict", False)
    if tool.deferred:
        document["defer_loading"] = True
    return document


def _flat(format_: Json) -> Json:
    """The format of a custom tool's input; the chat wire puts a grammar one level deeper."""
    if isinstance(format_, Mapping) and isinstance(format_.get("grammar"), Mapping):
        return {**{k: v for k, v in format_.items() if k != "grammar"}, **format_["grammar"]}
    return format_


def decode_choice(residue: Document, fields: dict[str, Any]) -> None:
    """`tool_choice`: a word, one tool, or a word with the tools it is limited to."""
    choice = residue.get("tool_choice")
    if isinstance(choice, str) and choice in PLAIN_CHOICES:
        fields["tool_choice"] = ToolChoice(ToolChoiceMode(residue.pop("tool_choice")))
    elif isinstance(choice, Mapping):
        fields["tool_choice"] = _decode_object(choice)
        residue["@tool_choice"] = residue.pop("tool_choice")
    elif choice is not None:
        raise RequestError("tool_choice is no choice of this wire", "tool_choice")


def _decode_object(choice: Mapping[str, Json]) -> ToolChoice:
    if choice.get("type") == "allowed_tools":
        tools = choice.get("tools")
        mode = choice.get("mode", "auto")
        if mode not in PLAIN_CHOICES or not isinstance(tools, list):
            raise RequestError("allowed_tools needs a mode and tools", "tool_choice")
        return ToolChoice(ToolChoiceMode(mode), tuple(_name_of(tool) for tool in tools))
    return ToolChoice(ToolChoiceMode.NAMED, (_name_of(choice),))


def _name_of(choice: Json) -> str:
    """The name of the tool that is meant; tools of this wire go by their type."""
    found = choice if isinstance(choice, Mapping) else {}
    type_, name = text(found.get("type")), text(found.get("name"))
    name = name if type_ in SHARED else type_
    if name is None:
        raise RequestError("tool_choice names no tool", "tool_choice")
    return name


def encode_choice(choice: ToolChoice, tools: Sequence[Tool], noted: Json) -> Json:
    """The member; noted: the document it was decoded from, written as it was where it still says
    the same."""
    if isinstance(noted, Mapping) and _decode_object(noted) == choice:
        return dict(noted)
    if choice.mode is ToolChoiceMode.NAMED and choice.names:
        return _tool_named(choice.names[0], tools)
    if choice.names:
        allowed = [_tool_named(name, tools) for name in choice.names]
        return {"type": "allowed_tools", "mode": choice.mode.value, "tools": allowed}
    return choice.mode.value


def _tool_named(name: str, tools: Sequence[Tool]) -> Document:
    """How one tool is named. Raises RequestError for one that this wire does not have."""
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is None or tool.kind in SHARED:
        return {"type": "function" if tool is None else tool.kind, "name": name}
    if not is_native(tool.ext):
        raise RequestError(f"this wire has no tool {name}", "/tool_choice")
    return {"type": tool.type or name}


def decode_text(residue: Document, fields: dict[str, Any]) -> None:
    """`text`: the shape of the output, and how long answers shall be."""
    document = residue.get("text")
    if not isinstance(document, Mapping):
        return
    rest = dict(document)
    if isinstance(rest.get("verbosity"), str) and rest["verbosity"]:
        fields["verbosity"] = rest.pop("verbosity")
    output = _decode_format(rest.get("format"))
    if output is not None:
        fields["output"] = output
        del rest["format"]
    residue["text"] = rest


def _decode_format(format_: Json) -> Output | None:
    kind = OUTPUT_KINDS.get(str(format_.get("type"))) if isinstance(format_, Mapping) else None
    if kind is None or not isinstance(format_, Mapping):
        return None
    values, residue = take(format_, "type", "schema", "name", "strict")
    values.pop("type")
    return Output(kind=kind, ext=keep(residue), **values)


def encode_text(
    output: Output | None, verbosity: str | None, kept: Json
) -> tuple[Document, list[Loss]]:
    """The member `text`, with what was kept of it; {} for nothing to say."""
    document: Document = dict(kept) if isinstance(kept, Mapping) else {}
    losses: list[Loss] = []
    if output is not None:
        losses = foreign(output.ext, DIALECT, "/output")
        document["format"] = _encode_format(output)
    if verbosity is not None:
        document["verbosity"] = verbosity
    return document, losses


def _encode_format(output: Output) -> Document:
    members = {"name": output.name, "schema": output.schema, "strict": output.strict}
    known = {key: value for key, value in members.items() if value is not None}
    if output.kind == "schema" and not is_native(output.ext):
        known.setdefault("name", DEFAULT_NAME)
    return {**give(output.ext), "type": OUTPUT_TYPES[output.kind], **known}
