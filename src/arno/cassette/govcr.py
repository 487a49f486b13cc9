"""go-vcr cassettes, version 2: bytes to values and back (spec/cassettes.md sections 1, 2 and 4.1).

Two tables below list the keys in the order of the file with the kind of each value; reading,
writing and the omission of empty values all go by them. A file keeps its layout (indentation,
quoting by go-yaml or by goccy, empty values written or not) and its unknown keys when it is loaded
and written again. Folded lines are read, and written unfolded.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from arno.cassette.duration import format_duration, parse_duration
from arno.cassette.errors import CassetteError
from arno.cassette.model import (
    Cassette,
    Headers,
    Interaction,
    Profile,
    RecordedRequest,
    RecordedResponse,
    Style,
    Tree,
    WireTiming,
)
from arno.cassette.timing import read_wire, wire_tree
from arno.cassette.yaml_emit import emit, natural_order
from arno.cassette.yaml_read import ListNode, MapNode, Node, ScalarNode, read_tree, to_tree
from arno.cassette.yaml_scalar import Scalar, choose_goccy, choose_v4

VERSION: Final = "2"
_WIRE: Final = "x_wire"
_NULLS: Final = ("", "~", "null", "Null", "NULL")
_INTEGER: Final = re.compile(r"[-+]?\d{1,19}", re.ASCII)
_BOOLEANS: Final = {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


class _Field(msgspec.Struct, frozen=True):
    """One key: where it lives in our struct, how it is read and written, may it be left out."""

    key: str
    attribute: str
    read: Callable[[Node, str], Any]
    write: Callable[[Any], Tree]
    omit_empty: bool


def load(data: bytes) -> Cassette:
    """The cassette in `data`, YAML text of any known go-vcr v2 layout.

    Raises CassetteError, with the line and what was expected, on anything else: other versions,
    malformed or oversized YAML, aliases, tags, values of the wrong kind.
    """
    root = _map(read_tree(data), "the file")
    _check_version(root)
    node = _required(root, "interactions", "the file")
    items = [] if _is_null(node) else _list(node, "interactions").items
    return Cassette(
        interactions=tuple(_interaction(item, place) for place, item in enumerate(items)),
        extra=_extra(root, ("version", "interactions")),
        style=_detect(items),
    )


def dump(cassette: Cassette) -> bytes:
    """The file of a cassette, in its own style. Interactions are renumbered by position.

    Raises CassetteError if a text is not Unicode or unknown keys nest too deep.
    """
    interactions: list[Tree] = [
        _interaction_tree(item, place, cassette.style)
        for place, item in enumerate(cassette.interactions)
    ]
    root: dict[str, Tree] = {"version": int(VERSION), "interactions": interactions}
    return emit(root | cassette.extra, cassette.style)


def _check_version(root: MapNode) -> None:
    node = root.items.get("version")
    version = node.value if isinstance(node, ScalarNode) else None
    if version == VERSION:
        return
    line = root.line if node is None else node.line
    if version == "1":
        raise CassetteError(
            "expected cassette version 2, this is version 1 of go-vcr v1 or v2", line
        )
    raise CassetteError("expected version: 2, the cassette version of go-vcr v3 and v4", line)


def _interaction(node: Node, place: int) -> Interaction:
    where = f"interactions[{place}]"
    entry = _map(node, where)
    request = _fields(entry, "request", REQUEST_FIELDS, ("method", "url"))
    response = _fields(entry, "response", RESPONSE_FIELDS, ("status", "code"))
    number = entry.items.get("id")
    return Interaction(
        id=place if number is None else _integer(number, "id"),
        request=RecordedRequest(**request),
        response=RecordedResponse(**response),
        wire=_wire(entry.items.get(_WIRE)),
        extra=_extra(entry, ("id", "request", "response", _WIRE)),
    )


def _wire(node: Node | None) -> WireTiming | None:
    if node is None or _is_null(node):
        return None
    items = _map(node, _WIRE).items
    return read_wire({key: to_tree(item) for key, item in items.items()}, node.line)


def _fields(
    entry: MapNode, side: str, fields: tuple[_Field, ...], needed: tuple[str, ...]
) -> dict[str, Any]:
    node = _map(_required(entry, side, "the interaction"), side)
    for key in needed:
        _required(node, key, side)
    values = {
        field.attribute: field.read(node.items[field.key], f"{side}.{field.key}")
        for field in fields
        if field.key in node.items
    }
    values["extra"] = _extra(node, tuple(field.key for field in fields))
    return values


def _required(node: MapNode, key: str, where: str) -> Node:
    if key not in node.items:
        raise CassetteError(f"expected the key {key} in {where}", node.line)
    return node.items[key]


def _extra(node: MapNode, known: tuple[str, ...]) -> dict[str, Tree]:
    return {key: to_tree(item) for key, item in node.items.items() if key not in known}


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value in _NULLS


def _map(node: Node, where: str) -> MapNode:
    if not isinstance(node, MapNode):
        raise CassetteError(f"expected a mapping in {where}", node.line)
    return node


def _list(node: Node, where: str) -> ListNode:
    if not isinstance(node, ListNode):
        raise CassetteError(f"expected a list in {where}", node.line)
    return node


def _text(node: Node, where: str) -> str:
    if not isinstance(node, ScalarNode):
        raise CassetteError(f"expected text in {where}", node.line)
    if _is_null(node):
        return ""
    value = node.value
    return value if isinstance(value, str) else value.decode(errors="surrogateescape")


def _body(node: Node, where: str) -> bytes:
    if isinstance(node, ScalarNode) and isinstance(node.value, bytes):
        return node.value
    return _text(node, where).encode(errors="surrogateescape")


def _integer(node: Node, where: str) -> int:
    text = _text(node, where)
    if not _INTEGER.fullmatch(text):
        raise CassetteError(f"expected an integer in {where}", node.line)
    return int(text)


def _boolean(node: Node, where: str) -> bool:
    value = _BOOLEANS.get(_text(node, where))
    if value is None:
        raise CassetteError(f"expected true or false in {where}", node.line)
    return value


def _texts(node: Node, where: str) -> list[str]:
    if _is_null(node):
        return []
    return [_text(item, where) for item in _list(node, where).items]


def _headers(node: Node, where: str) -> Headers:
    if _is_null(node):
        return {}
    items = _map(node, where).items
    return {name: _texts(item, where) for name, item in items.items()}


def _duration(node: Node, where: str) -> int:
    try:
        return parse_duration(_text(node, where))
    except CassetteError as error:
        raise CassetteError(f"{error} in {where}", node.line) from error


def _sorted_headers(headers: Headers) -> Tree:
    return {name: list(headers[name]) for name in natural_order(headers)}


def _same(value: Tree) -> Tree:
    return value


def _field(key: str, kind: str, *, omit: bool = False) -> _Field:
    read, write = _KINDS[kind]
    return _Field(key, f"{key}_ns" if kind == "duration" else key, read, write, omit)


_KINDS: Final[dict[str, tuple[Callable[[Node, str], Any], Callable[[Any], Tree]]]] = {
    "text": (_text, _same),
    "body": (_body, _same),
    "integer": (_integer, _same),
    "boolean": (_boolean, _same),
    "texts": (_texts, list),
    "headers": (_headers, _sorted_headers),
    "duration": (_duration, format_duration),
}

REQUEST_FIELDS: Final = (
    _field("proto", "text"),
    _field("proto_major", "integer"),
    _field("proto_minor", "integer"),
    _field("content_length", "integer"),
    _field("transfer_encoding", "texts", omit=True),
    _field("trailer", "headers", omit=True),
    _field("host", "text"),
    _field("remote_addr", "text", omit=True),
    _field("request_uri", "text", omit=True),
    _field("body", "body", omit=True),
    _field("form", "headers", omit=True),
    _field("headers", "headers", omit=True),
    _field("url", "text"),
    _field("method", "text"),
)

RESPONSE_FIELDS: Final = (
    _field("proto", "text"),
    _field("proto_major", "integer"),
    _field("proto_minor", "integer"),
    _field("transfer_encoding", "texts", omit=True),
    _field("trailer", "headers", omit=True),
    _field("content_length", "integer"),
    _field("uncompressed", "boolean", omit=True),
    _field("body", "body"),
    _field("headers", "headers"),
    _field("status", "text"),
    _field("code", "integer"),
    _field("duration", "duration"),
)


def _interaction_tree(interaction: Interaction, place: int, style: Style) -> Tree:
    tree: dict[str, Tree] = {
        "id": place,
        "request": _fields_tree(interaction.request, REQUEST_FIELDS, style),
        "response": _fields_tree(interaction.response, RESPONSE_FIELDS, style),
    }
    if interaction.wire is not None:
        tree[_WIRE] = wire_tree(interaction.wire)
    return tree | interaction.extra


def _fields_tree(
    value: RecordedRequest | RecordedResponse, fields: tuple[_Field, ...], style: Style
) -> Tree:
    tree: dict[str, Tree] = {}
    for field in fields:
        part = getattr(value, field.attribute)
        if part or not (field.omit_empty and style.omit_empty):
            tree[field.key] = field.write(part)
    return tree | value.extra


def _detect(items: list[Node]) -> Style:
    """The layout of a file, read off its first interaction (spec/cassettes.md section 2.1)."""
    first = items[0] if items else None
    request = first.items.get("request") if isinstance(first, MapNode) else None
    if not isinstance(first, MapNode) or not isinstance(request, MapNode):
        return Style()
    indent, compact = _LAYOUTS.get((first.column, request.column), (2, True))
    return Style(
        profile=_detect_profile(items),
        indent=indent,
        compact=compact,
        omit_empty=not any(_is_written_empty(request.items.get(key)) for key in _OMITTED),
    )


# Columns of the keys of an interaction and of a request, to indent and compactness.
_LAYOUTS: Final = {(2, 4): (2, True), (4, 6): (2, False), (4, 8): (4, True), (6, 8): (4, False)}
_OMITTED: Final = tuple(field.key for field in REQUEST_FIELDS if field.omit_empty)


def _is_written_empty(node: Node | None) -> bool:
    if node is None:
        return False
    return not (node.value if isinstance(node, ScalarNode) else node.items)


def _detect_profile(items: list[Node]) -> Profile:
    """The first body that the two profiles write differently tells whose file it is."""
    for item in items:
        for side in ("request", "response"):
            node = item.items.get(side) if isinstance(item, MapNode) else None
            body = node.items.get("body") if isinstance(node, MapNode) else None
            if not isinstance(body, ScalarNode) or not isinstance(body.value, str):
                continue
            by_goccy = choose_goccy(body.value) is Scalar.DOUBLE
            if by_goccy != (choose_v4(body.value) is Scalar.DOUBLE):
                return Profile.GOCCY if by_goccy == (body.style == '"') else Profile.V4RC2
    return Profile.V4RC2
