"""A parsed document as the schema's structs: strictly, and with all problems at once.

What cannot be used is noted and left out, so that the rest is still looked at.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from arno.gateway.config.problems import Problems, nearest, shown
from arno.gateway.config.schema import Document, Rule, Table
from arno.gateway.config.toml_lines import Path

UNREAD: Final = object()
"""Stands for a value that could not be used."""

LITERALS = frozenset("key api_key apikey token secret password authorization".split())
BY_REFERENCE = (
    "a secret never stands in this file: name its environment variable with key_env, or its file "
    "with key_file"
)


def read_document(raw: Mapping[str, Any], problems: Problems) -> Document:
    """The document, without what is noted in `problems`."""
    found = _table(Document, raw, (), problems)
    return found if isinstance(found, Document) else Document()


def _read(kind: object, raw: object, path: Path, problems: Problems) -> object:
    """A value of an annotated type, UNREAD if it is none."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _leaf(parts[0], parts[1], raw, path, problems)
    if origin in (Union, types.UnionType):
        return _read(parts[0], raw, path, problems)
    if origin is dict:
        return _map(parts[1], raw, path, problems)
    if origin is tuple:
        return _array(parts[0], raw, path, problems)
    if isinstance(kind, type) and issubclass(kind, Table):
        return _table(kind, raw, path, problems)
    raise TypeError(f"the schema has a member that is not annotated: {kind!r}")


def _leaf(kind: object, rule: Rule, raw: object, path: Path, problems: Problems) -> object:
    value: object = UNREAD
    with suppress(msgspec.ValidationError):
        value = msgspec.convert(raw, kind, strict=True)
    if value is not UNREAD and rule.holds(value):
        return value
    quiet = rule.quiet or (isinstance(raw, str) and not raw.isprintable()) or _has_secret(raw)
    got = "" if quiet else f", got {shown(raw)}"
    problems.add(path, f"expected {rule.expects}{got}")
    return UNREAD


def _has_secret(raw: object) -> bool:
    """URLs may hold a password or a key."""
    return isinstance(raw, str) and "://" in raw and any(mark in raw for mark in "@?#")


def _map(kind: object, raw: object, path: Path, problems: Problems) -> object:
    if not isinstance(raw, dict):
        problems.add(path, f"expected a table, written as [{path[-1]}.NAME]")
        return UNREAD
    found = {key: _read(kind, value, (*path, key), problems) for key, value in raw.items()}
    if UNREAD in found.values() and not _is_table(kind):
        return UNREAD
    return {key: value for key, value in found.items() if value is not UNREAD}


def _array(kind: object, raw: object, path: Path, problems: Problems) -> object:
    of_tables = _is_table(kind)
    if not isinstance(raw, list):
        how = f"tables, written as [[{path[-1]}]]" if of_tables else "texts in brackets"
        problems.add(path, f"expected an array of {how}")
        return UNREAD
    found = [_read(kind, value, (*path, n), problems) for n, value in enumerate(raw)]
    if UNREAD in found and not of_tables:
        return UNREAD  # its elements are known by their numbers
    return tuple(value for value in found if value is not UNREAD)


def _is_table(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def _table(kind: type[Table], raw: object, path: Path, problems: Problems) -> object:
    if not isinstance(raw, dict):
        problems.add(path, f"expected a table, written as [{path[-1] if path else ''}]")
        return UNREAD
    kinds = _hints(kind)
    for key in (key for key in raw if key not in kinds):
        _unknown(key, kinds, (*path, key), problems)
    values = {
        key: _read(kinds[key], value, (*path, key), problems)
        for key, value in raw.items()
        if key in kinds
    }
    missing = [name for name in _required(kind) if name not in raw]
    for name in missing:
        problems.add((*path, name), f"is missing; expected {kinds[name].__metadata__[0].expects}")
    kept = {key: value for key, value in values.items() if value is not UNREAD}
    make: Callable[..., Table] = kind
    return make(at=path, **kept) if kept.keys() >= _required(kind) else UNREAD


def _unknown(key: str, known: Mapping[str, Any], path: Path, problems: Problems) -> None:
    literal = key.lower().replace("-", "_") in LITERALS
    problems.add(path, BY_REFERENCE if literal else f"unknown key{nearest(key, known)}")


@cache
def _hints(kind: type[Table]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    del hints["at"]
    return hints


@cache
def _required(kind: type[Table]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(kind) if field.required)
