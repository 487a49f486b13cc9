"""Tools and how free the model is to call them: `tools` and `toolConfig`.

One wire tool holds many function declarations, or the settings of tools that the provider runs; the
note "@tool" says which canonical tools were one. `VALIDATED` is the mode in which the model may
answer in words, and every call fits its schema: what other wires call strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import Executor
from arno.canon.request import Request, Tool, ToolChoice, ToolChoiceMode
from arno.dialects.disclosure import foreign
from arno.dialects.gemini.residue import (
    DIALECT,
    give,
    is_native,
    keep,
    note,
    respell,
    spell,
    take_spelled,
)
from arno.dialects.gemini.schemas import json_schema
from arno.dialects.residue import Document

DECLARATIONS, SCHEMA, OLD_SCHEMA = "functionDeclarations", "parametersJsonSchema", "parameters"
CLIENTS = frozenset({"computerUse", "computer_use"})
"""Tools with a form of their own that are still the client's to run."""

AUTO, ANY, NONE, VALIDATED = "AUTO", "ANY", "NONE", "VALIDATED"
MODES = {
    AUTO: ToolChoiceMode.AUTO,
    ANY: ToolChoiceMode.REQUIRED,
    NONE: ToolChoiceMode.NONE,
    VALIDATED: ToolChoiceMode.AUTO,
}
WORDS = {
    ToolChoiceMode.AUTO: AUTO,
    ToolChoiceMode.REQUIRED: ANY,
    ToolChoiceMode.NAMED: ANY,
    ToolChoiceMode.NONE: NONE,
}


def decode_tools(value: Json) -> tuple[Tool, ...]:
    """The tools. Raises RequestError naming the tool."""
    if not isinstance(value, list):
        raise RequestError("tools must be an array", "tools")
    tools: list[Tool] = []
    for number, wire in enumerate(value):
        if not isinstance(wire, Mapping):
            raise RequestError("a tool must be an object", f"tools[{number}]")
        tools += _decode_tool(wire, number)
    return tuple(tools)


def _decode_tool(wire: Mapping[str, Json], number: int) -> list[Tool]:
    members = spell(wire, (DECLARATIONS,))
    place = {"@tool": number, **{k: v for k, v in members.items() if k.startswith("@")}}
    tools: list[Tool] = []
    for member, value in members.items():
        if member == DECLARATIONS and isinstance(value, list):
            path = f"tools[{number}].{DECLARATIONS}"
            tools += [_decode_function(each, f"{path}[{n}]", place) for n, each in enumerate(value)]
            if not value:
                tools.append(_provided(DECLARATIONS, value, place))
        elif not member.startswith("@"):
            tools.append(_provided(member, value, place))
    return tools


def _provided(member: str, settings: Json, place: Document) -> Tool:
    executor = Executor.CLIENT if member in CLIENTS else Executor.PROVIDER
    kept = keep({**place, member: settings})
    return Tool(name=member, kind="provider", type=member, executor=executor, ext=kept)


def _decode_function(wire: Json, path: str, place: Document) -> Tool:
    if not isinstance(wire, Mapping):
        raise RequestError("a function declaration must be an object", path)
    values, rest = take_spelled(wire, "name", "description", SCHEMA, OLD_SCHEMA)
    if not isinstance(values.get("name"), str):
        raise RequestError("a function needs a name", f"{path}.name")
    if not isinstance(values.get("description", ""), str):
        raise RequestError("it must be a string", f"{path}.description")
    notes = {"@." + k[1:]: v for k, v in rest.items() if k.startswith("@")}
    kept = {k: v for k, v in rest.items() if not k.startswith("@")}
    parameters = values.get(SCHEMA)
    if parameters is None and OLD_SCHEMA in values:
        parameters = json_schema(values[OLD_SCHEMA])
        notes["@parameters"] = values[OLD_SCHEMA]
    elif OLD_SCHEMA in values:
        kept[OLD_SCHEMA] = values[OLD_SCHEMA]
    return Tool(
        name=values["name"],
        description=values.get("description"),
        parameters=parameters,
        ext=keep({**kept, **notes, **place}),
    )


