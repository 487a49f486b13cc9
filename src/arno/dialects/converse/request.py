"""Requests of the converse dialect, both directions.

The model and whether a stream is asked for stand in the path. Every member of the body is in one of
the tables below or stays residue. Reasoning: an effort is a member of the wire's own; a budget is
told as the one family of models takes it that has one, among the members for one model. What asks
for no reasoning is not said, since the wire reasons only where asked. Source: API reference,
"Converse"; Anthropic's extended thinking on this wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from arno.canon.ext import Json, is_empty
from arno.canon.failure import RequestError
from arno.canon.request import Output, Reasoning, Request, Sampling
from arno.dialects.base import RequestLine
from arno.dialects.bodies import ROUTING
from arno.dialects.converse.blocks_decode import arguments_of_turns
from arno.dialects.converse.residue import DIALECT, give, is_native, keep, note
from arno.dialects.converse.tools import decode_tools, encode_tools
from arno.dialects.converse.turns import (
    decode_system,
    decode_turns,
    encode_conversation,
    mark_end,
)
from arno.dialects.converse.writing import Writing
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document, integer, merge, take, text
from arno.wire import json
from arno.wire.errors import MalformedJSON

EFFORTS: dict[str, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
"""Effort to the wire's word."""

OFF = "none"
NOT_ASKED = "the wire cannot forbid to think: it is not asked for, which is off for most models"
"""Why reasoning that is not wanted is only nearly said."""

TIERS = frozenset({"priority", "default", "flex", "reserved"})
SAME_TIER: dict[str, str | None] = {"auto": None, "standard": "default", "standard_only": "default"}
"""Words of other dialects for a tier; None: what the wire does unasked."""

DROPPED: dict[str, str] = {
    "parallel_tool_calls": "the wire does not ask for one call at a time",
    "user": "the wire does not tell end users apart",
    "safety_identifier": "the wire does not tell end users apart",
    "verbosity": "the wire does not ask for long or short answers",
    "cache_key": "the wire finds its caches by itself",
    "store": "the wire keeps no answers",
}
"""Fields of a request that the wire has no member for."""

NEUTRAL: dict[str, Json] = {"parallel_tool_calls": True, "store": False}
"""Values that ask for what the wire does anyway."""

DROPPED_SAMPLING: dict[str, str] = {
    "top_k": "the wire does not cut the choice of tokens by number",
    "min_p": "only chat requests of open models have it",
    "frequency_penalty": "the wire has no penalties",
    "presence_penalty": "the wire has no penalties",
    "repetition_penalty": "only chat requests of open models have it",
    "seed": "the wire cannot ask for the same answer twice",
    "logit_bias": "only a chat request biases single tokens",
    "logprobs": "the wire tells no probabilities",
    "top_logprobs": "the wire tells no probabilities",
}

_METADATA = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
MOST_METADATA = 16
MODEL_FIELDS = "additionalModelRequestFields"


class _Inference(msgspec.Struct):
    """The types that members of `inferenceConfig` must have."""

    maxTokens: int | None = None
    temperature: Json = None
    topP: Json = None
    stopSequences: tuple[str, ...] | None = None


