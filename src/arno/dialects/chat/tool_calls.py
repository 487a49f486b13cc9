"""Tool calls out of fragments: which call does a piece of arguments belong to?

Hosts leave out the index, count it from 1, repeat the id on every piece, give two calls one
index, send pieces before the id, or a whole call at once. The rules below, in order, attribute a
fragment by the strongest thing it says; what no rule attributes is an error, since a wrong merge
would run a tool with invented arguments (R3, row 41 of the fault matrix).

    1  an id that is known         its call, unless index or name say that another call starts
                                   (an error while the call is not complete)
    2  an id that is not known     a new call (or the one still waiting for its id)
    3  an index that is known      the latest call with that index
                                   (a new one if it names a tool behind arguments that are whole)
    4  an index that is not known  the call at that position if its own index clashed (rule 2);
                                   else a new call that waits for its name
    5  a name alone                a new call once the last one is complete, else the last one
    6  arguments alone             the last call

A call is announced when its id and name are known; pieces before that wait. Of an announced call
no argument is kept, only what the rules ask of it: whether it has any, and whether they balance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from arno.canon.ext import Json
from arno.dialects.bounds import MAX_OPEN
from arno.dialects.residue import integer, text
from arno.wire import json

_ESCAPE = re.compile(r"\\.", re.DOTALL)


MAX_WAITING = 1024 * 1024
"""Characters of arguments that may wait in one choice for the calls they belong to."""


class FragmentError(Exception):
    """A fragment that belongs to no call."""


class Fragment(msgspec.Struct, frozen=True, gc=False):
    """What one entry of a delta's `tool_calls` says; empty strings count as absent."""

    index: int | None
    id: str | None
    name: str | None
    arguments: str
    kind: str
    typed: bool

    @property
    def opens(self) -> bool:
        """True if the entry says all that the first piece of a call should say."""
        return self.id is not None and self.name is not None and self.typed

    @property
    def is_empty(self) -> bool:
        """True if the entry says nothing at all: it can be left out without a guess."""
        return self.index is None and self.id is None and self.name is None and not self.arguments


class _Balance:
    """Brackets of a JSON text that arrives in pieces."""

    __slots__ = ("_carry", "_depth", "_quoted", "closed")

    def __init__(self) -> None:
        self._depth = 0
        self._quoted = False
        self._carry = ""
        self.closed = False

    def read(self, piece: str) -> None:
        """Take in one piece; `closed` tells whether the first bracket has found its match."""
        text = self._carry + piece
        self._carry = ""
        if text.find("\\") >= 0:
            text = _ESCAPE.sub("", text)
            if text.endswith("\\"):
                self._carry, text = "\\", text[:-1]
        # Between quotes and outside of them in turn; only what is outside counts.
        runs = text.split('"')
        outside = "".join(runs[self._quoted :: 2])
        if len(runs) % 2 == 0:
            self._quoted = not self._quoted
        opened = outside.count("{") + outside.count("[")
        closed = outside.count("}") + outside.count("]")
        if opened or closed:
            self._depth += opened - closed
            self.closed = self._depth == 0


class OpenCall:
    """One call while its pieces arrive. position: 0, 1, 2 ... in order of appearance."""

    __slots__ = (
        "_balance",
        "announced",
        "clashed",
        "has_arguments",
        "id",
        "kind",
        "name",
        "position",
        "waiting",
        "wire_index",
    )

    def __init__(self, position: int, wire_index: int | None) -> None:
        self.position = position
        self.wire_index = wire_index
        self.id: str | None = None
        self.name: str | None = None
        self.kind = "function"
        self.waiting: list[str] = []
        self.has_arguments = False
        self.announced = False
        self.clashed = False
        self._balance = _Balance()

    @property
    def is_complete(self) -> bool:
        """True if the arguments so far are one whole object or array."""
        return self._balance.closed

    @property
    def is_whole(self) -> bool:
        """True if nothing can follow; the input of a custom tool may be any text."""
        return self.kind == "function" and self.is_complete

    def take(self, piece: str) -> None:
        """More of the arguments; it waits here until the call is announced."""
        self.has_arguments = True
        self._balance.read(piece)
        if not self.announced:
            self.waiting.append(piece)

    def announce(self) -> str:
        """From now on pieces go on as they come; what has waited so far."""
        self.announced = True
        waited = "".join(self.waiting)
        self.waiting.clear()
        return waited


def kind_of(entry: Mapping[str, Json]) -> str:
    """The member that holds the call: its type, or what is there (later pieces have no type)."""
    named = str(entry.get("type") or "function")
    present = (kind for kind in (named, "function", "custom") if entry.get(kind) is not None)
    return next(present, named)


