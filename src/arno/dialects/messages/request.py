"""Requests of the messages dialect, both directions.

Every member is read by one of the functions below or stays residue: nothing is dropped on the way
to the same dialect. Source: Anthropic API reference, "Create a Message"; contract, section 4.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.request import Request, Sampling
from arno.dialects.base import BODY_ONLY, RequestLine
from arno.dialects.bodies import ROUTING, convert
from arno.dialects.disclosure import foreign
from arno.dialects.messages.blocks import inputs_of_request
from arno.dialects.messages.residue import (
    DIALECT,
    give,
    is_native,
    keep,
    note,
    take_cache,
    write_cache,
)
from arno.dialects.messages.shape import REQUEST
from arno.dialects.messages.thinking import decode_reasoning, encode_reasoning, encode_sampling
from arno.dialects.messages.tools import (
    decode_choice,
    decode_output,
    decode_tools,
    encode_choice,
    encode_output,
    encode_tools,
)
from arno.dialects.messages.turns import (
    begun_without_thinking,
    decode_messages,
    decode_system,
    encode_messages,
    without_trailing_space,
)
from arno.dialects.residue import Document, merge, take, text
from arno.dialects.shapes import check
from arno.wire import json
from arno.wire.errors import MalformedJSON

SAMPLING = ("temperature", "top_p", "top_k")


class _Scalars(msgspec.Struct):
    """The types that members must have."""

    model: str
    max_tokens: int | None = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None


TIERS: dict[str, str] = {"auto": "auto", "standard_only": "default"}
"""`service_tier` of a request to the canonical word."""
TIER_WORDS = {word: tier for tier, word in TIERS.items()}


def decode_request(body: bytes, line: RequestLine = BODY_ONLY) -> Request:
    """A client's request. Raises RequestError naming the member.

    line: what the path says, on roads where the model stands there.
    """
    try:
        document = json.loads(body)
    except MalformedJSON as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    in_path = line.model is not None and "model" not in document
    model = line.model if in_path else document.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("model must be a non-empty string", "model")
    _check({**document, "model": model})
    check(REQUEST, document)
    fields, residue = _decode_members(document)
    if in_path:
        residue["@model"] = "path"
    system = decode_system(residue)
    given = residue.pop("messages", None)
    turns = decode_messages(given, inputs_of_request(body) if _are_objects(given) else [])
    messages = (*system, *turns)
    return Request(model=model, messages=messages, ext=keep(residue), **fields)


def _are_objects(messages: Json) -> bool:
    return isinstance(messages, list) and all(isinstance(m, dict) for m in messages)


def _check(document: Document) -> None:
    """Raises RequestError naming the member that has another type."""
    convert(document, _Scalars)
    for name in SAMPLING:
        value = document.get(name)
        if isinstance(value, bool) or not isinstance(value, int | Decimal | None):
            raise RequestError(f"{name} must be a number", name)


def _decode_members(document: Document) -> tuple[dict[str, Any], Document]:
    values, residue = take(document, "model", "max_tokens", *SAMPLING, *ROUTING)
    fields: dict[str, Any] = {}
    if "max_tokens" in values:
        fields["max_output_tokens"] = values["max_tokens"]
    sampling = {k: values[k] for k in SAMPLING if k in values}
    if sampling:
        fields["sampling"] = Sampling(**sampling)
    routing = {k: values[k] for k in ROUTING if k in values}
    if routing:
        fields["routing"] = routing
    for decode in (_plain, decode_reasoning, decode_output, decode_tools, decode_choice):
        decode(residue, fields)
    return fields, residue


def _plain(residue: Document, fields: dict[str, Any]) -> None:
    if residue.get("stream") is True:
        fields["stream"] = residue.pop("stream")
    if residue.get("stop_sequences"):
        fields["stop"] = tuple(residue.pop("stop_sequences"))
    metadata = residue.get("metadata")
    user = text(metadata.get("user_id")) if isinstance(metadata, Mapping) else None
    if isinstance(metadata, Mapping) and user is not None:
        fields["user"] = user
        residue["metadata"] = {k: v for k, v in metadata.items() if k != "user_id"}
    tier = residue.get("service_tier")
    if isinstance(tier, str) and tier in TIERS:
        fields["service_tier"] = TIERS[residue.pop("service_tier")]
    cache = take_cache(residue)
    if cache is not None:
        fields["cache"] = cache


def encode_request(request: Request) -> tuple[bytes, tuple[Loss, ...]]:
    """The request as JSON text, and what this dialect has no place for."""
    if request.n not in (None, 1):
        raise RequestError("the wire gives one answer to a request", "/n")
    document: Document = {"model": request.model, **give(request.ext)}
    if note(request.ext, "model") == "path":
        del document["model"]
    losses = _options(request, document)
    messages, lost = without_trailing_space(request.messages)
    losses += lost
    conversation = encode_messages(messages)
    losses += conversation.losses
    if conversation.system is not None:
        document["system"] = conversation.system
    tools, lost = encode_tools(request.tools)
    if tools:
        document["tools"] = tools
    losses += lost + encode_choice(request, document)
    document["messages"] = conversation.turns
    document.update(request.routing or {})
    losses += foreign(request.ext, DIALECT, "")
    return json.dumps(document), tuple(losses)


def _options(request: Request, document: Document) -> list[Loss]:
    """Everything but the conversation and the tools."""
    native = is_native(request.ext)
    begun = begun_without_thinking(request.messages)
    thought = encode_reasoning(request, begun=begun)
    losses = list(thought.losses)
    if thought.limit is not None:
        document["max_tokens"] = thought.limit
    output, lost = ({}, []) if request.output is None else encode_output(request.output)
    losses += lost
    for members in (thought.members, output):
        for key, value in members.items():
            if key == "output_config":
                merge(document, key, value)
            else:
                document[key] = value
    sampling, lost = encode_sampling(request.sampling, thinking=thought.is_on, native=native)
    document.update(sampling)
    losses += lost
    if request.stream:
        document["stream"] = True
    losses += _stop(request, document) + _tier(request, document)
    if request.user is not None:
        merge(document, "metadata", {"user_id": request.user})
    write_cache(document, request.cache)
    return losses + _not_said(request)


def _stop(request: Request, document: Document) -> list[Loss]:
    """Where to stop; a stop of white space only is refused by upstreams."""
    if not request.stop:
        return []
    if not is_native(request.ext) and any(not word.strip() for word in request.stop):
        raise RequestError("a stop sequence needs more than white space", "/stop")
    document["stop_sequences"] = list(request.stop)
    return []


def _tier(request: Request, document: Document) -> list[Loss]:
    tier = request.service_tier
    if tier is None:
        return []
    word = TIER_WORDS.get(tier)
    if word is not None:
        document["service_tier"] = word
        return []
    path, why = "/service_tier", f"the wire has no tier {tier}"
    if tier == "priority":
        document["service_tier"] = "auto"
        return [Loss(path, "approximated", "priority is used where the account has it")]
    return [Loss(path, "dropped", why)]


NOT_SAID: dict[str, str] = {
    "metadata": "the wire has no place for a client's own labels",
    "verbosity": "the wire does not ask for long or short answers",
    "safety_identifier": "the wire does not tell end users apart",
    "cache_key": "the wire finds its caches by itself",
    "store": "the wire keeps no answers",
}
"""Fields of a request that the wire has no member for."""


def _not_said(request: Request) -> list[Loss]:
    return [
        Loss(f"/{field}", "dropped", why)
        for field, why in NOT_SAID.items()
        if not is_empty(getattr(request, field)) and getattr(request, field) is not False
    ]
