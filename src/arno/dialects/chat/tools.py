"""Tools and the choice among them: `tools`, `tool_choice`, and their forerunners.

`functions` and `function_call` say the same in older words; a value decoded from them notes so and
is written back to them. Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from arno.canon.ext import Ext, Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import Executor
from arno.canon.request import Request, Tool, ToolChoice, ToolChoiceMode
from arno.dialects.chat.content import cache_mark, take_cache
from arno.dialects.chat.residue import DIALECT, give, is_native, keep, note
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document, merge, take

KINDS = ("function", "custom")
"""Kinds of tools that the client runs; the member that describes one has the same name."""

WORDS = {mode.value: mode for mode in ToolChoiceMode if mode is not ToolChoiceMode.NAMED}
FREE = (ToolChoiceMode.AUTO, ToolChoiceMode.REQUIRED)
"""Modes that a list of allowed tools can have."""

LEGACY = "functions"


def take_tools(residue: Document, fields: dict[str, Any]) -> None:
    """Moves tools out of `residue`. Raises RequestError naming the tool."""
    found: list[Tool] = []
    for member, decode in (("tools", _decode_tool), (LEGACY, _decode_function)):
        tools = residue.get(member)
        if isinstance(tools, list) and tools:
            del residue[member]
            found += [decode(tool, f"{member}[{n}]") for n, tool in enumerate(tools)]
    if found:
        fields["tools"] = tuple(found)


def _decode_tool(tool: Json, path: str) -> Tool:
    if not isinstance(tool, Mapping):
        raise RequestError("a tool must be an object", path)
    kind = str(tool.get("type") or "function")
    body = tool.get(kind)
    if not isinstance(body, Mapping):
        kept = keep(dict(tool))
        return Tool(name=kind, kind="provider", type=kind, executor=Executor.PROVIDER, ext=kept)
    outer = {k: v for k, v in tool.items() if k != kind}
    cache = take_cache(outer)
    values, rest = _take_body(body, f"{path}.{kind}")
    return Tool(kind=kind, cache=cache, ext=keep({**outer, kind: rest}), **values)


def _decode_function(tool: Json, path: str) -> Tool:
    if not isinstance(tool, Mapping):
        raise RequestError("a function must be an object", path)
    values, rest = _take_body(tool, path)
    return Tool(ext=keep({"@member": LEGACY, **rest}), **values)


def _take_body(body: Mapping[str, Json], path: str) -> tuple[Document, Document]:
    values, rest = take(body, "name", "description", "parameters", "strict", "format")
    if not isinstance(values.get("name"), str):
        raise RequestError("a tool needs a name", f"{path}.name")
    if "format" in values:
        values["format"] = _flat(values["format"])
    return values, rest


def _flat(format_: Json) -> Json:
    """A grammar's members beside its type, where the other dialects have them."""
    if not isinstance(format_, Mapping) or format_.keys() != {"type", "grammar"}:
        return format_
    grammar = format_["grammar"]
    if format_["type"] != "grammar" or not isinstance(grammar, Mapping) or "type" in grammar:
        return format_
    return format_ if "grammar" in grammar else {"type": "grammar", **grammar}


def _nested(format_: Json) -> Json:
    """What `_flat` was made from."""
    if not isinstance(format_, Mapping) or format_.get("type") != "grammar":
        return format_
    if "grammar" in format_:
        return format_
    return {"type": "grammar", "grammar": {k: v for k, v in format_.items() if k != "type"}}


def encode_tools(tools: Sequence[Tool], document: Document) -> list[Loss]:
    """Writes tools into the request; gives what was lost."""
    losses: list[Loss] = []
    for number, tool in enumerate(tools):
        path = f"/tools/{number}"
        native = is_native(tool.ext)
        if tool.kind not in KINDS and not native:
            losses.append(Loss(path, "dropped", "a tool that only its own dialect knows"))
            continue
        losses += foreign(tool.ext, DIALECT, path)
        if tool.deferred:
            why = "a chat request tells all its tools at once"
            losses.append(Loss(f"{path}/deferred", "dropped", why))
        member = LEGACY if note(tool.ext, "member") == LEGACY else "tools"
        encode = _encode_function if member == LEGACY else _encode_tool
        document[member] = [*(document.get(member) or ()), encode(tool)]
    return losses


