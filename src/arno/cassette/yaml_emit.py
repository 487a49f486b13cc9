"""A tree of values to block YAML in go-yaml's layout (spec/cassettes.md section 2.3).

Indentation, natural key order and where a value starts; how a string is written is the business of
`yaml_scalar`. Lines are never folded.
"""

from collections.abc import Iterable
from functools import cmp_to_key
from typing import Final

from arno.cassette.errors import CassetteError
from arno.cassette.model import Plain, Style, Tree
from arno.cassette.yaml_read import MAX_DEPTH
from arno.cassette.yaml_scalar import write_key, write_plain, write_scalar

_SIMPLE_KEY_BYTES: Final = 128
_INT64: Final = 1 << 64


def emit(root: dict[str, Tree], style: Style) -> bytes:
    """The document `---` and `root` in block form. Raises CassetteError beyond MAX_DEPTH levels."""
    emitter = _Emitter(style)
    emitter.mapping(root, 0, 0)
    return f"---\n{''.join(emitter.parts)}".encode()


def natural_order(keys: Iterable[str]) -> list[str]:
    """Keys as go-yaml sorts a map: numbers inside text by value, letters after other characters."""
    return sorted(keys, key=cmp_to_key(_compare))


class _Emitter:
    """Appends text to `parts`; every method that writes a value ends its line."""

    def __init__(self, style: Style) -> None:
        self.parts: list[str] = []
        self._style = style

    def mapping(self, items: dict[str, Tree], column: int, depth: int) -> None:
        """Write the entries at `column`; the first may follow a dash on a line already begun."""
        if depth > MAX_DEPTH:
            raise CassetteError(f"expected at most {MAX_DEPTH} levels of nesting")
        pad = " " * column
        lead = ""
        for key, value in items.items():
            text = write_key(key, self._style, column)
            is_long = len(key.encode(errors="surrogateescape")) > _SIMPLE_KEY_BYTES
            self.parts.append(f"{lead}? {text}\n{pad}:" if is_long else f"{lead}{text}:")
            self._value(value, column, depth)
            lead = pad

    def _value(self, value: Tree, column: int, depth: int) -> None:
        """Write what follows a key that stands at `column`."""
        inner = self._inner(column)
        if isinstance(value, dict) and value:
            self.parts.append("\n" + " " * inner)
            self.mapping(value, inner, depth + 1)
        elif isinstance(value, list) and value:
            self.parts.append("\n")
            start = inner - 2 if self._style.compact else inner
            self.parts.append(" " * start)
            self._sequence(value, start, depth + 1)
        else:
            self.parts.append(f" {self._leaf(value, inner, column)}\n")

    def _sequence(self, items: list[Tree], column: int, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise CassetteError(f"expected at most {MAX_DEPTH} levels of nesting")
        lead = ""
        for item in items:
            self.parts.append(f"{lead}- ")
            if isinstance(item, dict) and item:
                self.mapping(item, column + 2, depth + 1)
            elif isinstance(item, list) and item:
                self._sequence(item, column + 2, depth + 1)
            else:
                self.parts.append(f"{self._leaf(item, column + 2, column)}\n")
            lead = " " * column

    def _leaf(self, value: Tree, column: int, parent: int) -> str:
        if isinstance(value, Plain):
            return write_plain(value, self._style, column)
        if isinstance(value, (str, bytes)):
            return write_scalar(value, self._style, column, parent)
        if isinstance(value, bool):
            return "true" if value else "false"
        if value is None:
            return "null"
        return str(value) if isinstance(value, int) else _EMPTY[type(value)]

    def _inner(self, column: int) -> int:
        """The next multiple of the indent to the right of `column`."""
        indent = self._style.indent
        return column - column % indent + indent


_EMPTY: Final[dict[type, str]] = {list: "[]", dict: "{}"}


def _compare(left: str, right: str) -> int:
    """Negative, zero or positive, as go-yaml's key order has it."""
    after_digit = False
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one == other:
            after_digit = one.isdecimal()
            continue
        if one.isalpha() and other.isalpha():
            return ord(one) - ord(other)
        if one.isalpha() or other.isalpha():
            return 1 if one.isalpha() != after_digit else -1
        return _compare_numbers(left, right, place)
    return len(left) - len(right)


def _compare_numbers(left: str, right: str, place: int) -> int:
    """Order two texts that differ first at `place`, where neither has a letter."""
    # A zero inside a longer number is not a leading zero: count both as if a digit stood before.
    seed = 0
    if "0" in (left[place], right[place]):
        begin = place
        while begin and left[begin - 1].isdecimal():
            begin -= 1
        seed = int(left[begin:place].strip("0") != "")
    one, one_end = _number(left, place, seed)
    other, other_end = _number(right, place, seed)
    if one != other:
        return -1 if one < other else 1
    if one_end != other_end:
        return one_end - other_end
    return ord(left[place]) - ord(right[place])


def _number(text: str, place: int, seed: int) -> tuple[int, int]:
    """The run of digits from `place` as Go's int64, wrapped around, and where it ends."""
    value = seed
    while place < len(text) and text[place].isdecimal():
        value = (value * 10 + ord(text[place]) - ord("0")) % _INT64
        place += 1
    return value - _INT64 if value >= _INT64 // 2 else value, place
