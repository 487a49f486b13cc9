"""Requests of the chat dialect, both directions.

Every member is in one of the tables below or stays residue: nothing is dropped on the way to the
same dialect. Source: the gateway contract, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
    Executor,
    MediaPart,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import Message, Output, Reasoning, Request, Role, Sampling
from arno.dialects.bodies import ROUTING, convert
from arno.dialects.chat import joining
from arno.dialects.chat.content import (
    Placed,
    cache_mark,
    encode_content,
    take_cache,
    take_content,
)
from arno.dialects.chat.residue import DIALECT, give, is_native, keep, note
from arno.dialects.chat.shape import REQUEST
from arno.dialects.chat.tools import encode_choice, encode_tools, take_choice, take_tools
from arno.dialects.chat.turn import LEGACY_CALL, decode_turn
from arno.dialects.chat.turn_encode import encode_turn, unfit
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document, integer, merge, take
from arno.dialects.shapes import check
from arno.wire import json
from arno.wire.errors import MalformedJSON

SCALARS: dict[str, str] = {
    "model": "model",
    "parallel_tool_calls": "parallel_tool_calls",
    "n": "n",
    "stream": "stream",
    "user": "user",
    "metadata": "metadata",
    "service_tier": "service_tier",
    "verbosity": "verbosity",
    "safety_identifier": "safety_identifier",
    "prompt_cache_key": "cache_key",
    "store": "store",
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
    service_tier: str | None = None
    verbosity: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    store: bool | None = None


SAMPLING = tuple(Sampling.__struct_fields__)
"""Sampling members have the same names on both sides."""

T = TypeVar("T", bound=msgspec.Struct)

LIMITS = ("max_tokens", "max_completion_tokens")
LEGACY_ROLE = "function"
ROLE_WORDS: dict[str, Role] = {role.value: role for role in Role} | {LEGACY_ROLE: Role.TOOL}
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
    check(REQUEST, document)
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
    convert(values, _Scalars)
    if sampling:
        fields["sampling"] = convert(sampling, Sampling)
    if routing:
        fields["routing"] = routing
    for decode in (_stop, _limit, _stream_options, _output, _reasoning, take_tools, take_choice):
        decode(residue, fields)
    cache = take_cache(residue)
    if cache is not None:
        fields["cache"] = cache
    return fields, residue


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


def decode_messages(messages: Json) -> tuple[Message, ...]:
    """The conversation. Raises RequestError naming the message."""
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a non-empty array", "messages")
    return _paired([_decode_message(message, n) for n, message in enumerate(messages)])


def _paired(messages: list[Message]) -> tuple[Message, ...]:
    """Calls and results in the older words have no ids: a result answers the call before it."""
    waiting: dict[str | None, str] = {}
    for number, message in enumerate(messages):
        parts = tuple(_pair(part, message, number, waiting) for part in message.parts)
        if any(part is not known for part, known in zip(parts, message.parts, strict=True)):
            messages[number] = msgspec.structs.replace(message, parts=parts)
    return tuple(messages)


def _pair(part: Part, message: Message, number: int, waiting: dict[str | None, str]) -> Part:
    if isinstance(part, ToolCallPart) and note(part.ext, "member") == LEGACY_CALL:
        waiting[part.name] = f"call_{number}"
        return msgspec.structs.replace(part, call_id=waiting[part.name])
    if isinstance(part, ToolResultPart) and _is_legacy(message):
        return msgspec.structs.replace(part, call_id=waiting.get(part.name, ""))
    return part


def _is_legacy(message: Message) -> bool:
    """True for the result of a function in the older words."""
    return bool(give(message.ext).get("role") == LEGACY_ROLE)


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
    if not isinstance(values.get("name", ""), str):
        residue["name"] = values.pop("name")
    result = ToolResultPart(
        call_id=str(values.get("tool_call_id", "")), name=values.get("name"), parts=parts
    )
    return Message(role=role, parts=(result,), ext=keep(residue))


def encode_request(request: Request) -> tuple[bytes, tuple[Loss, ...]]:
    """The request as JSON text, and what this dialect has no place for."""
    document: Document = give(request.ext)
    losses: list[Loss] = foreign(request.ext, DIALECT, "")
    messages: list[Document] = []
    for number, message in enumerate(request.messages):
        encoded, lost = _encode_message(message, f"/messages/{number}")
        if is_native(message.ext) or not message.parts:
            messages.extend(encoded)
        else:
            lost += joining.add(messages, encoded, f"/messages/{number}")
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
    losses += _encode_options(request, document)
    return json.dumps(document), tuple(losses)


def _encode_options(request: Request, document: Document) -> list[Loss]:
    if request.max_output_tokens is not None:
        document[note(request.ext, "limit") or "max_tokens"] = request.max_output_tokens
    if request.stop:
        single = note(request.ext, "stop") == "text" and len(request.stop) == 1
        document["stop"] = request.stop[0] if single else list(request.stop)
    if request.include_usage is not None:
        merge(document, "stream_options", {"include_usage": request.include_usage})
    if request.cache is not None:
        document["cache_control"] = cache_mark(request.cache)
    losses = encode_tools(request.tools, document)
    encode_choice(request, document)
    if request.output is not None:
        losses += _encode_output(request.output, document)
    if request.reasoning is not None:
        losses += foreign(request.reasoning.ext, DIALECT, "/reasoning")
        document.update(_encode_reasoning(request.reasoning))
    return losses


UNNAMED = "response"
"""The name of a schema whose client gave none."""


def _encode_output(output: Output, document: Document) -> list[Loss]:
    format_: Document = {**give(output.ext), "type": OUTPUT_TYPES[output.kind]}
    members = {"schema": output.schema, "name": output.name, "strict": output.strict}
    losses = foreign(output.ext, DIALECT, "/output")
    if output.kind == "schema" and output.name is None and not is_native(output.ext):
        members["name"] = UNNAMED
        losses.append(Loss("/output/name", "approximated", "a chat request names its schema"))
    known = {k: v for k, v in members.items() if v is not None}
    if known:
        merge(format_, "json_schema", known)
    document["response_format"] = format_
    return losses


def _encode_reasoning(reasoning: Reasoning) -> Document:
    """An effort alone under the name that all hosts know, more as the gateway contract has it."""
    members = {
        "effort": reasoning.effort,
        "max_tokens": reasoning.budget,
        "summary": reasoning.summary,
        "exclude": reasoning.exclude,
        "enabled": reasoning.enabled,
    }
    known = {k: v for k, v in members.items() if v is not None}
    short = note(reasoning.ext, "member") == "reasoning_effort" or not is_native(reasoning.ext)
    if short and known.keys() == {"effort"}:
        return {"reasoning_effort": reasoning.effort}
    return {"reasoning": {**give(reasoning.ext), **known}}


def _encode_message(message: Message, path: str) -> tuple[list[Document], list[Loss]]:
    """One wire message, and one more for each tool result that stood among other parts."""
    losses: list[Loss] = foreign(message.ext, DIALECT, path)
    documents: list[Document] = []
    results = 0
    for number, part in enumerate(message.parts):
        if isinstance(part, ToolResultPart):
            results += 1
            document, lost = _encode_result(part, message, f"{path}/parts/{number}")
            losses.extend(lost)
            documents += [] if document is None else [document]
    if results < len(message.parts) or not results:
        document, lost = _encode_turn(message, path)
        losses.extend(lost)
        documents.append(document)
    return documents, losses


def _encode_turn(message: Message, path: str) -> tuple[Document, list[Loss]]:
    """The parts that are no tool results."""
    document, losses = encode_turn(
        [(n, part) for n, part in enumerate(message.parts) if not isinstance(part, ToolResultPart)],
        message.ext,
        path,
        to_client=False,
        of_model=message.role is Role.ASSISTANT,
    )
    document["role"] = document.get("role", message.role.value)
    if message.name is not None:
        document["name"] = message.name
    return document, losses


def _encode_result(
    part: ToolResultPart, message: Message, where: str
) -> tuple[Document | None, list[Loss]]:
    if part.executor is Executor.PROVIDER:
        lost = unfit(part, where, in_answer=False)
        return None, [] if lost is None else [lost]
    document: Document = give(message.ext) if message.role is Role.TOOL else {}
    document.setdefault("role", Role.TOOL.value)
    if part.call_id and not _is_legacy(message):
        document["tool_call_id"] = part.call_id
    if part.name is not None and is_native(message.ext):
        document["name"] = part.name
    losses = foreign(part.ext, DIALECT, where)
    parts = list(part.parts)
    if part.value is not None and not parts:
        parts = [TextPart(text=json.dumps(part.value).decode())]
        why = "a chat result that is a document is told as its JSON text"
        losses.append(Loss(f"{where}/value", "approximated", why))
    if part.cache is not None and not _mark_last(parts, part.cache):
        losses.append(Loss(f"{where}/cache", "dropped", "an empty chat result holds no breakpoint"))
    placed: list[Placed] = [(f"{where}/parts/{number}", p) for number, p in enumerate(parts)]
    content, lost_content = encode_content(placed)
    losses.extend(lost_content)
    if content is not None or "content" not in document:
        document["content"] = content or ""
    if part.is_error:
        losses.append(Loss(f"{where}/is_error", "dropped", "a chat tool message cannot say so"))
    return document, losses


def _mark_last(parts: list[Part], hint: CacheHint) -> bool:
    """Puts a breakpoint behind the last part; False if there is none that holds it."""
    if not parts or not isinstance(parts[-1], TextPart | MediaPart):
        return False
    parts[-1] = msgspec.structs.replace(parts[-1], cache=parts[-1].cache or hint)
    return True
