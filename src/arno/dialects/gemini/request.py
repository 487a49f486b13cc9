"""Requests of the generateContent dialect, both directions.

Model and stream stand in the path, so a request is read with its request line and written without.
Source: Gemini API reference, "generateContent"; recorded traffic.
"""

from __future__ import annotations

from typing import Any

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.request import Request
from arno.dialects.base import RequestLine
from arno.dialects.bodies import ROUTING
from arno.dialects.disclosure import foreign
from arno.dialects.gemini import documents
from arno.dialects.gemini.config import CONFIG, decode_config, encode_config
from arno.dialects.gemini.contents import decode_contents, decode_system
from arno.dialects.gemini.contents_encode import Conversation
from arno.dialects.gemini.residue import DIALECT, give, is_native, keep, note, respell, take_spelled
from arno.dialects.gemini.shape import REQUEST
from arno.dialects.gemini.tools import (
    decode_tool_config,
    decode_tools,
    encode_tool_config,
    encode_tools,
)
from arno.dialects.residue import Document
from arno.dialects.shapes import check
from arno.wire import json
from arno.wire.errors import MalformedJSON

MEMBERS = (
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "labels",
    "serviceTier",
    "store",
)
NOWHERE: dict[str, str] = {
    "user": "the wire does not tell end users apart",
    "safety_identifier": "the wire does not tell end users apart",
    "verbosity": "the wire does not ask for long or short answers",
    "cache": "the wire caches without marks",
    "cache_key": "the wire finds its caches by itself",
}
"""Fields of a request that the wire has not, and why."""

OWN: dict[str, tuple[str, str]] = {
    "labels": ("metadata", "the wire has no place for a client's own labels"),
    "store": ("store", "the wire keeps no answers"),
}
"""Members that mean something to a client of this dialect alone: field, and why not of others."""

TIERS: dict[str, str | None] = {"auto": None, "default": "standard"}
"""Tiers that other wires call otherwise; the others have the same names."""


def decode_request(body: bytes, line: RequestLine) -> Request:
    """A client's request. Raises RequestError naming the member."""
    try:
        document = documents.loads(body)
    except MalformedJSON as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    values, residue = take_spelled(document, *MEMBERS)
    model = line.model or residue.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("model must be a non-empty string", "model")
    check(REQUEST, document)
    fields: dict[str, Any] = {"model": model, "stream": bool(line.stream)}
    messages = decode_contents(values.get("contents"))
    residue.pop("contents", None)
    if "systemInstruction" in values:
        system = values["systemInstruction"]
        messages = (decode_system(system), *messages)
        if isinstance(system, str):
            residue["@system"] = system
    fields["messages"] = messages
    _decode_options(values, residue, fields)
    return Request(ext=keep(residue), **fields)


def _decode_options(values: Document, residue: Document, fields: dict[str, Any]) -> None:
    routing = {name: residue.pop(name) for name in ROUTING if not is_empty(residue.get(name))}
    if routing:
        fields["routing"] = routing
    if "tools" in values:
        fields["tools"] = decode_tools(values["tools"])
    if "toolConfig" in values:
        decode_tool_config(values["toolConfig"], fields, residue)
    if CONFIG in values:
        decode_config(values[CONFIG], fields, residue)
    if "labels" in values:
        fields["metadata"] = values["labels"]
    _take_typed("serviceTier", str, "service_tier", values, residue, fields)
    _take_typed("store", bool, "store", values, residue, fields)


def _take_typed(
    member: str,
    type_: type,
    field: str,
    values: Document,
    residue: Document,
    fields: dict[str, Any],
) -> None:
    value = values.get(member)
    if isinstance(value, type_):
        fields[field] = value
    elif value is not None:
        residue[member] = value


def encode_request(request: Request) -> tuple[bytes, tuple[Loss, ...]]:
    """The request as JSON text, and what this dialect has no place for. Raises RequestError."""
    conversation = Conversation(request)
    losses = conversation.losses
    document: Document = {"contents": conversation.contents, **give(request.ext)}
    losses += foreign(request.ext, DIALECT, "/ext")
    if conversation.instruction is not None:
        document["systemInstruction"] = _instruction(request, conversation.instruction)
    tools = encode_tools(request, losses)
    if tools:
        document["tools"] = tools
    encode_tool_config(request, document, losses)
    encode_config(request, document, losses)
    document.update(request.routing or {})
    _encode_options(request, document, losses)
    return json.dumps(respell(document, note(request.ext, "snake"))), tuple(losses)


def _instruction(request: Request, instruction: Document) -> Json:
    """The system instruction, as the one string it may also be where it came as one."""
    kept = note(request.ext, "system")
    return kept if isinstance(kept, str) else instruction


def _encode_options(request: Request, document: Document, losses: list[Loss]) -> None:
    native = is_native(request.ext)
    for member, (field, why) in OWN.items():
        value = getattr(request, field)
        if native and value is not None:
            document[member] = value
        elif not is_empty(value) and value is not False:
            losses.append(Loss(f"/{field}", "dropped", why))
    tier = request.service_tier
    if tier is not None:
        tier = tier if native else TIERS.get(tier, tier)
    if tier is not None:
        document["serviceTier"] = tier
    for field, why in NOWHERE.items():
        if not is_empty(getattr(request, field)):
            losses.append(Loss(f"/{field}", "dropped", why))
    if request.parallel_tool_calls is False:
        why = "the wire does not ask for one call at a time"
        losses.append(Loss("/parallel_tool_calls", "dropped", why))
