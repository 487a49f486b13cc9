"""Where two JSON values differ, as JSON pointers with short texts (spec/cassettes.md section 4.2).

Serves the report on a request that matches no recording. Everything is bounded: how many values
are visited, how many differences are told, how long each text is; a value that looks like a
credential is never shown.
"""

from collections.abc import Iterator
from itertools import chain, islice, zip_longest
from typing import Final, TypeAlias

import msgspec

from arno.cassette.rules import DEFAULT, REPLACEMENT, Redaction
from arno.cassette.secrets import find_secret
from arno.wire import json

MAX_TEXT: Final = 80
"""Longest text shown of one value or pointer, in characters."""

MAX_VISITED: Final = 20_000
"""Pairs of values looked at in one comparison; what differs behind them is not found."""

_CONTEXT: Final = 20
_AROUND: Final = 8 * 1024
_ABSENT: Final = object()


class Difference(msgspec.Struct, frozen=True):
    """One place that differs. `recorded` or `got` is None where that side lacks the value."""

    pointer: str
    recorded: str | None
    got: str | None

    def __str__(self) -> str:
        """`/model: recorded "a", got "b"`."""
        recorded = "not recorded" if self.recorded is None else f"recorded {self.recorded}"
        got = "not sent" if self.got is None else f"got {self.got}"
        return f"{self.pointer}: {recorded}, {got}"


_Member: TypeAlias = tuple[str, object, object]


class Comparer:
    """Compares with the recording's redaction rules at hand, so that no secret is shown."""

    def __init__(self, rules: Redaction = DEFAULT) -> None:
        """Keep the rules; there is no other state."""
        self._rules = rules

    def bodies(self, recorded: object, got: object, limit: int) -> tuple[Difference, ...]:
        """At most `limit` differences of two JSON values, in the order of the recorded one."""
        visits = iter(range(MAX_VISITED))
        return tuple(islice(self._values("", recorded, got, visits), limit))

    def texts(self, pointer: str, recorded: str, got: str) -> Difference:
        """The difference of two texts; of long ones the part around the first change is shown."""
        start = _first_change(recorded, got) - _CONTEXT
        if start <= 0 or max(len(recorded), len(got)) <= MAX_TEXT:
            start = 0
        return Difference(pointer, self._text(recorded, start), self._text(got, start))

    def _values(
        self, pointer: str, recorded: object, got: object, visits: Iterator[int]
    ) -> Iterator[Difference]:
        """The differences, in order; `visits` gives as many items as values may be looked at."""
        if isinstance(recorded, dict) and isinstance(got, dict):
            yield from self._members(pointer, _members(recorded, got), visits)
        elif isinstance(recorded, list) and isinstance(got, list):
            items = enumerate(zip_longest(recorded, got, fillvalue=_ABSENT))
            members = ((str(place), one, other) for place, (one, other) in items)
            yield from self._members(pointer, members, visits)
        elif isinstance(recorded, str) and isinstance(got, str):
            if recorded != got:
                yield self.texts(self._pointer(pointer), recorded, got)
        elif not json.equal(recorded, got):
            yield self._pair(pointer, recorded, got)

    def _members(
        self, pointer: str, members: Iterator[_Member], visits: Iterator[int]
    ) -> Iterator[Difference]:
        # `visits` comes first: where it is used up, nothing is taken from `members` any more.
        for _, (name, one, other) in zip(visits, members, strict=False):
            place = f"{pointer}/{name}"
            if one is _ABSENT or other is _ABSENT:
                yield self._pair(place, one, other)
            else:
                yield from self._values(place, one, other, visits)

    def _pair(self, pointer: str, recorded: object, got: object) -> Difference:
        return Difference(self._pointer(pointer), self._shown(recorded), self._shown(got))

    def _pointer(self, pointer: str) -> str:
        return REPLACEMENT if self._is_secret(pointer) else _shorten(pointer)

    def _shown(self, value: object) -> str | None:
        if value is _ABSENT:
            return None
        if isinstance(value, str):
            return self._text(value, 0)
        text = json.dumps(value).decode()
        return REPLACEMENT if self._is_secret(text) else _shorten(text)

    def _text(self, text: str, start: int) -> str:
        # More than the part is searched: it may hold half a secret that no pattern knows.
        if self._is_secret(text[max(0, start - _AROUND) : start + MAX_TEXT + _AROUND]):
            return REPLACEMENT
        part = text[start : start + MAX_TEXT].encode(errors="replace").decode()
        quoted = json.dumps(part).decode()
        before = "..." if start else ""
        return f"{before}{quoted}{'...' if start + MAX_TEXT < len(text) else ''}"

    def _is_secret(self, text: str) -> bool:
        return find_secret(text.encode(errors="replace"), self._rules) is not None


def bytes_difference(recorded: bytes, got: bytes) -> Difference:
    """The difference of two bodies that are not both JSON: sizes, and where they part."""
    place = _first_change(recorded, got)
    return Difference("body", f"{len(recorded)} bytes", f"{len(got)} bytes (from byte {place})")


def _members(recorded: dict[str, object], got: dict[str, object]) -> Iterator[_Member]:
    """The members of both, those of the recording first, under the names that pointers have."""
    new = (key for key in got if key not in recorded)
    for key in chain(recorded, new):
        name = key.replace("~", "~0").replace("/", "~1")
        yield name, recorded.get(key, _ABSENT), got.get(key, _ABSENT)


def _first_change(one: str | bytes, other: str | bytes) -> int:
    """The length of what both begin with, found by halving: texts may be megabytes long."""
    same, end = 0, min(len(one), len(other))
    while same < end:
        middle = (same + end + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            end = middle - 1
    return same


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
