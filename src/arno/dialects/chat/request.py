"""Requests of the chat dialect, both directions.

Every member is in one of the tables below or stays residue: nothing is dropped on the way to the
same dialect. Source: the gateway contract, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.parts import Part, TextPart, ToolResultPart
from arno.canon.request import (
    Message,
    Output,
    Reasoning,
    Request,
    Role,
    Sampling,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from arno.dialects.chat.content import encode_content, take_content
from arno.dialects.chat.residue import Document, give, integer, is_native, keep, merge, note, take
from arno.dialects.chat.turn import decode_turn, encode_turn
from arno.wire import json
from arno.wire.errors import MalformedJSON

SCALARS: dict[str, str] = {
    "model": "model",
    "parallel_tool_calls": "parallel_tool_calls",
    "n": "n",
    "stream": "stream",
    "user": "user",
    "metadata": "metadata",
}
"""Wire member to canonical field, value unchanged."""


class _Scalars(msgspec.Struct):
    """The types that members of `SCALARS` must have."""

    model: str
    parallel_tool_calls: bool | None = None
    n: int | None = None
    stream: bool | None = None
    user: str | None = None
    metadata: Json = None


SAMPLING = tuple(Sampling.__struct_fields__)
"""Sampling members have the same names on both sides."""

ROUTING = (
    "provider",
    "models",
    "route",
    "transforms",
    "plugins",
    "preset",
    "session_id",
    "trace",
    "debug",
    "usage",
)
"""Members for the gateway itself; they never reach an upstream of another contract (R14)."""

T = TypeVar("T", bound=msgspec.Struct)

LIMITS = ("max_tokens", "max_completion_tokens")
ROLE_WORDS: dict[str, Role] = {role.value: role for role in Role} | {"function": Role.TOOL}
DEFAULTS: dict[str, Json] = {"stream": False}


def decode_request(body: bytes) -> Request:
    """A client's request. Raises RequestError naming the member."""
    try:
        document = json.loads(body)
    except MalformedJSON as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("model must be a non-empty string", "model")
    fields, residue = _decode_members(document)
    fields["messages"] = decode_messages(document.get("messages"))
    residue.pop("messages", None)
    return Request(ext=keep(residue), **fields)


def _decode_members(document: Mapping[str, Json]) -> tuple[dict[str, Any], dict[str, Json]]:
    fields: dict[str, Any] = {}
    values, residue = take(document, *SCALARS, *SAMPLING, *ROUTING)
    sampling = {k: values.pop(k) for k in SAMPLING if k in values}
    routing = {k: values.pop(k) for k in ROUTING if k in values}
    for member, value in values.items():
        if value == DEFAULTS.get(member):
            residue[member] = value
        else:
            fields[SCALARS[member]] = value
    _convert(values, _Scalars)
    if sampling:
        fields["sampling"] = _convert(sampling, Sampling)
    if routing:
        fields["routing"] = routing
    for decode in (_stop, _limit, _stream_options, _output, _reasoning, _tools, _tool_choice):
        decode(residue, fields)
    return fields, residue


def _convert(members: Mapping[str, Json], type_: type[T]) -> T:
    """`members` as a struct. Raises RequestError naming the member that has another type."""
    try:
        return msgspec.convert(members, type_)
    except msgspec.ValidationError as error:
        raise named(error) from error


def named(error: msgspec.ValidationError) -> RequestError:
    """A complaint about a value's type with the member's name as its path."""
    message, _, path = str(error).partition(" - at `$")
    return RequestError(message, path.strip("`."))


