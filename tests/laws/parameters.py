"""Requests with every field of a dialect, and with one field each, for the laws of dispositions.

`tests/golden/union/<client>.json` is the request with every field, `<client>.alone.json` requests
of fields that cannot stand in it. A minimal request of each dialect is cut out of the former.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from arno.canon.ext import Loss
from arno.canon.failure import RequestError
from arno.dialects import DIALECTS
from arno.dialects.base import RequestLine
from arno.dialects.dispositions import Disposition, Field, table
from arno.dialects.translate import encode_for
from arno.wire import json
from checks.dispositions import fields_of
from tests.shared import ROOT

INDEX = re.compile(r"\[\d*\]")

FOLDER = ROOT / "tests" / "golden" / "union"

MINIMUM = {
    "chat": ("model", "messages"),
    "responses": ("model", "input"),
    "messages": ("model", "messages", "max_tokens"),
    "gemini": ("contents",),
    "converse": ("messages",),
}
"""The members that a request must have."""

EMPTY = {"type": "object", "properties": {}}

TOOLS = {
    "chat": ("tools", {"type": "function", "function": {"name": "weather", "parameters": EMPTY}}),
    "responses": ("tools", {"type": "function", "name": "weather", "parameters": EMPTY}),
    "messages": ("tools", {"name": "weather", "input_schema": EMPTY}),
    "gemini": (
        "tools",
        {"functionDeclarations": [{"name": "weather", "parametersJsonSchema": EMPTY}]},
    ),
    "converse": (
        "toolConfig.tools",
        {"toolSpec": {"name": "weather", "inputSchema": {"json": EMPTY}}},
    ),
}
"""The least that a tool says, and where tools stand."""

BESIDE = {
    "messages": {
        "/sampling/temperature": "thinking forbids it",
        "/sampling/top_p": "thinking forbids it",
        "/sampling/top_k": "thinking forbids it",
    },
    "gemini": {"/reasoning/effort": "a budget is given as well"},
}
"""Upstreams' dialects to fields that are mapped alone, and pushed out by others of the union."""

LINE = RequestLine(model="team/first", stream=False)
"""What the path says where the dialect puts the model there."""


def document(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_bytes())


def minimal(client: str) -> dict[str, Any]:
    union = document(client)
    request = {member: union[member] for member in MINIMUM[client]}
    if client == "chat":
        remove(request, ["messages[]", "name"])
    return request


def alone(client: str, name: str) -> dict[str, Any]:
    """The minimal request with one field more, and what that field needs to stand."""
    given = document(f"{client}.alone").get(name)
    if given is not None:
        return minimal(client) | given
    place, tool = TOOLS[client]
    request = minimal(client)
    if name.startswith(f"{place}[]"):
        pieces = place.split(".")
        found: Any = document(client)
        for piece in pieces:
            found = found[piece]
        request |= nested(pieces, [shaped(tool, found[0], name.removeprefix(f"{place}[]"))])
        return request
    return merged(request, cut(document(client), name.split(".")))


def nested(pieces: list[str], value: Any) -> Any:
    return value if not pieces else {pieces[0]: nested(pieces[1:], value)}


def cut(value: Any, pieces: list[str]) -> Any:
    """`value` with the one member that is asked for at each level."""
    if not pieces:
        return value
    key = pieces[0].removesuffix("[]")
    inner = value[key]
    if pieces[0].endswith("[]"):
        return {key: [cut(inner[0], pieces[1:])]}
    return {key: cut(inner, pieces[1:])}


def shaped(least: Any, full: Any, name: str) -> Any:
    """The least tool with one member more of the full one."""
    pieces = [piece for piece in name.split(".") if piece]
    return merged(least, cut(full, pieces)) if pieces else least


def merged(first: Any, second: Any) -> Any:
    """Both documents; the second one's values stand, lists of one are merged by element."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = {key: merged(first[key], value) for key, value in second.items() if key in first}
        return first | second | both
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second) == 1:
        return [merged(first[0], second[0])]
    return second


def told(client: str, target: str, request: dict[str, Any]) -> tuple[bytes, tuple[Loss, ...]]:
    """The request as the upstream reads it, as the gateway has it: routing is acted on there."""
    line = LINE if "model" not in request else RequestLine()
    value = DIALECTS[client].decode_request(json.dumps(request), line)
    if client != target:
        value = msgspec.structs.replace(value, routing=None)
    return encode_for(value, client, target)


def refused(client: str, target: str, request: dict[str, Any]) -> str | None:
    """The field that the request is refused for."""
    try:
        told(client, target, request)
    except RequestError as error:
        return error.path
    return None


def fields(client: str, request: dict[str, Any]) -> Iterator[tuple[str, Field]]:
    """Every field of the request that asks for something."""
    rows = table(client)
    for name in fields_of(request, rows):
        field = rows[name]
        if field.canon == "/output/kind" and asks_schema(request):
            continue
        if field.asks(value_of(request, name)):
            yield name, field


def asks_schema(request: Any) -> bool:
    """True where the wire's word for JSON stands beside a schema, and says no more than it."""
    config = request.get("generationConfig", {})
    return "responseSchema" in config or "responseJsonSchema" in config


def value_of(value: Any, name: str) -> Any:
    """What a request says at a name of the table, of a list its first element that says it."""
    piece, _, rest = name.partition(".")
    value = value.get(piece.removesuffix("[]")) if isinstance(value, dict) else None
    if piece.endswith("[]") and isinstance(value, list):
        found = (value_of(each, rest) if rest else each for each in value)
        return next((each for each in found if each is not None), None)
    return value_of(value, rest) if rest else value


def expected(client: str, target: str, request: dict[str, Any], word: Disposition) -> set[str]:
    """The places of all fields of the request for which the table has this word."""
    if client == target:
        return set()
    found = fields(client, request)
    return {place(client, name) for name, field in found if field.disposition(target) is word}


def place(client: str, name: str) -> str:
    """What a field means: two names of one thing are one place."""
    return _places(client).get(INDEX.sub("", name), name)


@cache
def _places(client: str) -> dict[str, str]:
    return {INDEX.sub("", name): field.canon or name for name, field in table(client).items()}


def without(client: str, target: str, request: dict[str, Any], word: Disposition) -> dict[str, Any]:
    """The request without its fields for which the table has this word."""
    kept: Any = json.loads(json.dumps(request))
    for name, field in list(fields(client, request)):
        if client != target and field.disposition(target) is word:
            remove(kept, name.split("."))
    return kept


def remove(value: Any, pieces: list[str]) -> None:
    key = pieces[0].removesuffix("[]")
    if not isinstance(value, dict) or key not in value:
        return
    if len(pieces) == 1:
        del value[key]
        return
    inner = value[key]
    for each in inner if isinstance(inner, list) else [inner]:
        remove(each, pieces[1:])


def golden(client: str, target: str) -> Any:
    """What the upstream reads of the request with every field that it does not refuse."""
    union = without(client, target, document(client), Disposition.REFUSED)
    return json.loads(told(client, target, union)[0])


def neutral(client: str, name: str, value: Any) -> dict[str, Any]:
    """The request of one field, with a value that asks for nothing."""
    request: Any = json.loads(json.dumps(alone(client, name)))
    replace(request, name.split("."), value)
    return request


def replace(value: Any, pieces: list[str], new: Any) -> None:
    key = pieces[0].removesuffix("[]")
    if not isinstance(value, dict) or key not in value:
        return
    if len(pieces) == 1:
        value[key] = new
        return
    inner = value[key]
    for each in inner if isinstance(inner, list) else [inner]:
        replace(each, pieces[1:], new)
