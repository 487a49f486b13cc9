"""Tools, the choice between them, and the shape of the answer.

A tool without a type is the client's own, with a JSON Schema of an object; one with a type belongs
to the vendor, who may run it, and is a document of this dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.ids import from_wire, is_reversible, to_wire
from arno.canon.parts import Executor
from arno.canon.request import Output, Request, Tool, ToolChoice, ToolChoiceMode
from arno.dialects.disclosure import foreign
from arno.dialects.messages.content import NAMES
from arno.dialects.messages.residue import (
    DIALECT,
    give,
    is_native,
    keep,
    note,
    take_cache,
    write_cache,
)
from arno.dialects.residue import Document, take

CLIENTS_TYPES = ("bash_", "computer_", "memory_", "text_editor_")
"""How the types of the vendor's tools begin that the client runs."""

NO_INPUT: Document = {"type": "object", "properties": {}}
"""The schema of a tool that takes nothing."""

MODES: dict[str, ToolChoiceMode] = {
    "auto": ToolChoiceMode.AUTO,
    "any": ToolChoiceMode.REQUIRED,
    "none": ToolChoiceMode.NONE,
    "tool": ToolChoiceMode.NAMED,
}
TYPES: dict[ToolChoiceMode, str] = {mode: type_ for type_, mode in MODES.items()}
_ONE_CALL = "disable_parallel_tool_use"


def decode_tools(residue: Document, fields: dict[str, Any]) -> None:
    """The tools of a request. Raises RequestError naming the tool that is none."""
    tools = residue.get("tools")
    if isinstance(tools, list) and tools:
        del residue["tools"]
        fields["tools"] = tuple(_decode_tool(tool, n) for n, tool in enumerate(tools))


def _decode_tool(tool: Json, number: int) -> Tool:
    path = f"tools[{number}]"
    if not isinstance(tool, Mapping):
        raise RequestError("a tool must be an object", path)
    type_ = tool.get("type")
    if type_ not in (None, "", "custom"):
        return _decode_vendors(tool, str(type_))
    values, residue = take(tool, "name", "description", "input_schema", "strict")
    if not isinstance(values.get("name"), str):
        raise RequestError("a tool needs a name", f"{path}.name")
    for name, expected in (("description", str), ("input_schema", dict), ("strict", bool)):
        if not isinstance(values.get(name, expected()), expected):
            raise RequestError(f"{name} has another type than it must have", f"{path}.{name}")
    deferred = residue.pop("defer_loading", None) if tool.get("defer_loading") is True else None
    cache = take_cache(residue)
    return Tool(
        name=from_wire(values["name"]),
        description=values.get("description"),
        parameters=values.get("input_schema"),
        strict=values.get("strict"),
        deferred=bool(deferred),
        cache=cache,
        ext=keep(residue),
    )


def _decode_vendors(tool: Mapping[str, Json], type_: str) -> Tool:
    residue = dict(tool)
    cache = take_cache(residue)
    name = tool.get("name")
    runs_here = type_.startswith(CLIENTS_TYPES)
    return Tool(
        name=name if isinstance(name, str) and name else type_,
        kind="provider",
        type=type_,
        executor=Executor.CLIENT if runs_here else Executor.PROVIDER,
        cache=cache,
        ext=keep(residue),
    )


def encode_tools(tools: tuple[Tool, ...]) -> tuple[list[Document], list[Loss]]:
    """The tools as this wire has them, and what is lost. Raises RequestError for custom tools."""
    documents: list[Document] = []
    losses: list[Loss] = []
    for number, tool in enumerate(tools):
        path = f"/tools/{number}"
        if tool.kind == "provider" and not is_native(tool.ext):
            why = f"the tool {tool.type or tool.name} belongs to another vendor"
            losses.append(Loss(path, "dropped", why))
            continue
        document, lost = _encode_tool(tool, path)
        documents.append(write_cache(document, tool.cache))
        losses += lost + foreign(tool.ext, DIALECT, path)
    return documents, losses


def _encode_tool(tool: Tool, path: str) -> tuple[Document, list[Loss]]:
    document = give(tool.ext)
    if tool.kind == "provider":
        return document, []
    if tool.kind != "function":
        member = "format" if tool.format is not None else "kind"
        why = "the wire has tools with a JSON schema only"
        raise RequestError(f"the tool {tool.name} cannot be carried: {why}", f"{path}/{member}")
    if not is_reversible(tool.name, NAMES):
        raise RequestError("a tool's name is too long for this upstream", f"{path}/name")
    document["name"] = to_wire(tool.name, NAMES)
    if tool.description is not None:
        document["description"] = tool.description
    schema, losses = _schema(tool, path)
    if schema is not None:
        document["input_schema"] = schema
    if tool.strict is not None and (tool.strict or is_native(tool.ext)):
        document["strict"] = tool.strict
    if tool.deferred:
        document["defer_loading"] = True
    return document, losses


