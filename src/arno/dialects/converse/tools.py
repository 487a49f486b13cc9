"""Tools and the choice between them: `toolConfig`. Source: API reference, ToolConfiguration.

The wire cannot say "no tool now". Without any tool the model calls none, so the tools are left out,
unless the conversation holds calls, which the wire refuses without their tools. A request that has
calls and no tools offers stand-ins, which say that they are not to be called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.canon.parts import CacheHint, Executor, ToolCallPart, ToolResultPart
from arno.canon.request import Request, Tool, ToolChoice, ToolChoiceMode
from arno.dialects.converse.blocks_encode import cache_point
from arno.dialects.converse.residue import DIALECT, give, is_native, keep
from arno.dialects.converse.writing import Writing
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document, take

NO_PARAMETERS: Document = {"type": "object", "properties": {}}
CHOICES: dict[str, ToolChoiceMode] = {
    "auto": ToolChoiceMode.AUTO,
    "any": ToolChoiceMode.REQUIRED,
    "tool": ToolChoiceMode.NAMED,
}
UNKNOWN = "unknown"
STAND_IN = "Not available any more; do not call it. It was called earlier in the conversation."
"""The description of a tool that is there since the conversation holds calls of it."""

WORDS: dict[ToolChoiceMode, str] = {mode: word for word, mode in CHOICES.items()}


def decode_tools(residue: Document, fields: dict[str, Any]) -> None:
    """Take tools and choice out of the residue of a request. Raises RequestError."""
    config = residue.get("toolConfig")
    if not isinstance(config, Mapping):
        return
    values, rest = take(config, "tools", "toolChoice")
    if not isinstance(values.get("tools", []), list):
        raise RequestError("tools must be an array", "toolConfig.tools")
    tools: list[Tool] = []
    for number, wire in enumerate(values.get("tools", [])):
        hint = _cache_point(wire)
        if hint is not None and tools and tools[-1].cache is None:
            tools[-1] = msgspec.structs.replace(tools[-1], cache=hint)
        else:
            tools.append(_decode_tool(wire, number))
    fields["tools"] = tuple(tools)
    choice = _decode_choice(values.get("toolChoice"))
    if choice is not None:
        fields["tool_choice"] = choice
    elif "toolChoice" in values:
        rest["toolChoice"] = values["toolChoice"]
    del residue["toolConfig"]
    if rest or not tools:
        residue["toolConfig"] = rest


def _cache_point(wire: Json) -> CacheHint | None:
    point = wire.get("cachePoint") if isinstance(wire, Mapping) and len(wire) == 1 else None
    if not isinstance(point, Mapping) or point.get("type") != "default":
        return None
    if point.keys() - {"type", "ttl"} or not isinstance(point.get("ttl", ""), str):
        return None
    return CacheHint(ttl=point.get("ttl"))


def _decode_tool(wire: Json, number: int) -> Tool:
    if not isinstance(wire, Mapping):
        raise RequestError("a tool must be an object", f"toolConfig.tools[{number}]")
    spec = wire.get("toolSpec")
    if not isinstance(spec, Mapping):
        return _provider_tool(wire)
    values, rest = take(spec, "name", "description", "strict")
    schema = spec.get("inputSchema")
    parameters: Json = None
    if isinstance(schema, Mapping) and schema.keys() == {"json"}:
        parameters = schema["json"]
        del rest["inputSchema"]
    if not isinstance(values.get("name"), str):
        raise RequestError("a tool needs a name", f"toolConfig.tools[{number}].toolSpec.name")
    try:
        known = msgspec.convert({**values, "parameters": parameters}, _Spec)
    except msgspec.ValidationError as error:
        raise RequestError(str(error), f"toolConfig.tools[{number}].toolSpec") from error
    outer = {k: v for k, v in wire.items() if k != "toolSpec"}
    return Tool(
        name=known.name,
        description=known.description,
        parameters=parameters,
        strict=known.strict,
        ext=keep({**outer, "toolSpec": rest}),
    )


class _Spec(msgspec.Struct):
    """The types that members of a tool must have."""

    name: str
    description: str | None = None
    strict: bool | None = None
    parameters: Json = None


def _provider_tool(wire: Mapping[str, Json]) -> Tool:
    """A tool of the provider's own, and any other kind of entry."""
    kind = next(iter(wire), "")
    inner = wire.get(kind)
    name = inner.get("name") if isinstance(inner, Mapping) else None
    return Tool(
        name=name if isinstance(name, str) else kind,
        kind="provider",
        type=kind,
        executor=Executor.PROVIDER,
        ext=keep(dict(wire)),
    )


def _decode_choice(choice: Json) -> ToolChoice | None:
    if not isinstance(choice, Mapping) or len(choice) != 1:
        return None
    ((word, inner),) = choice.items()
    if word == "tool" and isinstance(inner, Mapping) and inner.keys() == {"name"}:
        name = inner["name"]
        return ToolChoice(ToolChoiceMode.NAMED, (name,)) if isinstance(name, str) else None
    return ToolChoice(CHOICES[word]) if word in ("auto", "any") and inner == {} else None