def encode_tools(request: Request, losses: list[Loss]) -> list[Document]:
    """The wire tools. Raises RequestError for a tool of free text, which this wire has not."""
    groups: dict[object, Document] = {}
    for number, tool in enumerate(request.tools):
        path = f"/tools/{number}"
        losses += foreign(tool.ext, DIALECT, f"{path}/ext") if tool.kind != "provider" else []
        if tool.cache is not None:
            losses.append(Loss(f"{path}/cache", "dropped", "this wire caches without marks"))
        if tool.deferred:
            losses.append(Loss(f"{path}/deferred", "dropped", "this wire loads all tools at once"))
        if tool.kind == "custom":
            why = "this wire has tools with a JSON schema only"
            raise RequestError(why, f"{path}/format")
        native = is_native(tool.ext)
        group = groups.setdefault(note(tool.ext, "tool") if native else None, {})
        if tool.kind == "provider" and native:
            group.update(give(tool.ext))
        elif tool.kind == "provider":
            losses.append(Loss(path, "dropped", "a tool that another provider runs"))
        else:
            group.setdefault(DECLARATIONS, []).append(_encode_function(tool))
            if note(tool.ext, "snake"):
                group["@snake"] = note(tool.ext, "snake")
    return [respell(group, group.pop("@snake", None)) for group in groups.values() if group]


def _encode_function(tool: Tool) -> Document:
    document: Document = {"name": tool.name}
    if tool.description is not None:
        document["description"] = tool.description
    old = note(tool.ext, "parameters")
    if old is not None:
        document[OLD_SCHEMA] = old
    elif tool.parameters is not None:
        document[SCHEMA] = tool.parameters
    return respell({**document, **give(tool.ext)}, note(tool.ext, ".snake"))


def decode_tool_config(value: Json, fields: dict[str, Any], residue: Document) -> None:
    """`toolConfig` into `fields` (tool_choice, strict tools); the rest stays residue."""
    if not isinstance(value, Mapping):
        raise RequestError("toolConfig must be an object", "toolConfig")
    values, rest = take_spelled(value, "functionCallingConfig")
    residue["@toolConfig"] = rest.pop("@snake", ())
    residue["toolConfig"] = rest
    calling = values.get("functionCallingConfig")
    if not isinstance(calling, Mapping):
        rest.update({} if calling is None else {"functionCallingConfig": calling})
        return
    inner, below = take_spelled(calling, "mode", "allowedFunctionNames")
    mode, names = inner.get("mode"), inner.get("allowedFunctionNames", [])
    if mode not in MODES or not isinstance(names, list):
        rest["functionCallingConfig"] = calling
        return
    residue["@mode"] = mode
    residue["@calling"] = below.pop("@snake", ())
    rest["functionCallingConfig"] = below
    fields["tool_choice"] = _choice(MODES[mode], tuple(map(str, names)))
    if mode == VALIDATED:
        fields["tools"] = tuple(map(_strict, fields.get("tools", ())))


def _choice(mode: ToolChoiceMode, names: tuple[str, ...]) -> ToolChoice:
    if mode is ToolChoiceMode.REQUIRED and len(names) == 1:
        return ToolChoice(ToolChoiceMode.NAMED, names)
    return ToolChoice(mode, names)


def _strict(tool: Tool) -> Tool:
    return msgspec.structs.replace(tool, strict=True) if tool.kind == "function" else tool


def encode_tool_config(request: Request, document: Document, losses: list[Loss]) -> None:
    """Write the choice into `document["toolConfig"]`, over whatever was kept there."""
    config = dict(document.get("toolConfig") or {})
    choice = request.tool_choice
    functions = [(n, tool) for n, tool in enumerate(request.tools) if tool.kind == "function"]
    strict = any(tool.strict for _, tool in functions)
    if choice is None and strict:
        choice = ToolChoice(ToolChoiceMode.AUTO)
    if choice is not None:
        kept = config.get("functionCallingConfig")
        calling: Document = dict(kept) if isinstance(kept, Mapping) else {}
        calling["mode"] = note(request.ext, "mode") or _mode(choice, strict=strict)
        if choice.names:
            calling["allowedFunctionNames"] = list(choice.names)
        config["functionCallingConfig"] = respell(calling, note(request.ext, "calling"))
        if calling["mode"] == VALIDATED and strict:
            losses += [
                Loss(f"/tools/{n}/strict", "approximated", "strict for one is strict for all here")
                for n, tool in functions
                if not tool.strict
            ]
    if config or "toolConfig" in document:
        document["toolConfig"] = respell(config, note(request.ext, "toolConfig"))


def _mode(choice: ToolChoice, *, strict: bool) -> str:
    """Only ANY and VALIDATED may be limited to some tools."""
    word = WORDS[choice.mode]
    return VALIDATED if word == AUTO and (strict or choice.names) else word