def decode_request(body: bytes, line: RequestLine) -> Request:
    """A client's request. Raises RequestError naming the member."""
    if not line.model:
        raise RequestError("the path must name a model", "modelId")
    try:
        document = json.loads(body)
        members: dict[str, msgspec.Raw] = _MEMBERS.decode(body)
    except (MalformedJSON, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not a JSON object: {error}") from error
    if not isinstance(document, dict):
        raise RequestError("the body must be a JSON object")
    residue: Document = dict(document)
    arguments = arguments_of_turns(members.get("messages", msgspec.Raw(b"")))
    messages = decode_turns(residue.pop("messages", None), arguments)
    if not is_empty(residue.get("system")):
        messages.insert(0, decode_system(residue.pop("system")))
    fields: dict[str, Any] = {"model": line.model, "messages": tuple(messages)}
    if line.stream:
        fields["stream"] = True
    for decode in (_routing, _inference, decode_tools, _output, _reasoning, _rest):
        decode(residue, fields)
    return Request(ext=keep(residue), **fields)


_MEMBERS: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _routing(residue: Document, fields: dict[str, Any]) -> None:
    routing = {k: residue.pop(k) for k in ROUTING if not is_empty(residue.get(k))}
    if routing:
        fields["routing"] = routing


def _inference(residue: Document, fields: dict[str, Any]) -> None:
    config = residue.get("inferenceConfig")
    if not isinstance(config, Mapping):
        return
    values, rest = take(config, *_Inference.__struct_fields__)
    try:
        known = msgspec.convert(values, _Inference)
    except msgspec.ValidationError as error:
        raise RequestError(str(error), "inferenceConfig") from error
    if known.maxTokens is not None:
        fields["max_output_tokens"] = known.maxTokens
    if known.temperature is not None or known.topP is not None:
        fields["sampling"] = Sampling(temperature=known.temperature, top_p=known.topP)
    if known.stopSequences:
        fields["stop"] = known.stopSequences
    del residue["inferenceConfig"]
    if rest or not values:
        residue["inferenceConfig"] = rest


def _output(residue: Document, fields: dict[str, Any]) -> None:
    """A schema, which the wire holds as JSON text."""
    config = residue.get("outputConfig")
    if not isinstance(config, Mapping):
        return
    format_ = config.get("textFormat")
    if not isinstance(format_, Mapping) or format_.keys() != {"type", "structure"}:
        return
    structure = format_["structure"]
    inner = structure.get("jsonSchema") if isinstance(structure, Mapping) else None
    if format_["type"] != "json_schema" or not isinstance(inner, Mapping) or len(structure) != 1:
        return
    values, rest = take(inner, "schema", "name")
    told = values.get("schema")
    try:
        schema = json.loads(told) if isinstance(told, str) else None
    except MalformedJSON:
        schema = None
    if schema is None or not isinstance(values.get("name", ""), str):
        return
    if json.dumps(schema).decode() != told:
        rest["@schema"] = told
    fields["output"] = Output("schema", schema, values.get("name"), ext=keep(rest))
    _leave(residue, "outputConfig", {k: v for k, v in config.items() if k != "textFormat"})


def _leave(residue: Document, member: str, rest: Document) -> None:
    """Put back what is left of an object."""
    if rest:
        residue[member] = rest
    else:
        del residue[member]


def _reasoning(residue: Document, fields: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    config = residue.get("outputConfig")
    if isinstance(config, Mapping) and text(config.get("effort")) in EFFORTS:
        found["effort"] = config["effort"]
        _leave(residue, "outputConfig", {k: v for k, v in config.items() if k != "effort"})
    extra = residue.get(MODEL_FIELDS)
    thinking = extra.get("thinking") if isinstance(extra, Mapping) else None
    read = _read_thinking(thinking)
    if read is not None and isinstance(extra, Mapping):
        found.update(read)
        _leave(residue, MODEL_FIELDS, {k: v for k, v in extra.items() if k != "thinking"})
    if found:
        fields["reasoning"] = Reasoning(ext=keep({}), **found)


def _read_thinking(thinking: Json) -> dict[str, Any] | None:
    """`thinking` in the two forms that `_encode_thinking` writes, None for any other."""
    if thinking == {"type": "adaptive"}:
        return {"enabled": True}
    if not isinstance(thinking, Mapping) or thinking.keys() != {"type", "budget_tokens"}:
        return None
    budget = integer(thinking["budget_tokens"])
    if thinking["type"] != "enabled" or budget is None:
        return None
    return {"enabled": True, "budget": budget}


def _rest(residue: Document, fields: dict[str, Any]) -> None:
    tier = residue.get("serviceTier")
    if isinstance(tier, Mapping) and tier.keys() == {"type"} and isinstance(tier["type"], str):
        fields["service_tier"] = tier["type"]
        del residue["serviceTier"]
    metadata = residue.get("requestMetadata")
    if isinstance(metadata, Mapping) and metadata:
        fields["metadata"] = residue.pop("requestMetadata")


def encode_request(request: Request) -> tuple[bytes, tuple[Any, ...]]:
    """The request as JSON text, and what this dialect has no place for. Raises RequestError."""
    writing = Writing(to_client=False)
    document: Document = {}
    system, turns = encode_conversation(request.messages, writing)
    if request.cache is not None:
        mark_end(turns, request.cache, writing)
    if not turns and not is_native(request.ext):
        raise RequestError("a request needs a message besides system prompts", "/messages")
    document["messages"] = turns
    if system:
        document["system"] = system
    document.update({k: v for k, v in give(request.ext).items() if k not in document})
    writing.losses += foreign(request.ext, DIALECT, "")
    _encode_inference(request, document, writing)
    encode_tools(request, document, writing)
    _encode_output(request, document, writing)
    if request.reasoning is not None:
        _encode_reasoning(request.reasoning, document, writing)
    _encode_rest(request, document, writing)
    if is_native(request.ext):
        document.update(request.routing or {})  # never from another dialect (R14)
    return json.dumps(document), tuple(writing.losses)


def _encode_inference(request: Request, document: Document, writing: Writing) -> None:
    if request.n not in (None, 1):
        raise RequestError("the wire gives one answer to a request", "/n")
    sampling = request.sampling
    temperature = sampling.temperature
    is_number = isinstance(temperature, int | float | Decimal)
    if is_number and temperature > 1 and not is_native(request.ext):
        temperature = 1
        writing.approximate("/sampling/temperature", "the wire's temperatures end at 1")
    members = {
        "maxTokens": request.max_output_tokens,
        "temperature": temperature,
        "topP": sampling.top_p,
        "stopSequences": list(request.stop) or None,
    }
    known = {key: value for key, value in members.items() if value is not None}
    if known:
        merge(document, "inferenceConfig", known)
    for name, why in DROPPED_SAMPLING.items():
        value = getattr(sampling, name)
        if (
            not is_empty(value)
            and value is not False
            and not (name == "top_logprobs" and not value)
        ):
            writing.drop(f"/sampling/{name}", why)


def _encode_output(request: Request, document: Document, writing: Writing) -> None:
    """The wire holds every answer to its schema exactly: strict without being told."""
    output = request.output
    if output is None or output.kind == "text":
        return
    if output.kind != "schema" or output.schema is None:
        raise RequestError("the wire promises JSON of a given schema only", "/output/kind")
    writing.losses += foreign(output.ext, DIALECT, "/output")
    told = note(output.ext, "schema") or json.dumps(output.schema).decode()
    inner: Document = {**give(output.ext), "schema": told}
    if output.name is not None:
        inner["name"] = output.name
    format_ = {"type": "json_schema", "structure": {"jsonSchema": inner}}
    merge(document, "outputConfig", {"textFormat": format_})


def _encode_reasoning(reasoning: Reasoning, document: Document, writing: Writing) -> None:
    effort = EFFORTS.get(reasoning.effort or "")
    if effort is not None:
        merge(document, "outputConfig", {"effort": effort})
        if effort != reasoning.effort:
            writing.approximate("/reasoning/effort", f"the wire's least effort is {effort}")
    elif reasoning.effort == OFF:
        writing.approximate("/reasoning/effort", NOT_ASKED)
    elif reasoning.effort is not None:
        writing.drop("/reasoning/effort", "the wire has no such effort")
    if reasoning.enabled is False and reasoning.effort != OFF:
        writing.approximate("/reasoning/enabled", NOT_ASKED)
    if reasoning.budget is not None and reasoning.enabled is not False:
        thinking: Document = {"type": "enabled", "budget_tokens": reasoning.budget}
        merge(document, MODEL_FIELDS, {"thinking": thinking})
    elif reasoning.enabled:
        merge(document, MODEL_FIELDS, {"thinking": {"type": "adaptive"}})
    if reasoning.exclude:
        writing.drop("/reasoning/exclude", "reasoning comes with every answer that has it")
    if reasoning.summary is not None:
        writing.drop("/reasoning/summary", "the wire does not choose between summaries")
    writing.losses += foreign(reasoning.ext, DIALECT, "/reasoning")


def _encode_rest(request: Request, document: Document, writing: Writing) -> None:
    tier = SAME_TIER.get(request.service_tier or "", request.service_tier)
    if tier is not None and (tier in TIERS or is_native(request.ext)):
        document["serviceTier"] = {"type": tier}
    elif tier is not None:
        writing.drop("/service_tier", "the wire has no such tier")
    if request.metadata is not None:
        metadata = _metadata(request.metadata, writing, native=is_native(request.ext))
        if metadata:
            document["requestMetadata"] = metadata
    for field, why in DROPPED.items():
        value = getattr(request, field)
        if not is_empty(value) and value is not NEUTRAL.get(field, value is None):
            writing.drop(f"/{field}", why)


def _metadata(metadata: Json, writing: Writing, *, native: bool) -> Json:
    """Labels for the operator's logs: at most 16, of certain characters."""
    if native or not isinstance(metadata, Mapping):
        return metadata if native else None
    found: Document = {}
    for key, value in metadata.items():
        fits = isinstance(value, str) and _METADATA.fullmatch(value)
        if fits and key and _METADATA.fullmatch(key) and len(found) < MOST_METADATA:
            found[key] = value
        else:
            step = key.replace("~", "~0").replace("/", "~1")
            writing.drop(f"/metadata/{step}", "a label of this wire is a short text")
    return found