def _encode_tool(tool: Tool) -> Document:
    document: Document = give(tool.ext) if is_native(tool.ext) else {"type": tool.kind}
    if tool.kind == "provider":
        return document
    if tool.cache is not None:
        document["cache_control"] = cache_mark(tool.cache)
    merge(document, tool.kind, _body(tool))
    return document


def _encode_function(tool: Tool) -> Document:
    return {**give(tool.ext), **_body(tool)}


def _body(tool: Tool) -> Document:
    members = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
        "format": _nested(tool.format),
    }
    return {k: v for k, v in members.items() if v is not None}


def take_choice(residue: Document, fields: dict[str, Any]) -> None:
    """Moves the choice out of `residue`, noting how it was said."""
    for member, decode in (("tool_choice", _decode_choice), ("function_call", _decode_call)):
        choice = decode(residue.get(member))
        if choice is not None:
            residue["@choice"] = (member, residue.pop(member))
            fields["tool_choice"] = choice
            return


def _decode_choice(document: Json) -> ToolChoice | None:
    if isinstance(document, str):
        mode = WORDS.get(document)
        return None if mode is None else ToolChoice(mode)
    if not isinstance(document, Mapping):
        return None
    kind = document.get("type")
    if kind == "allowed_tools":
        return _decode_allowed(document.get(kind))
    name = _name_of(document)
    return None if name is None else ToolChoice(ToolChoiceMode.NAMED, (name,))


def _decode_allowed(document: Json) -> ToolChoice | None:
    if not isinstance(document, Mapping) or not isinstance(document.get("tools"), list):
        return None
    names = [_name_of(tool) for tool in document["tools"]]
    mode = WORDS.get(str(document.get("mode")))
    if mode not in FREE or not names or None in names:
        return None
    return ToolChoice(mode, tuple(name for name in names if name is not None))


def _name_of(document: Json) -> str | None:
    """The tool that `{"type": kind, kind: {"name": ...}}` means."""
    kind = document.get("type") if isinstance(document, Mapping) else None
    body = document.get(kind) if kind in KINDS else None
    name = body.get("name") if isinstance(body, Mapping) else None
    return name if isinstance(name, str) and name else None


def _decode_call(document: Json) -> ToolChoice | None:
    if isinstance(document, str) and document in ("auto", "none"):
        return ToolChoice(WORDS[document])
    name = document.get("name") if isinstance(document, Mapping) else None
    if not isinstance(name, str) or not name:
        return None
    return ToolChoice(ToolChoiceMode.NAMED, (name,))


_DECODERS = {"tool_choice": _decode_choice, "function_call": _decode_call}


def encode_choice(request: Request, document: Document) -> None:
    """Writes the choice into the request, in the words it came in where it still says the same."""
    choice = request.tool_choice
    if choice is None:
        return
    member, said = _said(request.ext)
    if member is not None and _DECODERS[member](said) == choice:
        document[member] = said
    else:
        document["tool_choice"] = _choice(choice, {tool.name: tool for tool in request.tools})


def _said(ext: Ext) -> tuple[str | None, Json]:
    member, said = note(ext, "choice") or (None, None)
    return member, said


def _choice(choice: ToolChoice, tools: Mapping[str, Tool]) -> Json:
    named = [_named(name, tools) for name in choice.names]
    if choice.mode is ToolChoiceMode.NAMED:
        return named[0] if named else ToolChoiceMode.REQUIRED.value
    if named and choice.mode in FREE:
        allowed = {"mode": choice.mode.value, "tools": named}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return choice.mode.value


def _named(name: str, tools: Mapping[str, Tool]) -> Document:
    tool = tools.get(name)
    kind = tool.kind if tool is not None and tool.kind in KINDS else "function"
    return {"type": kind, kind: {"name": name}}
