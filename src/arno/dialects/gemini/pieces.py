"""Calls of tools that come in pieces: `willContinue` and `partialArgs`, put together.

Vertex AI tells a call in several parts if it is asked to (`streamFunctionCallArguments`): the first
one names the tool, those behind it say which argument (`jsonPath`) has which value or, of a long
text, its next piece, and the last one goes on no more. Source: Vertex AI API reference,
"FunctionCall" and "PartialArg"; google-genai, types.py; RFC 9535 for the paths.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from msgspec import Raw

from arno.canon.ext import Json
from arno.dialects.bounds import PIECE, Budget
from arno.dialects.gemini.residue import spell
from arno.dialects.residue import Document, items
from arno.wire import json

Keys = tuple[str | int, ...]

CALL = "functionCall"
GOES_ON, PARTIAL = "willContinue", "partialArgs"
DEEPEST = 64
"""Steps of a path, at most."""

_STEP = re.compile(r"""\.([^.\[\]'"]+)|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES = ("stringValue", "numberValue", "boolValue", "nullValue")
_MEMBERS = ("jsonPath", GOES_ON, *_VALUES)


class BadPieces(Exception):
    """The pieces make no call; the message says why."""


class _Text:
    """A text that goes on."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[str] = []


def _call_of(wire: Json) -> Document | None:
    """The call in a wire part, None if there is none."""
    if not isinstance(wire, Mapping):
        return None
    call = wire.get(CALL, wire.get("function_call"))
    return spell(call, (GOES_ON, PARTIAL)) if isinstance(call, Mapping) else None


def is_piece(wire: Json) -> bool:
    """True for a wire part that says itself that it is not a whole call."""
    call = _call_of(wire)
    return call is not None and (call.get(GOES_ON) is True or bool(call.get(PARTIAL)))


class Pieces:
    """The call of one candidate that has not ended; budget: what may wait."""

    __slots__ = ("_arguments", "_budget", "_held", "_more", "_outer", "_told", "is_open")

    def __init__(self, budget: Budget) -> None:
        self.is_open = False
        self._budget = budget
        self._start()

    def _start(self) -> None:
        self._outer: Document = {}
        self._told: Document = {}
        self._arguments: dict[str, Any] | None = None
        self._more: dict[Keys, _Text] = {}
        self._held = 0

    def feed(self, wire: Json) -> list[Json]:
        """A wire part as it is or, of a call in pieces, the whole one; nothing while it goes on.

        Raises BadPieces.
        """
        call = _call_of(wire)
        if call is None or not (self.is_open or is_piece(wire)):
            return [wire]
        goes_on = call.pop(GOES_ON, None) is True
        self._name(call)
        self.is_open = True
        self._outer |= {
            name: value for name, value in wire.items() if name not in (CALL, "function_call")
        }
        self._take(call)
        return [] if goes_on else [self._whole()]

    def _name(self, call: Document) -> None:
        """A piece belongs to the open call unless it names another one."""
        if not self.is_open and not call.get("name"):
            raise BadPieces("a tool call goes on that has never begun")
        known = self._told
        if any(call.get(key) and call[key] != known.get(key, call[key]) for key in ("name", "id")):
            raise BadPieces("a tool call has not ended before the next one")

    def _take(self, call: Document) -> None:
        partial, args = items(call.pop(PARTIAL, None)), call.pop("args", None)
        self._told |= {name: value for name, value in call.items() if value not in ("", None)}
        if args is not None:
            value = json.loads(bytes(args)) if isinstance(args, Raw) else args
            if not isinstance(value, dict):
                raise BadPieces("the arguments of a tool call that goes on are no object")
            self._hold(len(json.dumps(value)))
            self._arguments = value
        for piece in partial:
            if not isinstance(piece, Mapping):
                raise BadPieces("a piece of a tool call is no object")
            self._put(spell(piece, _MEMBERS))

    def _hold(self, amount: int) -> None:
        if not self._budget.take(PIECE + amount):
            raise BadPieces("a tool call in pieces is too long")
        self._held += PIECE + amount

    def _put(self, piece: Document) -> None:
        """One value, or the next piece of a text."""
        path = piece.get("jsonPath")
        value = next((piece[name] for name in _VALUES[:3] if name in piece), None)
        said = value if isinstance(value, str) else ""
        self._hold(len(str(path)) + len(said))
        keys = _keys(path)
        if not any(name in piece for name in _VALUES):
            return
        goes_on = piece.get(GOES_ON) is True
        if self._arguments is None:
            self._arguments = {}
        text = self._more.get(keys)
        if isinstance(value, str) and (goes_on or text is not None):
            if text is None:
                text = self._more[keys] = _Text()
                _set(self._arguments, keys, text)
            text.pieces.append(value)
        else:
            _set(self._arguments, keys, value)
        if not goes_on:
            self._more.pop(keys, None)

    def _end(self) -> tuple[Document, Document, str]:
        """What there is of the call, which is open no more; its arguments as text."""
        outer, told, arguments = self._outer, self._told, self._arguments
        self._budget.release(self._held)
        self._start()
        self.is_open = False
        return outer, told, "" if arguments is None else json.dumps(_plain(arguments)).decode()

    def _whole(self) -> Document:
        outer, told, arguments = self._end()
        args = {"args": Raw(arguments.encode())} if arguments else {}
        return {CALL: {**told, **args}, **outer}

    def cut(self) -> tuple[Document, str]:
        """What came of a call that never ends: its wire part, and its arguments without an end."""
        outer, told, arguments = self._end()
        return {CALL: {**told, GOES_ON: True}, **outer}, arguments[:-1]


def _keys(path: Json) -> Keys:
    """The steps of a path. Raises BadPieces for one that is no plain way to one place."""
    if not isinstance(path, str) or path[:1] != "$":
        raise BadPieces("a piece of a tool call names no argument")
    keys: list[str | int] = []
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None or len(keys) >= DEEPEST:
            raise BadPieces("a piece of a tool call names no argument")
        name = next(group for group in step.groups() if group is not None)
        keys.append(int(name) if step.lastindex == 2 else name)
        at = step.end()
    if not keys:
        raise BadPieces("a piece of a tool call names no argument")
    return tuple(keys)


def _set(root: dict[str, Any], keys: Keys, value: object) -> None:
    """Put a value where the path leads; what is not there yet on the way is made."""
    at: object = root
    for key, following in pairwise(keys):
        made: object = [] if isinstance(following, int) else {}
        at = _write(at, key, made, over=False)
    _write(at, keys[-1], value, over=True)


def _write(holder: object, key: str | int, value: object, *, over: bool) -> object:
    """Write, over: also where something stands; what stands there then."""
    if isinstance(holder, dict) and isinstance(key, str):
        if over or key not in holder:
            holder[key] = value
        return holder[key]
    if not isinstance(holder, list) or not isinstance(key, int) or key > len(holder):
        raise BadPieces("a piece of a tool call is for a place that cannot be")
    if key == len(holder):
        holder.append(value)
    elif over:
        holder[key] = value
    return holder[key]


def _plain(value: object) -> Json:
    if isinstance(value, _Text):
        return "".join(value.pieces)
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, list) else value
