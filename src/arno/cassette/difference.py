"""Where two JSON values differ, as JSON pointers with short texts (spec/cassettes.md section 4.2).

Serves the report on a request that matches no recording. Everything is bounded: how many
differences, how long each text; a value that looks like a credential is never shown.
"""

from collections.abc import Iterator
from itertools import islice, zip_longest
from typing import Final

import msgspec

from arno.cassette.redact import DEFAULT, REPLACEMENT, Redaction, find_secret
from arno.wire import json

MAX_TEXT: Final = 80
"""Longest text shown of one value or pointer, in characters."""

_CONTEXT: Final = 20
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


class Comparer:
    """Compares with the recording's redaction rules at hand, so that no secret is shown."""

    def __init__(self, rules: Redaction = DEFAULT) -> None:
        """Keep the rules; there is no other state."""
        self._rules = rules

    def bodies(self, recorded: object, got: object, limit: int) -> tuple[Difference, ...]:
        """At most `limit` differences of two JSON values, in the order of the recorded one."""
        return tuple(islice(self._values("", recorded, got), limit))

    def texts(self, pointer: str, recorded: str, got: str) -> Difference:
        """The difference of two texts; of long ones the part around the first change is shown."""
        start = _first_change(recorded, got) - _CONTEXT
        if start <= 0 or max(len(recorded), len(got)) <= MAX_TEXT:
            start = 0
        return Difference(pointer, self._text(recorded, start), self._text(got, start))

    def _values(self, pointer: str, recorded: object, got: object) -> Iterator[Difference]:
        if isinstance(recorded, dict) and isinstance(got, dict):
            yield from self._objects(pointer, recorded, got)
        elif isinstance(recorded, list) and isinstance(got, list):
            yield from self._arrays(pointer, recorded, got)
        elif isinstance(recorded, str) and isinstance(got, str):
            if recorded != got:
                yield self.texts(self._pointer(pointer), recorded, got)
        elif not json.equal(recorded, got):
            yield self._pair(pointer, recorded, got)

    def _objects(
        self, pointer: str, recorded: dict[str, object], got: dict[str, object]
    ) -> Iterator[Difference]:
        for key in recorded | got:
            place = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
            if key in recorded and key in got:
                yield from self._values(place, recorded[key], got[key])
            else:
                yield self._pair(place, recorded.get(key, _ABSENT), got.get(key, _ABSENT))

    def _arrays(
        self, pointer: str, recorded: list[object], got: list[object]
    ) -> Iterator[Difference]:
        pairs = zip_longest(recorded, got, fillvalue=_ABSENT)
        for place, (one, other) in enumerate(pairs):
            if one is _ABSENT or other is _ABSENT:
                yield self._pair(f"{pointer}/{place}", one, other)
            else:
                yield from self._values(f"{pointer}/{place}", one, other)

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
        # The whole text is searched: a part may hold half a secret that no pattern knows.
        if self._is_secret(text):
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


def _first_change(one: str | bytes, other: str | bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (left, right) in pairs if left != right), min(len(one), len(other)))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
