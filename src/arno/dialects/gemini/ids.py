"""Ids of tool calls where the wire gives none.

Most calls of this dialect have no id: call and result find each other by name and order. Every
other wire pairs them by id, so one is made up, the same each time the same document is read, and
taken away again when a request goes back to this dialect. In an answer it is made of the answer's
own id and the call's place, so that no two calls of a conversation share one; in a history, which
holds no answers' ids, of the place in the whole conversation, which does not change as it grows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container
from typing import Protocol

PREFIX = "call_gemini_"
"""How an id begins that was made here. Letters, digits, "_" and "-" are allowed on every wire."""


class Ids(Protocol):
    """Gives ids to the calls and results of one answer or conversation, in their order."""

    def call(self, name: str, arguments: str) -> str:
        """An id for a call that has none."""
        ...

    def seen(self, call_id: str, name: str) -> None:
        """A call that has an id."""
        ...

    def result(self, name: str) -> str:
        """An id for a result that has none."""
        ...

    def answered(self, call_id: str) -> None:
        """A result that has an id."""
        ...


def is_made(call_id: str) -> bool:
    """True if the id was made up here, so that this dialect's own upstreams never gave it."""
    return call_id.startswith(PREFIX)


class AnswerIds:
    """Ids for the calls of one choice of an answer, in their order."""

    __slots__ = ("_choice", "_last", "_made", "_seed")

    def __init__(self, response_id: str | None, choice: int) -> None:
        self._seed = response_id
        self._choice = choice
        self._made = 0
        self._last = ""

    def call(self, name: str, arguments: str) -> str:
        """An id for a call that has none."""
        self._last = self.expected(name, arguments)
        self._made += 1
        return self._last

    def expected(self, name: str, arguments: str) -> str:
        """The id that the next call without one gets."""
        seed = self._seed if self._seed is not None else f"{name}\0{arguments}"
        text = f"{seed}\0{self._choice}\0{self._made}"
        return PREFIX + hashlib.sha256(text.encode(errors="replace")).hexdigest()[:20]

    def seen(self, call_id: str, name: str) -> None:
        """A call that has an id."""
        self._last = call_id

    def result(self, name: str) -> str:
        """The id for a result that has none: it belongs to the latest call."""
        return self._last

    def answered(self, call_id: str) -> None:
        """Nothing waits for it here."""


class HistoryIds:
    """Ids for the calls and results of a conversation, in their order.

    named: the ids that results name; no other result is taken for theirs.
    """

    __slots__ = ("_made", "_named", "_waiting")

    def __init__(self, named: Container[str] = ()) -> None:
        self._made = 0
        self._named = named
        self._waiting: list[tuple[str, str]] = []

    def call(self, name: str, arguments: str) -> str:
        """An id for a call that has none."""
        call_id = f"{PREFIX}{self._made}"
        self._made += 1
        self._waiting.append((call_id, name))
        return call_id

    def seen(self, call_id: str, name: str) -> None:
        """A call that has an id."""
        self._waiting.append((call_id, name))

    def answered(self, call_id: str) -> None:
        """A result that has an id."""
        self._waiting = [waiting for waiting in self._waiting if waiting[0] != call_id]

    def result(self, name: str) -> str:
        """The id for a result that has none: that of the first call of its name without one.

        Some clients keep the ids of calls and give their results none, so next comes the first call
        of its name whose id no result names.
        """
        mine = [each for each in self._waiting if each[1] == name and each[0] not in self._named]
        bare = (each for each in mine if is_made(each[0]))
        found = next(bare, next(iter(mine), None))
        if found is None:
            self._made += 1
            return f"{PREFIX}{self._made - 1}"
        self._waiting.remove(found)
        return found[0]
