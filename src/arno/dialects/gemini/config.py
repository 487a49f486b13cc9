"""`generationConfig`: sampling, limits, the shape of the answer and how much to think.

Every member is in one of the tables below or stays residue. Source: Gemini API reference,
"GenerationConfig" and "ThinkingConfig".
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.request import Output, Request, Sampling
from arno.dialects.disclosure import foreign
from arno.dialects.gemini.residue import DIALECT, give, is_native, keep, note, respell, take_spelled
from arno.dialects.gemini.schemas import json_schema
from arno.dialects.gemini.thinking import decode_thinking, encode_thinking
from arno.dialects.residue import Document, take

CONFIG = "generationConfig"
SAMPLING: dict[str, str] = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "seed": "seed",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
}
"""Wire member to field of `Sampling`, value unchanged."""

LIMITS: dict[str, str] = {
    "maxOutputTokens": "max_output_tokens",
    "candidateCount": "n",
    "stopSequences": "stop",
}
"""Wire member to field of `Request`."""

MIME, SCHEMA, OLD_SCHEMA = "responseMimeType", "responseJsonSchema", "responseSchema"
MODALITIES, THINKING = "responseModalities", "thinkingConfig"
JSON, PLAIN = "application/json", "text/plain"
MOST_STOPS = 5
"""Stop sequences that the wire takes. Source: Gemini API reference, "GenerationConfig"."""

NOWHERE: dict[str, str] = {
    "min_p": "only chat requests of open models have it",
    "repetition_penalty": "only chat requests of open models have it",
    "logit_bias": "only a chat request biases single tokens",
}
"""Fields of `Sampling` that the wire has not, and why."""


class _Types(msgspec.Struct, rename="camel"):
    """The types that members must have whose meaning depends on it."""

    max_output_tokens: int | None = None
    candidate_count: int | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None


def decode_config(value: Json, fields: dict[str, Any], residue: Document) -> None:
    """`generationConfig` into `fields`; the rest stays residue. Raises RequestError."""
    if not isinstance(value, Mapping):
        raise RequestError("generationConfig must be an object", CONFIG)
    values, rest = take_spelled(
        value, *SAMPLING, *LIMITS, MIME, SCHEMA, OLD_SCHEMA, MODALITIES, THINKING
    )
    _check(values)
    residue["@config"] = rest.pop("@snake", ())
    residue[CONFIG] = rest
    sampling = {field: values[name] for name, field in SAMPLING.items() if name in values}
    if sampling:
        fields["sampling"] = Sampling(**sampling)
    for name, field in LIMITS.items():
        if name in values:
            member = values[name]
            fields[field] = tuple(member) if isinstance(member, list) else member
    _take_output(values, fields, rest)
    _take_modalities(values, residue, rest)
    if THINKING in values:
        thinking = decode_thinking(values[THINKING])
        if thinking is None:
            rest[THINKING] = values[THINKING]
        else:
            fields["reasoning"] = thinking


def _check(values: Document) -> None:
    try:
        msgspec.convert(values, _Types)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise RequestError(message, f"{CONFIG}{path.rstrip('`')}") from error
    for name in ("temperature", "topP", "topK", "presencePenalty", "frequencyPenalty"):
        value = values.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise RequestError("it must be a number", f"{CONFIG}.{name}")
    for name in ("maxOutputTokens", "candidateCount"):
        if not 1 <= values.get(name, 1) <= 2**31:
            raise RequestError("it must be a positive number below 2^31", f"{CONFIG}.{name}")


def _take_modalities(values: Document, residue: Document, rest: Document) -> None:
    """Text alone is what every wire answers with, so asking for it asks for nothing."""
    wanted = values.get(MODALITIES)
    if wanted == ["TEXT"]:
        residue["@modalities"] = wanted
    elif wanted is not None:
        rest[MODALITIES] = wanted


def _take_output(values: Document, fields: dict[str, Any], rest: Document) -> None:
    mime = values.get(MIME)
    new, old = values.get(SCHEMA), values.get(OLD_SCHEMA)
    if mime in (None, JSON) and (new is not None or old is not None):
        notes: Document = {"@mime": mime is not None}
        if new is None:
            notes["@schema"] = old
        elif old is not None:
            rest[OLD_SCHEMA] = old
        schema = json_schema(old) if new is None else new
        fields["output"] = Output(kind="schema", schema=schema, ext=keep(notes))
    elif mime == JSON:
        fields["output"] = Output(kind="json", ext=keep({}))
    elif mime == PLAIN and new is None and old is None:
        fields["output"] = Output(kind="text", ext=keep({}))
    else:
        rest.update(take(values, MIME, SCHEMA, OLD_SCHEMA)[0])


def encode_config(request: Request, document: Document, losses: list[Loss]) -> None:
    """Write `document["generationConfig"]`, over whatever was kept there. Raises RequestError."""
    kept = document.get(CONFIG)
    config: Document = dict(kept) if isinstance(kept, Mapping) else {}
    _encode_sampling(request, config, losses)
    _encode_limits(request, config)
    if request.output is not None:
        config.update(_encode_output(request.output))
        losses += foreign(request.output.ext, DIALECT, "/output")
    if note(request.ext, "modalities") is not None:
        config[MODALITIES] = note(request.ext, "modalities")
    if request.reasoning is not None:
        losses += foreign(request.reasoning.ext, DIALECT, "/reasoning")
        thinking = encode_thinking(request.reasoning, request.model, losses)
        if thinking is not None:
            config[THINKING] = thinking
    if config or CONFIG in document:
        document[CONFIG] = respell(config, note(request.ext, "config"))


def _encode_sampling(request: Request, config: Document, losses: list[Loss]) -> None:
    for name, field in SAMPLING.items():
        if getattr(request.sampling, field) is not None:
            config[name] = getattr(request.sampling, field)
    for field, why in NOWHERE.items():
        if not is_empty(getattr(request.sampling, field)):
            losses.append(Loss(f"/sampling/{field}", "dropped", why))


def _encode_limits(request: Request, config: Document) -> None:
    if len(request.stop) > MOST_STOPS and not is_native(request.ext):
        raise RequestError(f"at most {MOST_STOPS} stop sequences are possible here", "/stop")
    if request.stop:
        config["stopSequences"] = list(request.stop)
    for name, field in LIMITS.items():
        value = getattr(request, field)
        if value is not None and field != "stop":
            config[name] = value


def _encode_output(output: Output) -> Document:
    """The shape asked for. The wire always keeps to it, so `strict` needs no word of its own."""
    if output.kind != "schema":
        return {MIME: JSON if output.kind == "json" else PLAIN, **give(output.ext)}
    members: Document = {MIME: JSON}
    if is_native(output.ext) and not note(output.ext, "mime"):
        members = {}
    old = note(output.ext, "schema")
    if old is not None:
        return {**members, OLD_SCHEMA: old}
    return {**members, SCHEMA: output.schema if output.schema is not None else {}}
