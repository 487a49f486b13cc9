"""What a gateway reads of a request without decoding it, and the edits it makes.

See `arno.dialects.bodies` for what is checked in every dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.dialects import bodies, tags
from arno.dialects.base import Envelope
from arno.wire import json

ELSEWHERE = ("prompt", "conversation", "previous_response_id")
"""Members that say where the conversation is, so that `input` may be left out."""


class _Members(msgspec.Struct):
    """The members a gateway looks into."""

    model: str | None = None
    models: list[str] | None = None
    stream: bool | None = None
    background: bool | None = None
    max_output_tokens: int | None = None
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None


_LISTS = {"input": bodies.MOST_MESSAGES, "tools": bodies.MOST_TOOLS}
_NAMES = frozenset(_Members.__struct_fields__)
_DECODER = msgspec.json.Decoder(_Members)


def peek(body: bytes) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    raw = bodies.members_of(body)
    members = bodies.decoded(_DECODER, bodies.looked_at(raw, _NAMES))
    bodies.check_operators(raw)
    model = bodies.check_model(members.model, "model")
    _check_input(raw)
    bodies.check_counts(raw, _LISTS)
    bodies.check_limit(members.max_output_tokens, "max_output_tokens")
    if members.background:
        raise RequestError("answers are not made in the background here", "background")
    models = bodies.check_models(members.models or (), "models")
    bodies.check_length(members.user, "user")
    bodies.check_length(members.session_id, "session_id")
    bodies.check_doubles(body)
    return Envelope(
        model=model,
        models=models,
        stream=bool(members.stream),
        include_usage=True,
        routing=members.provider,
        user=members.user,
        session_id=members.session_id,
        members=raw,
    )


def _check_input(members: Mapping[str, Raw]) -> None:
    given = bodies.raw_text(members, "input")
    kept = [bodies.raw_text(members, name) for name in ELSEWHERE]
    empty = given in (b"", b"null", b'""') or (given[:1] == b"[" and given[1:].strip() == b"]")
    if empty and all(each in (b"", b"null") for each in kept):
        raise RequestError("input must be a string or a non-empty array of items", "input")
    if given and not given.startswith((b"[", b'"', b"null")):
        raise RequestError("input must be a string or a non-empty array of items", "input")


def edit_request(
    body: bytes,
    *,
    model: str | None,
    contract: bool,
    members: Mapping[str, Raw] | None = None,
) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes.

    Usage is always told on this wire, so it need not be asked for. Artefacts that we have tagged
    are another wire's, which no upstream of this one reads: their items stay here (R18).
    """
    tagged = tags.may_hold(body)
    if contract and model is None and not tagged:
        return body
    members = dict(members) if members is not None else bodies.members_of(body)
    changed = tagged and _drop_tagged(members)
    changed = bodies.set_model(members, model) or changed
    if not contract:
        changed = bodies.drop_routing(members) or changed
        changed = bodies.hide_user(members) or changed
    return msgspec.json.encode(members) if changed else body


def _drop_tagged(members: dict[str, Raw]) -> bool:
    """Take what we have tagged out of `input`: items of reasoning, and proofs on other items."""
    given = json.loads(bytes(members.get("input", b"null")))
    if not isinstance(given, list):
        return False
    left = [_unsigned(item) for item in given if not _is_tag(item, "encrypted_content")]
    members["input"] = Raw(json.dumps(left))
    return left != given


def _unsigned(item: Json) -> Json:
    if not _is_tag(item, "signature"):
        return item
    return {key: value for key, value in item.items() if key != "signature"}


def _is_tag(item: Json, member: str) -> bool:
    value = item.get(member) if isinstance(item, Mapping) else None
    return isinstance(value, str) and tags.read(value) is not None
