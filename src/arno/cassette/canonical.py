"""What two requests must share to be the same request (spec/cassettes.md 4.2, behaviour R39).

Method, URL without what is volatile in it, and the body: as canonical JSON after the ignore sets
that the user names, or as bytes. Secrets are taken out first on both sides, so that a redacted
recording still matches the live request it was made from.
"""

from collections.abc import Callable
from enum import StrEnum
from hashlib import blake2b
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from arno.cassette.redact import redact_body, redact_url
from arno.cassette.rules import DEFAULT, Redaction
from arno.wire import json
from arno.wire.errors import MalformedJSON

VOLATILE_PARAMETERS: Final = frozenset({"key", "api-version"})
"""Query parameters that never decide a match."""

_PORTS: Final = {"http": 80, "https": 443}


class Base(StrEnum):
    """How much of a URL must match: all of it, or path and query only (any host)."""

    URL = "url"
    PATH = "path"


class Ignore(StrEnum):
    """Named sets of body fields that may differ.

    `IDS`: tool call ids, renamed by order of appearance so that links stay checked. `LIMITS`: how
    many tokens may be produced. `USER_META`: who asks.
    """

    IDS = "ids"
    LIMITS = "limits"
    USER_META = "user-meta"


class Matching(msgspec.Struct, frozen=True):
    """How requests are compared. `redaction` is what the recording was made with."""

    base: Base = Base.URL
    ignore: tuple[Ignore, ...] = ()
    redaction: Redaction = DEFAULT


EXACT: Final = Matching()
"""Nothing ignored but what is never kept."""


class RequestKey(msgspec.Struct, frozen=True):
    """Equal for requests that are the same; hashable."""

    method: str
    url: str
    digest: bytes


Rewrite: TypeAlias = Callable[[object], object]
Path: TypeAlias = tuple[str, ...]

LIMIT_PATHS: Final[tuple[Path, ...]] = (
    ("max_tokens",),
    ("max_completion_tokens",),
    ("max_output_tokens",),
    ("generationConfig", "maxOutputTokens"),
    ("generation_config", "max_output_tokens"),
    ("inferenceConfig", "maxTokens"),
)
USER_PATHS: Final[tuple[Path, ...]] = (
    ("user",),
    ("metadata",),
    ("session",),
    ("session_id",),
    ("safety_identifier",),
    ("prompt_cache_key",),
)
# Keys that hold a tool call's id wherever they stand, and objects whose own `id` is one.
_ID_KEYS: Final = frozenset({"tool_call_id", "tool_use_id", "toolUseId", "call_id"})
_ID_OWNERS: Final = frozenset({"functionCall", "functionResponse", "tool_calls"})
_ID_TYPES: Final = frozenset(
    {"function", "tool_use", "server_tool_use", "function_call", "custom_tool_call"}
)


def request_key(method: str, url: str, body: bytes, how: Matching = EXACT) -> RequestKey:
    """The key of a request. A URL that cannot be parsed stands for itself."""
    value = read_body(body, how)
    kind, data = (b"raw:", value) if isinstance(value, bytes) else (b"json:", json.canonical(value))
    digest = blake2b(kind + data, digest_size=16).digest()
    return RequestKey(method.upper(), canonical_url(url, how), digest)


def read_body(body: bytes, how: Matching = EXACT) -> object:
    """The body as a JSON value after redaction and the ignore sets, or as bytes if not JSON."""
    body = redact_body(body, rules=how.redaction)
    try:
        value = json.loads(body)
    except MalformedJSON:
        return body
    for name in how.ignore:
        value = _REWRITES[name](value)
    return value


def canonical_url(url: str, how: Matching = EXACT) -> str:
    """The URL with sorted query, without volatile and key-bearing parameters or fragment; path and
    query alone for `Base.PATH`.
    """
    url = redact_url(url, how.redaction)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = sorted(pair for pair in pairs if pair[0].lower() not in VOLATILE_PARAMETERS)
    query = f"?{urlencode(kept)}" if kept else ""
    path = f"{parts.path or '/'}{query}"
    if how.base is Base.PATH or not parts.scheme:
        return path
    suffix = "" if port in (None, _PORTS.get(parts.scheme)) else f":{port}"
    return f"{parts.scheme}://{parts.hostname or ''}{suffix}{path}"


def _without(paths: tuple[Path, ...]) -> Rewrite:
    def rewrite(value: object) -> object:
        for path in paths:
            value = _drop(value, path)
        return value

    return rewrite


def _drop(value: object, path: Path) -> object:
    """A copy of `value` without the member at `path`; anything else on the way is left as it is."""
    head, rest = path[0], path[1:]
    if not isinstance(value, dict) or head not in value:
        return value
    if not rest:
        return {key: item for key, item in value.items() if key != head}
    return value | {head: _drop(value[head], rest)}


def _rename_ids(value: object) -> object:
    """Tool call ids replaced by their number of appearance, keys visited in sorted order."""
    return _renamed(value, "", {})


def _renamed(value: object, owner: str, names: dict[str, str]) -> object:
    if isinstance(value, list):
        return [_renamed(item, owner, names) for item in value]
    if not isinstance(value, dict):
        return value
    own_id = owner in _ID_OWNERS or value.get("type") in _ID_TYPES
    result: dict[str, object] = {}
    for key in sorted(value):
        item = value[key]
        if isinstance(item, str) and (key in _ID_KEYS or (own_id and key == "id")):
            result[key] = names.setdefault(item, f"id {len(names)}")
        else:
            result[key] = _renamed(item, key, names)
    return result


_REWRITES: Final[dict[Ignore, Rewrite]] = {
    Ignore.IDS: _rename_ids,
    Ignore.LIMITS: _without(LIMIT_PATHS),
    Ignore.USER_META: _without(USER_PATHS),
}
