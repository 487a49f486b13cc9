"""What a gateway reads of a request without decoding it, and the edits it makes.

The model and whether a stream is asked for stand in the path, so another model is no edit of the
body. See `arno.dialects.bodies` for what is checked in every dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects import bodies
from arno.dialects.base import Envelope, RequestLine


class _Inference(msgspec.Struct):
    maxTokens: int | None = None


class _Members(msgspec.Struct):
    """The members a gateway looks into."""

    inferenceConfig: _Inference | None = None
    models: list[str] | None = None
    provider: dict[str, Any] | None = None
    session_id: str | None = None


_NAMES = frozenset(_Members.__struct_fields__)
_DECODER = msgspec.json.Decoder(_Members)


def peek(body: bytes, line: RequestLine) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    if not line.model:
        raise RequestError("the path must name a model", "modelId")
    model = bodies.check_model(line.model, "modelId")
    raw = bodies.members_of(body)
    members = bodies.decoded(_DECODER, bodies.looked_at(raw, _NAMES))
    bodies.check_operators(raw)
    bodies.check_array(raw, "messages")
    if members.inferenceConfig is not None:
        bodies.check_limit(members.inferenceConfig.maxTokens, "inferenceConfig.maxTokens")
    bodies.check_length(members.session_id, "session_id")
    return Envelope(
        model=model,
        models=bodies.check_models(members.models or (), "models"),
        stream=bool(line.stream),
        include_usage=True,
        routing=members.provider,
        session_id=members.session_id,
        members=raw,
    )


def edit_request(body: bytes, *, contract: bool, members: Mapping[str, Raw] | None = None) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes."""
    if contract:
        return body
    members = dict(members) if members is not None else bodies.members_of(body)
    return msgspec.json.encode(members) if bodies.drop_routing(members) else body
