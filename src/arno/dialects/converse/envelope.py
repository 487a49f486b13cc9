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
from arno.dialects.converse.request import ROUTING

MAX_MODEL = 2048
"""Characters of a model's id, which may be a long resource name. Source: ConversationalModelId."""

MAX_MODELS = 16
MAX_SESSION = 256

OPERATORS = frozenset({"api_base", "api_key", "base_url", "extra_headers"})
"""Members by which other gateways let a request say where it goes, and with which key (R35)."""


class _Inference(msgspec.Struct):
    maxTokens: int | None = None


class _Members(msgspec.Struct):
    """The members a gateway looks into."""

    inferenceConfig: _Inference | None = None
    models: list[str] | None = None
    provider: dict[str, Any] | None = None
    session_id: str | None = None


_DECODER = msgspec.json.Decoder(_Members)
_MAP: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])
_ROUTING = frozenset(ROUTING)


def peek(body: bytes, line: RequestLine) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    if not line.model:
        raise RequestError("the path must name a model", "modelId")
    _check_model(line.model, "modelId")
    try:
        body.decode()
        raw = _MAP.decode(body)
        members = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        raise RequestError(message, path.strip("`.")) from error
    except RecursionError as error:
        raise RequestError("the body is nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    _check(raw, members)
    return Envelope(
        model=line.model,
        models=tuple(members.models or ()),
        stream=bool(line.stream),
        include_usage=True,
        routing=members.provider,
        session_id=members.session_id,
        members=raw,
    )


def _check(raw: Mapping[str, Raw], members: _Members) -> None:
    for name in sorted(OPERATORS & raw.keys()):
        if bytes(raw[name]).strip() != b"null":
            raise RequestError("this is for the operator to say, not for a request", name)
    messages = bytes(raw.get("messages", Raw(b""))).strip()
    if not messages.startswith(b"[") or messages[1:].lstrip().startswith(b"]"):
        raise RequestError("messages must be a non-empty array", "messages")
    most = members.inferenceConfig.maxTokens if members.inferenceConfig else None
    if most is not None and not 1 <= most <= 2**31:
        path = "inferenceConfig.maxTokens"
        raise RequestError("maxTokens must be a positive number below 2^31", path)
    if len(members.models or ()) > MAX_MODELS:
        raise RequestError(f"models must have at most {MAX_MODELS} entries", "models")
    for number, model in enumerate(members.models or ()):
        _check_model(model, f"models[{number}]")
    if len(members.session_id or "") > MAX_SESSION:
        message = f"session_id must have at most {MAX_SESSION} characters"
        raise RequestError(message, "session_id")


def _check_model(model: str, path: str) -> None:
    if not model or len(model) > MAX_MODEL or not model.isprintable():
        raise RequestError(f"{path} must be printable, 1 to {MAX_MODEL} characters", path)


def edit_request(body: bytes, *, contract: bool, members: Mapping[str, Raw] | None = None) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes."""
    if contract:
        return body
    found = members if members is not None else _MAP.decode(body)
    if _ROUTING.isdisjoint(found):
        return body
    return msgspec.json.encode({k: v for k, v in found.items() if k not in _ROUTING})
