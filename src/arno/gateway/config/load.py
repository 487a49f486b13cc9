"""From a file to a document whose values know where they were said.

Serves the rule of `arno.toml`: found by `--config`, else by ARNO_CONFIG, else as ./arno.toml if
there is one; what the command line says takes the place of what the file says.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

import msgspec

from arno.gateway.config.problems import ConfigError, Problem, Problems, Source
from arno.gateway.config.read import read_document
from arno.gateway.config.schema import Document
from arno.gateway.config.toml_lines import Path, lines_of

CONFIG_VARIABLE = "ARNO_CONFIG"
FILE_NAME = "arno.toml"
MAX_FILE = 4 * 1024 * 1024
"""Bytes of a configuration file."""

_WHERE = re.compile(r"(.*?) \(at line ([0-9]+), column [0-9]+\)", re.DOTALL)


class Option(msgspec.Struct, frozen=True):
    """What the command line says of a value, by the option's name (`--port`)."""

    path: Path
    name: str
    value: Any


class Loaded(msgspec.Struct, frozen=True):
    """A document that was read, and the problems that were found on the way."""

    document: Document
    problems: Problems


def find(named: str | None, environ: Mapping[str, str]) -> FilePath | None:
    """The file to read, None for none."""
    given = named or environ.get(CONFIG_VARIABLE)
    if given:
        return FilePath(given)
    here = FilePath(FILE_NAME)
    return here if here.exists() else None


def load(path: FilePath | None, options: tuple[Option, ...] = ()) -> Loaded:
    """The document of a file (None: an empty one) under what the command line says.

    Raises ConfigError for a file that cannot be read or is no TOML; what is wrong with its values
    is among the problems.
    """
    text = "" if path is None else _text(path)
    raw, lines = _parse(str(path), text)
    source = Source(
        name="" if path is None else str(path),
        folder=FilePath() if path is None else path.parent,
        lines={} if path is None else lines,
        options={option.path: option.name for option in options},
    )
    for option in options:
        _put(raw, option)
    problems = Problems(source)
    return Loaded(read_document(raw, problems), problems)


def _text(path: FilePath) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError([Problem(0, str(path), f"cannot be read: {why}")]) from error
    if len(data) > MAX_FILE:
        raise ConfigError([Problem(0, str(path), f"is larger than {MAX_FILE} bytes")])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place = f"{path}:{line}"
        raise ConfigError([Problem(line, place, "expected UTF-8 text")]) from error


def _parse(name: str, text: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """The document and its lines. Raises ConfigError with the one place where it is no TOML."""
    try:
        return tomllib.loads(text), lines_of(text)
    except tomllib.TOMLDecodeError as error:
        found = _WHERE.fullmatch(str(error))
        what = found[1] if found else str(error).removesuffix(" (at end of document)")
        line = int(found[2]) if found else text.rstrip().count("\n") + 1
        problem = Problem(line, f"{name}:{line}", f"this is no TOML: {what}")
        raise ConfigError([problem]) from error
    except RecursionError as error:
        raise ConfigError([Problem(0, name, "is nested too deep")]) from error


def _put(raw: dict[str, Any], option: Option) -> None:
    """Set a value in the document, in the place of one that is there.

    A table that is none is left, and told of.
    """
    table: Any = raw
    for key in option.path[:-1]:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            return
    table[option.path[-1]] = option.value
