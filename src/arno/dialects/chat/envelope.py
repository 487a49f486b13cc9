"""What a gateway reads of a request without decoding it, and the edits it makes.

See `arno.dialects.bodies` for what is checked in every dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects import bodies
from arno.dialects.base import Envelope

MAX_CHOICES = 8
"""Alternative answers that a request may ask for, where an upstream gives several at all."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _UsageOptions(msgspec.Struct):
    include: bool | None = None


class _Members(msgspec.Struct):
    """The members a gateway looks into."""

    model: str | None = None
    models: list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    usage: _UsageOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None


_LISTS = {"messages": bodies.MOST_MESSAGES, "tools": bodies.MOST_TOOLS}
_NAMES = frozenset(_Members.__struct_fields__)
_DECODER = msgspec.json.Decoder(_Members)


def peek(body: bytes) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    raw = bodies.members_of(body)
    members = bodies.decoded(_DECODER, bodies.looked_at(raw, _NAMES))
    bodies.check_operators(raw)
    model = bodies.check_model(members.model, "model")
    bodies.check_array(raw, "messages")
    bodies.check_counts(raw, _LISTS)
    for name in ("max_tokens", "max_completion_tokens"):
        bodies.check_limit(getattr(members, name), name)
    if members.n is not None and not 1 <= members.n <= MAX_CHOICES:
        raise RequestError(f"n must be a number from 1 to {MAX_CHOICES}", "n")
    models = bodies.check_models(members.models or (), "models")
    bodies.check_length(members.user, "user")
    bodies.check_length(members.session_id, "session_id")
    bodies.check_doubles(body)
    asked = bool(members.stream_options and members.stream_options.include_usage) or bool(
        members.usage and members.usage.include
    )
    return Envelope(
        model=model,
        models=models,
        stream=bool(members.stream),
        include_usage=asked,
        routing=members.provider,
        user=members.user,
        session_id=members.session_id,
        choices=1 if members.n is None else members.n,
        members=raw,
    )


def edit_request(
    body: bytes,
    *,
    model: str | None,
    contract: bool,
    ask_usage: bool,
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
        changed = bodies.drop_routing(members) or changed
        changed = bodies.hide_user(members) or changed
    if ask_usage and not contract:
        changed = _switch_usage_on(members) or changed
    return msgspec.json.encode(members) if changed else body


def _switch_usage_on(members: dict[str, Raw]) -> bool:
    options = members.get("stream_options")
    document = None if options is None else msgspec.json.decode(options)
    if not isinstance(document, dict):
        document = {}
    if document.get("include_usage") is True:
        return False
    document["include_usage"] = True
    members["stream_options"] = Raw(msgspec.json.encode(document))
    return True
