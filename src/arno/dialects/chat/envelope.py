"""What a gateway reads of a request without decoding it, and the edits it makes.

Big members (messages, tools) stay raw bytes: on a 117 KB prompt that is the difference between
38 and 625 microseconds. A body in which nothing changes goes on as it came.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects.base import Envelope
from arno.dialects.chat.request import ROUTING, named

MAX_MODEL = 256
_ABSENT = Raw()


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _UsageOptions(msgspec.Struct):
    include: bool | None = None


class _Members(msgspec.Struct):
    """The members a gateway looks into; messages and tools are only checked for presence."""

    model: str | None = None
    models: list[str] | None = None
    messages: Raw = _ABSENT
    tools: Raw = _ABSENT
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    usage: _UsageOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    n: int | None = None
    provider: dict[str, Any] | None = None
    user: str | None = None
    session_id: str | None = None


_DECODER = msgspec.json.Decoder(_Members)
_MAP_DECODER = msgspec.json.Decoder(dict[str, Raw])
_EMPTY = (b"", b"null", b"[]")


def peek(body: bytes) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    try:
        members = _DECODER.decode(body)
    except msgspec.ValidationError as error:
        raise named(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    _check(members)
    asked = bool(members.stream_options and members.stream_options.include_usage) or bool(
        members.usage and members.usage.include
    )
    return Envelope(
        model=members.model or "",
        models=tuple(members.models or ()),
        stream=bool(members.stream),
        include_usage=asked,
        max_output_tokens=members.max_completion_tokens or members.max_tokens,
        n=members.n or 1,
        has_tools=_raw(members.tools) not in _EMPTY,
        routing=members.provider,
        user=members.user,
        session_id=members.session_id,
    )


def _raw(member: Raw) -> bytes:
    return bytes(member).strip()


def _check(members: _Members) -> None:
    if not members.model:
        raise RequestError("model is missing", "model")
    if len(members.model) > MAX_MODEL or not members.model.isprintable():
        raise RequestError(f"model must be printable, at most {MAX_MODEL} characters", "model")
    messages = _raw(members.messages)
    if not messages.startswith(b"[") or messages[1:].lstrip().startswith(b"]"):
        raise RequestError("messages must be a non-empty array", "messages")
    for name in ("max_tokens", "max_completion_tokens", "n"):
        value = getattr(members, name)
        if value is not None and not 1 <= value <= 2**31:
            raise RequestError(f"{name} must be a positive number below 2^31", name)


def edit_request(body: bytes, *, model: str | None, contract: bool, ask_usage: bool) -> bytes:
    """The request for an upstream of the same dialect; `body` itself where nothing changes."""
    if contract and model is None:
        return body
    members = _MAP_DECODER.decode(body)
    changed = False
    if model is not None and msgspec.json.decode(members["model"]) != model:
        members["model"] = Raw(msgspec.json.encode(model))
        changed = True
    if not contract:
        for name in ROUTING:
            changed = members.pop(name, None) is not None or changed
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