def encode_tools(request: Request, document: Document, writing: Writing) -> None:
    """Write tools and choice. Raises RequestError for a choice that the wire cannot promise."""
    config: Document = {}
    tools = _written_tools(request, writing)
    if request.tool_choice is not None:
        choice = _encode_choice(request.tool_choice, request, has_tools=bool(tools))
        if choice is None and request.tool_choice.mode is ToolChoiceMode.NONE and tools:
            writing.approximate("/tool_choice", "no tool may be called, so none is offered")
            return
        if choice is not None:
            config["toolChoice"] = choice
    if not tools and _has_calls(request) and not is_native(request.ext):
        tools = _stand_ins(request)
        writing.approximate("/tools", "the wire wants the tools of the calls in the conversation")
    if tools:
        config = {"tools": tools, **config}
    if config:
        kept = document.get("toolConfig")
        document["toolConfig"] = {**(kept if isinstance(kept, Mapping) else {}), **config}


def _stand_ins(request: Request) -> list[Json]:
    """One for each tool that was called."""
    parts = [part for message in request.messages for part in message.parts]
    names = [part.name for part in parts if isinstance(part, ToolCallPart)] or [UNKNOWN]
    return [
        {
            "toolSpec": {
                "name": name,
                "description": STAND_IN,
                "inputSchema": {"json": NO_PARAMETERS},
            }
        }
        for name in dict.fromkeys(names)
    ]


def _written_tools(request: Request, writing: Writing) -> list[Json]:
    tools: list[Json] = []
    for number, tool in enumerate(request.tools):
        path = f"/tools/{number}"
        written = _encode_tool(tool, path, writing)
        if written is None:
            continue
        tools.append(written)
        if tool.cache is not None:
            tools.append(cache_point(tool.cache, path, writing))
    return tools


def _encode_tool(tool: Tool, path: str, writing: Writing) -> Document | None:
    native = is_native(tool.ext)
    if tool.kind == "provider" and native:
        return give(tool.ext)
    if tool.kind == "custom":
        member = "format" if tool.format is not None else "kind"
        raise RequestError("the wire has tools with a JSON schema only", f"{path}/{member}")
    if tool.kind == "provider":
        writing.drop(path, "a tool of another provider")
        return None
    writing.losses += foreign(tool.ext, DIALECT, path)
    if tool.deferred:
        writing.drop(f"{path}/deferred", "the wire loads all tools at once")
    outer = give(tool.ext)
    spec: Document = {**outer.get("toolSpec", {}), "name": tool.name}
    if tool.description or (native and tool.description is not None):
        spec["description"] = tool.description
    if "inputSchema" not in spec:
        schema = tool.parameters if native else _schema(tool.parameters, path, writing)
        spec["inputSchema"] = {"json": schema}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return {**outer, "toolSpec": spec}


def _schema(parameters: Json, path: str, writing: Writing) -> Json:
    """The schema of a tool's input, which must be that of an object; none: it takes nothing."""
    if parameters is None:
        return NO_PARAMETERS
    if isinstance(parameters, Mapping) and "type" in parameters:
        return parameters
    writing.approximate(f"{path}/parameters", "the schema must be that of an object")
    return {**NO_PARAMETERS, **(parameters if isinstance(parameters, Mapping) else {})}


def _encode_choice(choice: ToolChoice, request: Request, *, has_tools: bool) -> Json | None:
    """The wire's choice, None where it is left out."""
    if choice.mode is ToolChoiceMode.NONE:
        if has_tools and _has_calls(request):
            why = "the wire cannot forbid calls while the conversation holds some"
            raise RequestError(why, "/tool_choice")
        return None
    native = is_native(request.ext)
    name = _only_name(choice)
    if name is None and choice.names:
        raise RequestError("the wire limits the choice to one tool or none", "/tool_choice/names")
    if choice.mode is ToolChoiceMode.AUTO:
        return {"auto": {}} if has_tools or native else None
    if not has_tools and not native:
        raise RequestError("a tool must be called, and none is offered", "/tool_choice")
    return {"any": {}} if name is None else {"tool": {"name": name}}


def _only_name(choice: ToolChoice) -> str | None:
    """The one tool that must be called."""
    forced = choice.mode in (ToolChoiceMode.NAMED, ToolChoiceMode.REQUIRED)
    return choice.names[0] if forced and len(choice.names) == 1 else None


def _has_calls(request: Request) -> bool:
    """True if the conversation, as the wire will have it, holds calls or results."""
    parts: Sequence[object] = [part for message in request.messages for part in message.parts]
    return any(
        isinstance(part, ToolCallPart | ToolResultPart)
        and (part.executor is Executor.CLIENT or is_native(part.ext))
        for part in parts
    )
