"""What a gateway reads of a request without decoding it, and the edits it makes.

The model and whether a stream is asked for stand in the path. See `arno.dialects.bodies` for what
is checked in every dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.dialects import bodies, tags
from arno.dialects.base import Envelope, RequestLine
from arno.dialects.gemini import documents
from arno.wire import json

MOST_CHOICES = 8
"""Candidates that a request may ask for."""

_LISTS = {"contents": bodies.MOST_MESSAGES, "tools": bodies.MOST_TOOLS}


class _Config(
    msgspec.Struct,
    rename={
        "choices": "candidateCount",
        "snake_choices": "candidate_count",
        "limit": "maxOutputTokens",
        "snake_limit": "max_output_tokens",
    },
):
    """Members of `generationConfig`, in both spellings."""

    choices: int | None = None
    snake_choices: int | None = None
    limit: int | None = None
    snake_limit: int | None = None


class _Members(
    msgspec.Struct, rename={"config": "generationConfig", "snake_config": "generation_config"}
):
    """The members a gateway looks into."""

    models: list[str] | None = None
    provider: dict[str, Any] | None = None
    session_id: str | None = None
    user: str | None = None
    config: _Config | None = None
    snake_config: _Config | None = None


_NAMES = frozenset(_Members.__struct_encode_fields__)
_DECODER = msgspec.json.Decoder(_Members)


def peek(body: bytes, line: RequestLine) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    raw = bodies.members_of(body)
    members = bodies.decoded(_DECODER, bodies.looked_at(raw, _NAMES))
    bodies.check_operators(raw)
    model = bodies.check_model(line.model, "model")
    bodies.check_array(raw, "contents")
    bodies.check_counts(raw, _LISTS)
    for each in (members.config, members.snake_config):
        if each is not None:
            _check_config(each)
    models = bodies.check_models(members.models or (), "models")
    bodies.check_length(members.session_id, "session_id")
    config = members.config or members.snake_config or _Config()
    return Envelope(
        model=model,
        models=models,
        stream=bool(line.stream),
        include_usage=True,
        routing=members.provider,
        user=members.user,
        session_id=members.session_id,
        choices=_first(config.choices, config.snake_choices) or 1,
        members=raw,
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _check_config(config: _Config) -> None:
    for limit in (config.limit, config.snake_limit):
        bodies.check_limit(limit, "generationConfig.maxOutputTokens")
    for choices in (config.choices, config.snake_choices):
        if choices is not None and not 1 <= choices <= MOST_CHOICES:
            where = "generationConfig.candidateCount"
            raise RequestError(f"it must be 1 to {MOST_CHOICES}", where)


def edit_request(body: bytes, *, contract: bool, members: Mapping[str, Raw] | None = None) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes.

    members: what `peek` has cut `body` into, if it is at hand. Artefacts of other wires' models,
    which clients send back tagged, are for no upstream of this dialect (R18).
    """
    if contract:
        return body
    told = dict(members) if members is not None else bodies.members_of(body)
    gone = bodies.drop_routing(told)
    tagged = tags.may_hold(body)
    if not gone and not tagged:
        return body
    if tagged and "contents" in told:
        told["contents"] = Raw(_without_tags(bytes(told["contents"])))
    return msgspec.json.encode(told)


def _without_tags(contents: bytes) -> bytes:
    """The conversation without tags, and without thoughts that were of another wire."""
    value = documents.loads(b'{"contents":%b}' % contents)
    turns = value.get("contents") if isinstance(value, dict) else None
    told: list[Json] = []
    for turn in turns if isinstance(turns, list) else ():
        parts = turn.get("parts") if isinstance(turn, dict) else None
        if isinstance(parts, list) and parts:
            turn["parts"] = [kept for part in parts if (kept := _without_tag(part)) is not None]
            told += [turn] if turn["parts"] else []
        else:
            told.append(turn)
    return json.dumps(told)


def _without_tag(part: Json) -> Json:
    if not isinstance(part, dict):
        return part
    names = [name for name in ("thoughtSignature", "thought_signature") if name in part]
    if not any(isinstance(v := part[name], str) and tags.is_like(v) for name in names):
        return part
    if part.get("thought") is True:
        return None
    return {name: value for name, value in part.items() if name not in names}
