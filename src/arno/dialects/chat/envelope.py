"""What a gateway reads of a request without decoding it, and the edits it makes.

Big members (messages, tools) stay raw bytes: on a 117 KB prompt that is the difference between
38 and 625 microseconds. A body in which nothing changes goes on as it came, so what two readers
could understand differently (a member that stands there twice) is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects.base import Envelope
from arno.dialects.chat.request import ROUTING, named

MAX_MODEL = 256
MAX_MODELS = 16
MAX_TEXT: dict[str, int] = {"user": 512, "session_id": 256}
"""Characters that a member may have at most."""

OPERATORS = frozenset({"api_base", "api_key", "base_url", "extra_headers"})
"""Members by which other gateways let a request say where it goes, and with which key (R35).

They are the operator's to say, and an upstream that is such a gateway must not read them either.
"""

_TOKEN = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{\[]|[}\]]', re.DOTALL)
"""A string (a key, if a colon follows) or a bracket of a JSON text."""

_ABSENT = Raw()
_ROUTING = frozenset(ROUTING)


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


_NAMES = frozenset(_Members.__struct_fields__)
_DECODER = msgspec.json.Decoder(_Members)
_MAP_DECODER = msgspec.json.Decoder(dict[str, Raw])


def peek(body: bytes) -> Envelope:
    """The envelope. Raises RequestError naming the member and what was expected."""
    _check_text(body)
    try:
        raw = _MAP_DECODER.decode(body)
        members = _DECODER.decode(_looked_at(raw))
    except msgspec.ValidationError as error:
        raise named(error) from error
    except RecursionError as error:
        raise RequestError("the body is nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error
    if not OPERATORS.isdisjoint(raw):
        _check_operators(raw)
    _check(members, _raw(raw.get("messages", _ABSENT)))
    _check_doubles(body)
    asked = bool(members.stream_options and members.stream_options.include_usage) or bool(
        members.usage and members.usage.include
    )
    return Envelope(
        model=members.model or "",
        models=tuple(members.models or ()),
        stream=bool(members.stream),
        include_usage=asked,
        routing=members.provider,
        user=members.user,
        session_id=members.session_id,
        members=raw,
    )


def _check_operators(members: dict[str, Raw]) -> None:
    for name in sorted(OPERATORS & members.keys()):
        if _raw(members[name]) != b"null":
            raise RequestError("this is for the operator to say, not for a request", name)


def _looked_at(members: dict[str, Raw]) -> bytes:
    """A body of those members alone that are decoded; the long ones are gone through once only."""
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


def _check(members: _Members, messages: bytes) -> None:
    if not members.model:
        raise RequestError("model is missing", "model")
    _check_model(members.model, "model")
    if not messages.startswith(b"[") or messages[1:].lstrip().startswith(b"]"):
        raise RequestError("messages must be a non-empty array", "messages")
    for name in ("max_tokens", "max_completion_tokens"):
        value = getattr(members, name)
        if value is not None and not 1 <= value <= 2**31:
            raise RequestError(f"{name} must be a positive number below 2^31", name)
    if members.n not in (None, 1):
        raise RequestError("n must be 1 here", "n")
    if len(members.models or ()) > MAX_MODELS:
        raise RequestError(f"models must have at most {MAX_MODELS} entries", "models")
    for number, model in enumerate(members.models or ()):
        _check_model(model, f"models[{number}]")
    for name, most in MAX_TEXT.items():
        if len(getattr(members, name) or "") > most:
            raise RequestError(f"{name} must have at most {most} characters", name)


def _check_model(model: str, path: str) -> None:
    if not model or len(model) > MAX_MODEL or not model.isprintable():
        raise RequestError(f"{path} must be printable, 1 to {MAX_MODEL} characters", path)


def _check_doubles(body: bytes) -> None:
    """Refuse a body that names its model twice: upstream may read another than we did.

    Nearly all bodies hold the word once and no letter of it as an escape, and are not scanned.
    (Looking from both ends finds a second one in a third of the time that counting takes.)
    """
    once = body.find(b'"model"') == body.rfind(b'"model"')
    if once and body.find(b"\\u006") < 0:
        return
    depth = found = 0
    for token in _TOKEN.finditer(body):
        string, colon = token.groups()
        if string is None:
            depth += 1 if token[0] in b"{[" else -1
        elif colon and depth == 1 and msgspec.json.decode(string) == "model":
            found += 1
    if found > 1:
        raise RequestError("model stands in the body more than once", "model")


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
    members = dict(members) if members is not None else _MAP_DECODER.decode(body)
    changed = False
    if model is not None and msgspec.json.decode(members["model"]) != model:
        members["model"] = Raw(msgspec.json.encode(model))
        changed = True
    if not contract:
        for name in _ROUTING & members.keys():
            del members[name]
            changed = True
        changed = _hash_user(members) or changed
    if ask_usage and not contract:
        changed = _switch_usage_on(members) or changed
    return msgspec.json.encode(members) if changed else body


def _hash_user(members: dict[str, Raw]) -> bool:
    """The end user's id for an upstream of another contract: the same each time, not readable."""
    if "user" not in members:
        return False
    user = msgspec.json.decode(members["user"])
    if not isinstance(user, str) or not user:
        return False
    members["user"] = Raw(msgspec.json.encode(hashlib.sha256(user.encode()).hexdigest()[:32]))
    return True


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
