"""What a gateway reads of a request without decoding it, and the edits it makes.

The model and whether a stream is asked for stand in the path. Big members (contents, tools) stay
raw bytes; a body in which nothing changes goes on as it came.
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
from arno.dialects.gemini.request import ROUTING
from arno.wire import json

MAX_MODEL = 256
MAX_MODELS = 16
MOST_CHOICES = 8
MAX_SESSION = 256

OPERATORS = frozenset({"api_base", "api_key", "base_url", "extra_headers"})
"""Members by which other gateways let a request say where it goes, and with which key (R35)."""

_ABSENT = Raw()
_LISTS = {"contents": bodies.MOST_MESSAGES, "tools": bodies.MOST_TOOLS}
_ROUTING = frozenset(ROUTING)


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
_MAP_DECODER = msgspec.json.Decoder(dict[str, Raw])


def peek(body: bytes, line: RequestLine) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    _check_text(body)
    try:
        raw = _MAP_DECODER.decode(body)
        members = _DECODER.decode(_looked_at(raw))
    except msgspec.ValidationError as error:
        raise _named(error) from error
    except RecursionError as error:
        raise RequestError("the body is nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    for name in sorted(OPERATORS & raw.keys()):
        if _raw(raw[name]) != b"null":
            raise RequestError("this is for the operator to say, not for a request", name)
    model = line.model or ""
    _check_model(model, "model")
    _check_members(members, raw)
    config = members.config or members.snake_config or _Config()
    return Envelope(
        model=model,
        models=tuple(members.models or ()),
        stream=bool(line.stream),
        include_usage=True,
        routing=members.provider,
        user=members.user,
        session_id=members.session_id,
        choices=_first(config.choices, config.snake_choices) or 1,
        members=raw,
    )


def _named(error: msgspec.ValidationError) -> RequestError:
    """A complaint about a value's type with the member's name as its path."""
    message, _, path = str(error).partition(" - at `$")
    return RequestError(message, path.strip("`."))


def _looked_at(members: dict[str, Raw]) -> bytes:
    """A body of those members alone that are decoded."""
    wanted = [b'"%b":%b' % (name.encode(), members[name]) for name in _NAMES & members.keys()]
    return b"{%b}" % b",".join(wanted)


def _check_text(body: bytes) -> None:
    """The members that stay raw bytes are not decoded, so their encoding is looked at here."""
    if not body.strip():
        raise RequestError("the body is empty")
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"the body is not UTF-8 (at byte {error.start})") from error


def _raw(member: Raw) -> bytes:
    return bytes(member).strip()


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _check_members(members: _Members, raw: Mapping[str, Raw]) -> None:
    contents = _raw(raw.get("contents", _ABSENT))
    if not contents.startswith(b"[") or contents[1:].lstrip().startswith(b"]"):
        raise RequestError("contents must be a non-empty array", "contents")
    bodies.check_counts(raw, _LISTS)
    for config in (members.config, members.snake_config):
        if config is not None:
            _check_config(config)
    if len(members.models or ()) > MAX_MODELS:
        raise RequestError(f"models must have at most {MAX_MODELS} entries", "models")
    for number, model in enumerate(members.models or ()):
        _check_model(model, f"models[{number}]")
    if len(members.session_id or "") > MAX_SESSION:
        raise RequestError(f"session_id must have at most {MAX_SESSION} characters", "session_id")


def _check_config(config: _Config) -> None:
    for limit in (config.limit, config.snake_limit):
        if limit is not None and not 1 <= limit <= 2**31:
            where = "generationConfig.maxOutputTokens"
            raise RequestError("it must be a positive number below 2^31", where)
    for choices in (config.choices, config.snake_choices):
        if choices is not None and not 1 <= choices <= MOST_CHOICES:
            where = "generationConfig.candidateCount"
            raise RequestError(f"it must be 1 to {MOST_CHOICES}", where)


def _check_model(model: str, path: str) -> None:
    if not model or len(model) > MAX_MODEL or not model.isprintable():
        raise RequestError(f"{path} must be printable, 1 to {MAX_MODEL} characters", path)


def edit_request(body: bytes, *, contract: bool, members: Mapping[str, Raw] | None = None) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes.

    members: what `peek` has cut `body` into, if it is at hand. Artefacts of other wires' models,
    which clients send back tagged, are for no upstream of this dialect (R18).
    """
    if contract:
        return body
    told = dict(members) if members is not None else _MAP_DECODER.decode(body)
    gone = _ROUTING & told.keys()
    tagged = tags.may_hold(body)
    if not gone and not tagged:
        return body
    for name in gone:
        del told[name]
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
