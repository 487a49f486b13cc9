"""What a gateway reads of a request without decoding it, and the edits it makes.

The model and whether a stream is asked for stand in the path, so another model is no edit of the
body. Big members (messages, tools) stay raw bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects.base import Envelope, RequestLine
from arno.dialects.bodies import (
    ROUTING,
    check_array,
    check_length,
    check_limit,
    check_model,
    check_models,
    check_operators,
    decoded,
    looked_at,
    members_of,
)


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
_ROUTING = frozenset(ROUTING)


def peek(body: bytes, line: RequestLine) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    if not line.model:
        raise RequestError("the path must name a model", "modelId")
    model = check_model(line.model, "modelId")
    raw = members_of(body)
    members = decoded(_DECODER, looked_at(raw, _NAMES))
    check_operators(raw)
    check_array(raw, "messages")
    if members.inferenceConfig is not None:
        check_limit(members.inferenceConfig.maxTokens, "inferenceConfig.maxTokens")
    check_length(members.session_id, "session_id")
    return Envelope(
        model=model,
        models=check_models(members.models or (), "models"),
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
    found = members if members is not None else members_of(body)
    if _ROUTING.isdisjoint(found):
        return body
    return msgspec.json.encode({k: v for k, v in found.items() if k not in _ROUTING})
