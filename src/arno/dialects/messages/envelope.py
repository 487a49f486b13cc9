"""What a gateway reads of a messages request without decoding it, and the edits it makes.

See `arno.dialects.bodies` for what is checked in every dialect. Clients may leave `max_tokens` out
(contract, section 4.9), which upstreams do not take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.dialects import bodies
from arno.dialects.base import BODY_ONLY, Envelope, RequestLine
from arno.dialects.messages.repair import repaired
from arno.dialects.messages.thinking import DEFAULT_MAX_TOKENS


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Fallback(msgspec.Struct):
    model: str


class _Members(msgspec.Struct):
    """The members a gateway looks into."""

    model: str | None = None
    models: list[str] | None = None
    fallbacks: list[_Fallback] | None = None
    stream: bool | None = None
    max_tokens: int | None = None
    metadata: _Metadata | None = None
    provider: dict[str, Any] | None = None
    session_id: str | None = None


_LISTS = {"messages": bodies.MOST_MESSAGES, "tools": bodies.MOST_TOOLS}
_NAMES = frozenset(_Members.__struct_fields__)
_DECODER = msgspec.json.Decoder(_Members)


def peek(body: bytes, line: RequestLine = BODY_ONLY) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    raw = bodies.members_of(body)
    members = bodies.decoded(_DECODER, bodies.looked_at(raw, _NAMES))
    bodies.check_operators(raw)
    model = bodies.check_model(members.model or line.model, "model")
    bodies.check_array(raw, "messages")
    bodies.check_counts(raw, _LISTS)
    bodies.check_limit(members.max_tokens, "max_tokens")
    fallbacks = [fallback.model for fallback in members.fallbacks or ()]
    models = bodies.check_models(members.models or (), "models")
    models = models or bodies.check_models(fallbacks, "fallbacks")
    user = members.metadata.user_id if members.metadata else None
    bodies.check_length(user, "user", "metadata.user_id")
    bodies.check_length(members.session_id, "session_id")
    bodies.check_doubles(body)
    return Envelope(
        model=model,
        models=models,
        stream=bool(members.stream),
        include_usage=True,
        routing=members.provider,
        user=user,
        session_id=members.session_id,
        members=raw,
    )


def edit_request(
    body: bytes,
    *,
    model: str | None,
    contract: bool,
    members: Mapping[str, Raw] | None = None,
) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes.

    members: what `peek` has cut `body` into, if it is at hand.
    """
    if contract and model is None:
        return body
    members = dict(members) if members is not None else bodies.members_of(body)
    changed = bodies.set_model(members, model)
    if not contract:
        changed = _make_plain(members) or changed
    return msgspec.json.encode(members) if changed else body


def _make_plain(members: dict[str, Raw]) -> bool:
    """Take out what only gateways of the contract read, put in what upstreams need."""
    before = dict(members)
    bodies.drop_routing(members)
    if bodies.raw_text(members, "max_tokens") in (b"", b"null"):
        members["max_tokens"] = Raw(str(DEFAULT_MAX_TOKENS).encode())
    _hide_user(members)
    messages = repaired(members["messages"])
    if messages is not None:
        members["messages"] = messages
    return members != before


def _hide_user(members: dict[str, Raw]) -> None:
    """The end user's id for an upstream of another contract: the same each time, not readable."""
    if "metadata" not in members:
        return
    metadata = msgspec.json.decode(members["metadata"])
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(user, str) and user:
        metadata["user_id"] = bodies.private_id(user)
        members["metadata"] = Raw(msgspec.json.encode(metadata))