def _schema(tool: Tool, path: str) -> tuple[Json, list[Loss]]:
    """The schema, which must be one of an object (R17); what is none is wrapped or completed."""
    schema = tool.parameters
    if is_native(tool.ext):
        return schema, []
    if is_empty(schema):
        return NO_INPUT, []
    if isinstance(schema, Mapping) and schema.get("type") == "object":
        return schema, []
    loss = Loss(f"{path}/parameters", "approximated", "a messages tool takes an object")
    if isinstance(schema, Mapping) and _may_be_object(schema.get("type")):
        return {**schema, "type": "object"}, [loss]
    why = "a messages tool takes an object: what is none cannot be asked for"
    raise RequestError(f"the schema of {tool.name} cannot be carried: {why}", f"{path}/parameters")


def _may_be_object(type_: Json) -> bool:
    return type_ is None or (isinstance(type_, list) and "object" in type_)


def decode_choice(residue: Document, fields: dict[str, Any]) -> None:
    """`tool_choice`, which also says whether several calls may come at once."""
    choice = residue.get("tool_choice")
    if not isinstance(choice, Mapping) or str(choice.get("type")) not in MODES:
        return
    mode, name = MODES[str(choice["type"])], choice.get("name")
    if mode is ToolChoiceMode.NAMED and not isinstance(name, str):
        raise RequestError("tool_choice needs the name of a tool", "tool_choice.name")
    rest = {k: v for k, v in choice.items() if k not in ("type", "name", _ONE_CALL)}
    one = choice.get(_ONE_CALL)
    if mode is not ToolChoiceMode.NAMED and "name" in choice:
        rest["name"] = name
    if isinstance(one, bool):
        fields["parallel_tool_calls"] = not one
    elif _ONE_CALL in choice:
        rest[_ONE_CALL] = one
    residue["tool_choice"] = rest
    if not rest:
        del residue["tool_choice"]
    names = (from_wire(name),) if mode is ToolChoiceMode.NAMED and isinstance(name, str) else ()
    fields["tool_choice"] = ToolChoice(mode, names)


def encode_choice(request: Request, document: Document) -> list[Loss]:
    """Write the choice; kept members of it are in `document`. Raises RequestError for names."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is not None and choice.names and choice.mode is not ToolChoiceMode.NAMED:
        raise RequestError("the wire limits the choice to one tool or none", "/tool_choice/names")
    if choice is None and (parallel is None or (parallel and not is_native(request.ext))):
        return []
    if not (document.get("tools") or is_native(request.ext)):
        return _without_tools(request)
    mode = ToolChoiceMode.AUTO if choice is None else choice.mode
    members: Document = {"type": TYPES[mode]}
    if choice is not None and choice.names:
        members["name"] = to_wire(choice.names[0], NAMES)
    native = is_native(request.ext)
    if parallel is not None and (native or mode is not ToolChoiceMode.NONE):
        members[_ONE_CALL] = not parallel
    document["tool_choice"] = {**document.get("tool_choice", {}), **members}
    return []


def _without_tools(request: Request) -> list[Loss]:
    """No tools are there to choose from, which the wire refuses to be asked about."""
    choice = request.tool_choice
    if choice is not None and choice.mode not in (ToolChoiceMode.AUTO, ToolChoiceMode.NONE):
        raise RequestError("a tool is to be called, and there is none to call", "/tool_choice")
    said = {"/tool_choice": choice, "/parallel_tool_calls": request.parallel_tool_calls}
    why = "no tools are left to choose from"
    lost = [path for path, value in said.items() if value is not None and request.tools]
    return [Loss(path, "dropped", why) for path in lost]


def decode_output(residue: Document, fields: dict[str, Any]) -> None:
    """The schema of the answer: `output_config.format`, or the older `output_format`."""
    config = residue.get("output_config")
    found = config.get("format") if isinstance(config, Mapping) else None
    output = _output(found, "output_config")
    if output is not None and isinstance(config, Mapping):
        residue["output_config"] = {k: v for k, v in config.items() if k != "format"}
        fields["output"] = output
        return
    output = _output(residue.get("output_format"), "output_format")
    if output is not None:
        del residue["output_format"]
        fields["output"] = output


def _output(format_: Json, member: str) -> Output | None:
    """The shape that a format asks for, None if it is none this dialect knows."""
    if not isinstance(format_, Mapping) or format_.get("type") != "json_schema":
        return None
    values, rest = take(format_, "type", "schema")
    return Output(kind="schema", schema=values.get("schema"), ext=keep({**rest, "@member": member}))


def encode_output(output: Output) -> tuple[Document, list[Loss]]:
    """The member for the shape of the answer. Raises RequestError for JSON without a schema."""
    if output.kind == "text":
        return {}, []
    if output.kind != "schema":
        why = "the wire promises JSON of a given schema only"
        raise RequestError(f"the format cannot be carried: {why}", "/output/kind")
    format_: Document = {"type": "json_schema", **give(output.ext)}
    if output.schema is not None or "schema" not in format_:
        format_["schema"] = output.schema
    losses = foreign(output.ext, DIALECT, "/output")
    if note(output.ext, "member") == "output_format":
        return {"output_format": format_}, losses
    return {"output_config": {"format": format_}}, losses
