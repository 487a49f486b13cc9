"""What is wrong with a configuration: every problem names its place and what was expected.

    ConfigError    the configuration cannot be used; `problems` are all that were found

No text here repeats what may be a secret: values of keys are never shown, other values shortened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import NamedTuple

import msgspec

from arno.canon.failure import LocalError
from arno.gateway.config.toml_lines import Path

MAX_SHOWN = 60
"""Characters of a value in a message."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Problem(NamedTuple):
    """line: 0 for what stands in no line of the file; place: file and line, another origin, or ""
    where the text names it.
    """

    line: int
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class ConfigError(LocalError):
    """A configuration that cannot be used."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(sorted(problems, key=lambda p: p.line)))
        lines = (f"\n{problem}" for problem in self.problems)
        super().__init__(f"the configuration cannot be used:{''.join(lines)}")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a document's values were said.

    name: the file as shown; folder: what its paths start from; lines: of the file; options: what
    the command line said instead, by the option's name.
    """

    name: str = ""
    folder: FilePath = FilePath()
    lines: Mapping[Path, int] = {}
    options: Mapping[Path, str] = {}

    def said(self, path: Path) -> bool:
        """Whether a value was given at all."""
        return self._option(path) is not None or path in self.lines

    def origin(self, path: Path, otherwise: str = "default") -> str:
        """`arno.toml:12`, `option --port`, or `otherwise` for what nobody said."""
        option = self._option(path)
        if option is not None:
            return f"option {option}"
        return f"{self.name}:{self.lines[path]}" if path in self.lines else otherwise

    def problem(self, path: Path, text: str) -> Problem:
        """A problem with the value at a path, or with what is missing there."""
        inner = path
        while inner and not self.said(inner):
            inner = inner[:-1]
        place = self.origin(inner, self.name or "configuration")
        return Problem(self.lines.get(inner, 0), place, f"{dotted(path)}: {text}")

    def file(self, path: Path, text: str) -> FilePath:
        """A path that was said: the file's start from its folder, an option's from here."""
        return FilePath(text) if self._option(path) is not None else self.folder / text

    def _option(self, path: Path) -> str | None:
        """The option that said the value at a path, or a part of which it is."""
        ends = range(len(path), 0, -1)
        return next((self.options[path[:n]] for n in ends if path[:n] in self.options), None)


class Problems:
    """Gathers the problems of one document."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Problem] = []

    def add(self, path: Path, text: str) -> None:
        """Note a problem at a path."""
        self.found.append(self.source.problem(path, text))


def dotted(path: Path) -> str:
    """A path as the file spells it; elements of arrays are told apart by their lines."""
    return ".".join(_spelled(key) for key in path if isinstance(key, str)) or "the file"


def _spelled(key: str) -> str:
    return key if _BARE.fullmatch(key) else shown(key).replace("'", '"', 1)[:-1] + '"'


def shown(value: object) -> str:
    """A value for a message: short, on one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or what is known where nothing is near."""
    import difflib  # only when something is wrong: it is not free to load

    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {shown(close[0])}?"
    return f"; known: {', '.join(names)}" if 0 < len(names) <= 20 else ""