def _stop(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    stop = residue.get("stop")
    if isinstance(stop, str) and stop:
        fields["stop"] = (residue.pop("stop"),)
        residue["@stop"] = "text"
    elif isinstance(stop, list) and stop:
        if not all(isinstance(word, str) for word in stop):
            raise RequestError("stop must be a string or an array of strings", "stop")
        fields["stop"] = tuple(residue.pop("stop"))


def _limit(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    """Two names for one limit; the newer one wins and the other stays as it was."""
    for member in reversed(LIMITS):
        if integer(residue.get(member)) is not None and "max_output_tokens" not in fields:
            fields["max_output_tokens"] = residue.pop(member)
            residue["@limit"] = member


def _stream_options(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    options = residue.get("stream_options")
    if isinstance(options, Mapping) and isinstance(options.get("include_usage"), bool):
        fields["include_usage"] = options["include_usage"]
        residue["stream_options"] = {k: v for k, v in options.items() if k != "include_usage"}


def _output(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    format_ = residue.get("response_format")
    if not isinstance(format_, Mapping):
        return
    kind = OUTPUT_KINDS.get(str(format_.get("type")))
    values, outer = take(format_, "type", "json_schema")
    if kind is None or not isinstance(values.get("json_schema", {}), Mapping):
        return
    inner, rest = take(values.get("json_schema", {}), "schema", "name", "strict")
    del residue["response_format"]
    kept = keep({**outer, **({"json_schema": rest} if "json_schema" in values else {})})
    fields["output"] = Output(kind=kind, ext=kept, **inner)


OUTPUT_KINDS = {"text": "text", "json_object": "json", "json_schema": "schema"}
OUTPUT_TYPES = {kind: type_ for type_, kind in OUTPUT_KINDS.items()}


def _reasoning(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    """`reasoning_effort` is shorthand for `reasoning.effort`; the object wins if both stand."""
    document = residue.get("reasoning")
    if isinstance(document, Mapping):
        values, rest = take(document, "effort", "max_tokens", "summary", "exclude", "enabled")
        del residue["reasoning"]
        budget = values.pop("max_tokens", None)
        fields["reasoning"] = Reasoning(budget=budget, ext=keep(rest), **values)
    elif isinstance(residue.get("reasoning_effort"), str):
        effort = residue.pop("reasoning_effort")
        fields["reasoning"] = Reasoning(effort=effort, ext=keep({"@member": "reasoning_effort"}))


def _tools(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    tools = residue.get("tools")
    if isinstance(tools, list) and tools:
        del residue["tools"]
        fields["tools"] = tuple(_decode_tool(tool, n) for n, tool in enumerate(tools))


def _decode_tool(tool: Json, number: int) -> Tool:
    if not isinstance(tool, Mapping):
        raise RequestError("a tool must be an object", f"tools[{number}]")
    kind = str(tool.get("type") or "function")
    body = tool.get(kind)
    if not isinstance(body, Mapping):
        return Tool(name=kind, kind="provider", type=kind, ext=keep(dict(tool)))
    values, rest = take(body, "name", "description", "parameters", "strict")
    if not isinstance(values.get("name"), str):
        raise RequestError("a tool needs a name", f"tools[{number}].{kind}.name")
    outer = {k: v for k, v in tool.items() if k != kind}
    return Tool(kind=kind, ext=keep({**outer, kind: rest}), **values)


def _tool_choice(residue: dict[str, Json], fields: dict[str, Any]) -> None:
    choice = residue.get("tool_choice")
    if isinstance(choice, str) and choice in ("auto", "none", "required"):
        fields["tool_choice"] = ToolChoice(ToolChoiceMode(residue.pop("tool_choice")))
    elif isinstance(choice, Mapping) and choice.keys() == {"type", "function"}:
        name = choice["function"].get("name") if isinstance(choice["function"], Mapping) else None
        if isinstance(name, str) and choice["type"] == "function":
            del residue["tool_choice"]
            fields["tool_choice"] = ToolChoice(ToolChoiceMode.NAMED, (name,))


def decode_messages(messages: Json) -> tuple[Message, ...]:
    """The conversation. Raises RequestError naming the message."""
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a non-empty array", "messages")
    return tuple(_decode_message(message, n) for n, message in enumerate(messages))


def _decode_message(message: Json, number: int) -> Message:
    path = f"messages[{number}]"
    if not isinstance(message, Mapping):
        raise RequestError("a message must be an object", path)
    role = ROLE_WORDS.get(str(message.get("role")))
    if role is None:
        raise RequestError(f"role must be one of {', '.join(ROLE_WORDS)}", f"{path}.role")
    if role is Role.TOOL:
        return _decode_result(message, role)
    parts, residue = decode_turn(message)
    residue.pop("role")
    name = residue.pop("name") if isinstance(residue.get("name"), str) else None
    return Message(role=role, parts=parts, name=name, ext=keep(residue))


def _decode_result(message: Mapping[str, Json], role: Role) -> Message:
    values, residue = take(message, "content", "tool_call_id", "name")
    if message.get("role") == role.value:
        del residue["role"]
    parts = take_content(values, residue)
    result = ToolResultPart(
        call_id=str(values.get("tool_call_id", "")), name=values.get("name"), parts=parts
    )
    return Message(role=role, parts=(result,), ext=keep(residue))


def encode_request(request: Request) -> tuple[bytes, tuple[Loss, ...]]:
    """The request as JSON text, and what this dialect has no place for."""
    document: Document = give(request.ext)
    losses: list[Loss] = []
    messages: list[Json] = []
    for number, message in enumerate(request.messages):
        encoded, lost = _encode_message(message, f"/messages/{number}")
        messages.extend(encoded)
        losses.extend(lost)
    document["messages"] = messages
    for field, member in ((f, m) for m, f in SCALARS.items()):
        value = getattr(request, field)
        if not is_empty(value) and value != DEFAULTS.get(member):
            document[member] = value
    for member in SAMPLING:
        if getattr(request.sampling, member) is not None:
            document[member] = getattr(request.sampling, member)
    document.update(request.routing or {})
    _encode_options(request, document)
    choice = request.tool_choice
    if choice is not None and choice.names and choice.mode is not ToolChoiceMode.NAMED:
        losses.append(Loss("/tool_choice/names", "dropped", "a chat request limits to one tool"))
    return json.dumps(document), tuple(losses)


def _encode_options(request: Request, document: Document) -> None:
    if request.max_output_tokens is not None:
        document[note(request.ext, "limit") or "max_tokens"] = request.max_output_tokens
    if request.stop:
        single = note(request.ext, "stop") == "text" and len(request.stop) == 1
        document["stop"] = request.stop[0] if single else list(request.stop)
    if request.include_usage is not None:
        merge(document, "stream_options", {"include_usage": request.include_usage})
    if request.tools:
        document["tools"] = [_encode_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        document["tool_choice"] = _encode_choice(request.tool_choice)
    if request.output is not None:
        document["response_format"] = _encode_output(request.output)
    if request.reasoning is not None:
        document.update(_encode_reasoning(request.reasoning))


def _encode_tool(tool: Tool) -> Document:
    document = give(tool.ext) if is_native(tool.ext) else {"type": tool.kind}
    if tool.kind == "provider":
        return document
    members = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    merge(document, tool.kind, {k: v for k, v in members.items() if v is not None})
    return document


def _encode_choice(choice: ToolChoice) -> Json:
    if choice.mode is ToolChoiceMode.NAMED and choice.names:
        return {"type": "function", "function": {"name": choice.names[0]}}
    return choice.mode.value


def _encode_output(output: Output) -> Document:
    document = {**give(output.ext), "type": OUTPUT_TYPES[output.kind]}
    members = {"schema": output.schema, "name": output.name, "strict": output.strict}
    known = {k: v for k, v in members.items() if v is not None}
    if known:
        merge(document, "json_schema", known)
    return document


def _encode_reasoning(reasoning: Reasoning) -> Document:
    if note(reasoning.ext, "member") == "reasoning_effort":
        return {"reasoning_effort": reasoning.effort}
    members = {
        "effort": reasoning.effort,
        "max_tokens": reasoning.budget,
        "summary": reasoning.summary,
        "exclude": reasoning.exclude,
        "enabled": reasoning.enabled,
    }
    known = {k: v for k, v in members.items() if v is not None}
    return {"reasoning": {**give(reasoning.ext), **known}}


def _encode_message(message: Message, path: str) -> tuple[list[Document], list[Loss]]:
    """One wire message, and one more for each tool result that stood among other parts."""
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    others = [part for part in message.parts if not isinstance(part, ToolResultPart)]
    documents: list[Document] = []
    losses: list[Loss] = []
    for part in results:
        document, lost = _encode_result(part, message, path)
        documents.append(document)
        losses.extend(lost)
    if others or not results:
        document, lost = encode_turn(others, message.ext, path, to_client=False)
        document["role"] = document.get("role", message.role.value)
        if message.name is not None:
            document["name"] = message.name
        documents.append(document)
        losses.extend(lost)
    return documents, losses


def _encode_result(
    part: ToolResultPart, message: Message, path: str
) -> tuple[Document, list[Loss]]:
    document: Document = give(message.ext) if message.role is Role.TOOL else {}
    document.setdefault("role", Role.TOOL.value)
    if part.call_id:
        document["tool_call_id"] = part.call_id
    if part.name is not None and is_native(message.ext):
        document["name"] = part.name
    content, losses = encode_content(_result_parts(part), f"{path}/content")
    if content is not None or "content" not in document:
        document["content"] = "" if content is None else content
    if part.is_error:
        losses.append(Loss(f"{path}/is_error", "dropped", "a chat tool message cannot say so"))
    return document, losses


def _result_parts(part: ToolResultPart) -> Sequence[Part]:
    """A result that is a document and no parts is told as its JSON text."""
    if part.parts or part.value is None:
        return part.parts
    return (TextPart(text=json.dumps(part.value).decode()),)
