"""YAML bytes to a bounded tree of nodes with line numbers (spec/cassettes.md section 2.6).

Reads the events of PyYAML (libyaml where built in) and nothing above them: no resolver ever guesses
a type, no object is ever constructed. Refused outright: aliases and anchors, every tag except
`!!binary` and `!!str`, a second document, a repeated key, and anything over the caps below.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec
import yaml

from arno.cassette.errors import CassetteError
from arno.cassette.model import Plain, Tree

MAX_BYTES: Final = 64 * 1024 * 1024
"""Largest file accepted, in bytes; the largest known recording is below 1 MB."""

MAX_DEPTH: Final = 32
"""Deepest nesting accepted, read or written; a go-vcr file has seven levels."""

MAX_NODES: Final = 1_000_000
"""Most nodes accepted, so that a small file cannot become a large memory."""

_BINARY: Final = "tag:yaml.org,2002:binary"
_STRING: Final = "tag:yaml.org,2002:str"


class ScalarNode(msgspec.Struct, frozen=True, gc=False):
    """Text or, after `!!binary`, bytes; `style` is YAML's mark (`|`, `'`, `"`, "" for plain)."""

    value: str | bytes
    style: str
    line: int
    column: int


class ListNode(msgspec.Struct, frozen=True):
    """A sequence."""

    items: list["Node"]
    line: int
    column: int


class MapNode(msgspec.Struct, frozen=True):
    """A mapping, in the order of the file."""

    items: dict[str, "Node"]
    line: int
    column: int


Node: TypeAlias = ScalarNode | ListNode | MapNode


class _Frame:
    """A collection that is still open, and the key that waits for its value."""

    __slots__ = ("key", "node")

    def __init__(self, node: ListNode | MapNode) -> None:
        self.node = node
        self.key: str | None = None


def read_tree(data: bytes) -> Node:
    """The one document in `data`. Raises CassetteError, with the line, on anything not accepted."""
    if len(data) > MAX_BYTES:
        raise CassetteError(f"expected at most {MAX_BYTES} bytes, the file has {len(data)}")
    try:
        return _Builder().build(_events(data))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        raise CassetteError(f"expected YAML: {error.problem}", line) from error
    except yaml.YAMLError as error:
        raise CassetteError("expected YAML text in UTF-8 without control characters") from error


def to_tree(node: Node) -> Tree:
    """The node as plain values, for keys that we keep without knowing them."""
    if isinstance(node, ListNode):
        return [to_tree(item) for item in node.items]
    if isinstance(node, MapNode):
        return {key: to_tree(item) for key, item in node.items.items()}
    if isinstance(node.value, str) and not node.style:
        return Plain(node.value)
    return node.value


def _events(data: bytes) -> Iterator[yaml.Event]:
    loader = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
    events: Iterator[yaml.Event] = yaml.parse(data, Loader=loader)
    return events


class _Builder:
    """Builds the tree with a stack of its own, so that depth is a number and not a crash."""

    def __init__(self) -> None:
        self._stack: list[_Frame] = []
        self._root: Node | None = None
        self._documents = 0
        self._nodes = 0

    def build(self, events: Iterator[yaml.Event]) -> Node:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                self._add(_scalar(event))
            elif isinstance(event, yaml.CollectionStartEvent):
                self._open(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._stack.pop()
            else:
                self._other(event)
        if self._root is None:
            raise CassetteError("expected a mapping, the file is empty", 1)
        return self._root

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        line, column = _position(event)
        _refuse_anchor(event.anchor, line)
        if event.tag is not None:
            raise CassetteError("expected no tag on a collection", line)
        if len(self._stack) >= MAX_DEPTH:
            raise CassetteError(f"expected at most {MAX_DEPTH} levels of nesting", line)
        is_map = isinstance(event, yaml.MappingStartEvent)
        node = MapNode({}, line, column) if is_map else ListNode([], line, column)
        self._add(node)
        self._stack.append(_Frame(node))

    def _other(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise CassetteError("expected no aliases", _position(event)[0])
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise CassetteError("expected one document", _position(event)[0])

    def _add(self, node: Node) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise CassetteError(f"expected at most {MAX_NODES} values", node.line)
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        parent = frame.node
        if isinstance(parent, ListNode):
            parent.items.append(node)
        elif frame.key is None:
            frame.key = _key(node, parent)
        else:
            parent.items[frame.key] = node
            frame.key = None


def _key(node: Node, parent: MapNode) -> str:
    if not isinstance(node, ScalarNode):
        raise CassetteError("expected a key that is text", node.line)
    value = node.value
    key = value if isinstance(value, str) else value.decode(errors="surrogateescape")
    if key in parent.items:
        raise CassetteError("expected each key once in a mapping", node.line)
    return key


def _scalar(event: yaml.ScalarEvent) -> ScalarNode:
    line, column = _position(event)
    _refuse_anchor(event.anchor, line)
    value: str | bytes = event.value
    if event.tag == _BINARY:
        value = _decode_binary(event.value, line)
    elif event.tag not in (None, _STRING):
        raise CassetteError("expected no tag but !!binary", line)
    # An explicit string is no plain text of unknown type: keep it quoted.
    style = event.style or ("" if event.tag is None else '"')
    return ScalarNode(value, style, line, column)


def _decode_binary(text: str, line: int) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CassetteError("expected base64 after !!binary", line) from error


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (1, 0) if mark is None else (mark.line + 1, mark.column)


def _refuse_anchor(anchor: str | None, line: int) -> None:
    if anchor is not None:
        raise CassetteError("expected no anchors", line)
