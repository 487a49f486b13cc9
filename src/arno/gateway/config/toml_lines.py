"""Where each key of a TOML text stands; the standard library's reader tells only what it says.

The text has passed `tomllib.loads`, so nothing is checked here a second time: this walks over it
and notes the line at which each table, key and array element begins.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left

Path = tuple[str | int, ...]
"""A place in a document: keys, and numbers from 0 for elements of arrays."""

_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_REST_OF_LINE = re.compile(r"[^\n]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
# Up to two quotes may stand right before the three that end a multi-line string.
_STRING = re.compile(
    r'''"""(?:\\.|[^"\\]|"{1,2}(?!"))*"{3,5}'''
    r"""|'{3}(?:[^']|'{1,2}(?!'))*'{3,5}"""
    r'''|"(?:\\.|[^"\\\n])*"'''
    r"""|'[^'\n]*'""",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}#\n]*")
"""A number, a date (which may hold a space) or a boolean."""


def lines_of(text: str) -> dict[Path, int]:
    """The line (from 1) of every table, key and array element of a valid TOML text.

    A table stands where its header is, else where it is first named; the document itself is ().
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._counts: dict[Path, int] = {}
        self.lines: dict[Path, int] = {(): 1}

    def document(self) -> None:
        """Headers and the keys below each."""
        table: Path = ()
        while self._skip(_BLANK) < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._array_header()
            elif self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_REST_OF_LINE)

    def _header(self) -> Path:
        self._at += 1
        path: Path = ()
        line, keys = self._line(), self._keys()
        for key in keys:
            path = self._into((*path, key), line)
        self.lines[path] = line
        return path

    def _array_header(self) -> Path:
        self._at += 2
        path: Path = ()
        line, keys = self._line(), self._keys()
        for key in keys[:-1]:
            path = self._into((*path, key), line)
        path = (*path, keys[-1])
        self.lines.setdefault(path, line)
        self._counts[path] = self._counts.get(path, 0) + 1
        return self._into(path, line)

    def _into(self, path: Path, line: int) -> Path:
        """The table that a key of a header means: of an array of tables its last one."""
        self.lines.setdefault(path, line)
        if path in self._counts:
            path = (*path, self._counts[path] - 1)
            self.lines.setdefault(path, line)
        return path

    def _pair(self, path: Path) -> None:
        line = self._line()
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        first = self._text[self._at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif first in "\"'":
            self._skip(_STRING)
        else:
            self._skip(_PLAIN)

    def _array(self, path: Path) -> None:
        self._at += 1
        number = 0
        while self._next_of("]"):
            self.lines[*path, number] = self._line()
            self._value((*path, number))
            number += 1

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._next_of("}"):
            self._pair(path)

    def _next_of(self, end: str) -> bool:
        """Go to the next member; False, and behind the end, if there is none."""
        self._skip(_BLANK)
        if self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] != end:
            return True
        self._at += 1
        return False

    def _keys(self) -> list[str]:
        """A dotted key, with the blanks around it."""
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            start = self._at
            end = self._skip(_KEY)
            keys.append(_plain_key(self._text[start:end]))
            if self._skip(_DOT) == end:
                self._skip(_SPACE)
                return keys

    def _skip(self, pattern: re.Pattern[str]) -> int:
        """Go behind what stands here; the new position."""
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return self._at

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1


def _plain_key(spelled: str) -> str:
    """A key without its quotes."""
    if spelled[0] not in "\"'":
        return spelled
    if "\\" not in spelled:
        return spelled[1:-1]
    value: str = tomllib.loads(f"key = {spelled}")["key"]
    return value