def read_fragment(entry: Json) -> Fragment:
    """One entry of a delta's `tool_calls`."""
    if not isinstance(entry, Mapping):
        raise FragmentError("an entry of tool_calls is not an object")
    kind = kind_of(entry)
    body = entry.get(kind)
    if body is None:
        body = {}
    if not isinstance(body, Mapping):
        raise FragmentError(f"{kind} of a tool call is not an object")
    arguments = body.get("input" if kind == "custom" else "arguments")
    if arguments is None:
        arguments = ""
    return Fragment(
        index=integer(entry.get("index")),
        id=call_id_of(entry),
        name=text(body.get("name")),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments).decode(),
        kind=kind,
        typed=entry.get("type") == kind,
    )


def call_id_of(entry: Mapping[str, Json]) -> str | None:
    """The id of a call as text (some hosts count in numbers), None if it has none."""
    value = entry.get("id")
    return str(value) if integer(value) is not None else text(value)


class CallAssembler:
    """Attributes the fragments of one choice, in the order they arrive."""

    def __init__(self) -> None:
        self.calls: list[OpenCall] = []
        self._by_index: dict[int, OpenCall] = {}
        self._by_id: dict[str, OpenCall] = {}
        self._waiting = 0

    def at(self, index: int) -> OpenCall | None:
        """The call that has this index on the wire."""
        return self._by_index.get(index)

    def attribute(self, fragment: Fragment) -> OpenCall:
        """The call this fragment belongs to, opened if it is new. Raises FragmentError."""
        if fragment.id is not None:
            call = self._by_known_id(fragment) or self._by_new_id(fragment)
        elif fragment.index is not None:
            call = self._by_index_alone(fragment, fragment.index)
        elif fragment.name is not None:
            call = self._by_name(fragment.name)
        else:
            call = self._last()
        self._learn(call, fragment)
        return call

    def _by_known_id(self, fragment: Fragment) -> OpenCall | None:
        call = self._by_id.get(fragment.id or "")
        if call is None:
            return None
        there = None if fragment.index is None else self._by_index.get(fragment.index)
        if there is not None and there.id == fragment.id:
            return there
        new_index = fragment.index is not None and fragment.index not in self._by_index
        if new_index and fragment.name is not None and call.wire_index is not None:
            return None
        if fragment.name is not None and call.name not in (None, fragment.name):
            if not call.is_complete:
                raise FragmentError(f"id {call.id} changes its tool before its call is complete")
            return None
        return call

    def _by_new_id(self, fragment: Fragment) -> OpenCall:
        known = None if fragment.index is None else self._by_index.get(fragment.index)
        if known is not None and known.id is None:
            return known
        call = self._open(fragment.index)
        call.clashed = known is not None
        return call

    def _by_index_alone(self, fragment: Fragment, index: int) -> OpenCall:
        known = self._by_index.get(index)
        if known is not None:
            renamed = fragment.name is not None and known.name not in (None, fragment.name)
            if not renamed and not _begins_anew(known, fragment):
                return known
            if not known.is_complete:
                raise FragmentError(f"index {index} changes its tool before its call is complete")
            return self._open(index)
        if index < len(self.calls) and self.calls[index].clashed:
            return self.calls[index]
        return self._open(index)

    def _by_name(self, name: str) -> OpenCall:
        last = self.calls[-1] if self.calls else None
        if last is None or last.is_complete:
            return self._open(None)
        if last.name not in (None, name):
            raise FragmentError(f"a call of {name} begins before the call before it is complete")
        return last

    def _last(self) -> OpenCall:
        if not self.calls:
            raise FragmentError("arguments arrived before any tool call")
        return self.calls[-1]

    def _open(self, index: int | None) -> OpenCall:
        call = OpenCall(len(self.calls), index)
        self.calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call

    def _learn(self, call: OpenCall, fragment: Fragment) -> None:
        if fragment.id is not None and call.id is None:
            call.id = fragment.id
            self._by_id[fragment.id] = call
        if fragment.name is not None and call.name is None:
            call.name = fragment.name
            call.kind = fragment.kind
        if fragment.arguments:
            if call.is_whole and fragment.arguments.strip():
                # Never a merge (R3): whose they are cannot be known.
                raise FragmentError("arguments arrived behind those of a call that was complete")
            call.take(fragment.arguments)
        if len(self.calls) > MAX_OPEN:
            raise FragmentError(f"more than {MAX_OPEN} calls in one answer")
        if call.id is None or call.name is None:
            self._waiting += len(fragment.arguments)
            if self._waiting > MAX_WAITING:
                raise FragmentError(f"more than {MAX_WAITING} characters wait for an id or a name")


def _begins_anew(known: OpenCall, fragment: Fragment) -> bool:
    """True for a whole call more of the same tool under an index that has one already."""
    named = fragment.name is not None and bool(fragment.arguments)
    return named and known.is_whole


def is_uniform(fragment: Fragment, call: OpenCall, *, announced_before: bool) -> bool:
    """True if the wire said it in the layout every client reads.

    That is a dense index; id, type and name on the first piece and no other; no piece before it.
    """
    if fragment.index != call.position:
        return False
    if announced_before:
        return fragment.id is None and fragment.name is None
    waited = len(call.waiting) > (1 if fragment.arguments else 0)
    return fragment.opens and not waited
