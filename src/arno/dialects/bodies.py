"""What the envelopes of all dialects check of a client's body, and the edits they share.

Big members stay raw bytes: on a 117 KB prompt that is the difference between 38 and 625
microseconds. A body in which nothing changes goes on as it came, so what two readers could
understand differently (a model that stands there twice) is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.failure import RequestError

MAX_MODEL = 256
MAX_MODELS = 16
MAX_TEXT: dict[str, int] = {"user": 512, "session_id": 256}
"""Characters that a member may have at most."""

MOST_TOKENS = 2**31

MOST_MESSAGES = 20_000
MOST_TOOLS = 4_096
MOST_PARTS = 4_096
"""Elements of a request's lists (bad input 19): far more than anybody's, and bounded work."""

ROUTING = (
    "provider",
    "models",
    "route",
    "transforms",
    "plugins",
    "preset",
    "session_id",
    "trace",
    "debug",
    "usage",
    "fallbacks",
)
"""Members for the gateway itself; they never reach an upstream of another contract (R14)."""

_ROUTING = frozenset(ROUTING)

OPERATORS = frozenset({"api_base", "api_key", "base_url", "extra_headers"})
"""Members by which other gateways let a request say where it goes, and with which key (R35).

They are the operator's to say, and an upstream that is such a gateway must not read them either.
"""

_TOKEN = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{\[]|[}\]]', re.DOTALL)
"""A string (a key, if a colon follows) or a bracket of a JSON text."""

_LEAST_OBJECT = 16
"""Bytes that a message or a tool has at least; what is shorter is none, whoever reads it."""

_ELEMENTS: msgspec.json.Decoder[list[Raw]] = msgspec.json.Decoder(list[Raw])
_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])

T = TypeVar("T")


def members_of(body: bytes) -> dict[str, Raw]:
    """The body cut into its members. Raises RequestError for what is no JSON object."""
    _check_text(body)
    return decoded(_MEMBERS, body)


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """What `body` holds. Raises RequestError naming the member that has another type."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise named(error) from error
    except RecursionError as error:
        raise RequestError("the body is nested too deep") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error


def convert(members: Mapping[str, Json], type_: type[T]) -> T:
    """`members` as a struct. Raises RequestError naming the member that has another type."""
    try:
        return msgspec.convert(members, type_)
    except msgspec.ValidationError as error:
        raise named(error) from error


def named(error: msgspec.ValidationError) -> RequestError:
    """A complaint about a value's type with the member's name as its path."""
    message, _, path = str(error).partition(" - at `$")
    return RequestError(message, path.strip("`."))


def looked_at(members: Mapping[str, Raw], names: Collection[str]) -> bytes:
    """A body of those members alone that are decoded; the long ones are gone through once only."""
    wanted = [b'"%b":%b' % (name.encode(), members[name]) for name in names if name in members]
    return b"{%b}" % b",".join(wanted)


def raw_text(members: Mapping[str, Raw], name: str) -> bytes:
    """A member as it stands in the body, b"" if it is not there."""
    return bytes(members.get(name, b"")).strip()


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


def check_operators(members: Mapping[str, Raw]) -> None:
    """Refuse what is for the operator to say."""
    for name in sorted(OPERATORS & members.keys()):
        if raw_text(members, name) != b"null":
            raise RequestError("this is for the operator to say, not for a request", name)


def check_array(members: Mapping[str, Raw], name: str) -> None:
    """Refuse anything but a non-empty array."""
    text = raw_text(members, name)
    if not text.startswith(b"[") or text[1:].lstrip().startswith(b"]"):
        raise RequestError(f"{name} must be a non-empty array", name)


def check_counts(members: Mapping[str, Raw], most: Mapping[str, int]) -> None:
    """Refuse lists of more objects than `most` says by their names.

    So many have some length, and at least as many closing braces: only what has both is looked at
    more closely, so ordinary bodies cost nothing.
    """
    for name, bound in most.items():
        text = members.get(name)
        if text is None or memoryview(text).nbytes < _LEAST_OBJECT * bound:
            continue
        if bytes(text).count(b"}") > bound and len(decoded(_ELEMENTS, bytes(text))) > bound:
            raise RequestError(f"{name} must have at most {bound} elements", name)


def check_model(model: str | None, path: str) -> str:
    """A model's id, which must be there, printable and of a sane length."""
    if not model:
        raise RequestError(f"{path} is missing", path)
    if len(model) > MAX_MODEL or not model.isprintable():
        raise RequestError(f"{path} must be printable, 1 to {MAX_MODEL} characters", path)
    return model


def check_models(models: Collection[str], path: str) -> tuple[str, ...]:
    """Fallback models, `path` being the name of their list."""
    if len(models) > MAX_MODELS:
        raise RequestError(f"{path} must have at most {MAX_MODELS} entries", path)
    return tuple(check_model(model, f"{path}[{number}]") for number, model in enumerate(models))


def check_limit(value: int | None, path: str) -> None:
    """A bound on tokens: positive, and no larger than any reader takes."""
    if value is not None and not 1 <= value <= MOST_TOKENS:
        raise RequestError(f"{path} must be a positive number below 2^31", path)


def check_length(value: str | None, name: str, path: str | None = None) -> None:
    """A text of `MAX_TEXT`."""
    most = MAX_TEXT[name]
    if value is not None and len(value) > most:
        path = path or name
        raise RequestError(f"{path} must have at most {most} characters", path)


def check_doubles(body: bytes) -> None:
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


def set_model(members: dict[str, Raw], model: str | None) -> bool:
    """Write the upstream's id of the model, None: as asked. True if that changes anything."""
    given = raw_text(members, "model")
    if model is None or (given and msgspec.json.decode(given) == model):
        return False
    members["model"] = Raw(msgspec.json.encode(model))
    return True


def drop_routing(members: dict[str, Raw]) -> bool:
    """Take out what is for the gateway itself. True if there was any of it."""
    gone = _ROUTING & members.keys()
    for name in gone:
        del members[name]
    return bool(gone)


def hide_user(members: dict[str, Raw]) -> bool:
    """The id in `user` for an upstream of another contract. True if there was one."""
    user = msgspec.json.decode(members["user"]) if "user" in members else None
    if not isinstance(user, str) or not user:
        return False
    members["user"] = Raw(msgspec.json.encode(private_id(user)))
    return True


def private_id(user: str) -> str:
    """What an upstream is told of an end user's id: the same each time, and not readable."""
    return hashlib.sha256(user.encode()).hexdigest()[:32]
