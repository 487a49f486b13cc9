"""Scripted faults: what may go wrong with an answer, as values and as a small text form.

A script has one fault a line, or several separated by `;`. `#` begins a comment.

    refuse                                  no connection is made
    close-before-head                       the connection ends before the response head
    status=429 retry-after=2                another answer; retry-after may be a "quoted date"
    slow-first=5s                           the head comes that much later
    cut at PLACE eof | reset                the connection ends inside the body (eof if not said)
    end-early at PLACE                      the body ends there as if that were all
    stall at PLACE for=30s                  nothing for that long, then on
    bad-json at event=2                     the event's data are no JSON
    dup-event at event=2                    the event comes twice
    error-event at event=2                  an error event instead, then the end
    drop-done                               the `[DONE]` event is missing
    split-utf8                              reads end inside characters
    rechunk=1 | random(SEED) | coalesce     reads of at most that size, any size, all in one

    PLACE      event=7: before the 7th event, the first is 1; comments are no events
               byte=1234: after that many bytes of the body
               ratio=0.5: after that part of the body (which is held until its length is known)

Any fault may end in conditions: `only-attempt=2` (also `attempt=2`): only the 2nd request that is
equal in method, path and body; `model=NAME`: only requests for that model. Faults at an event
concern event streams alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

import msgspec

from arno.cassette.duration import parse_duration
from arno.cassette.errors import CassetteError


class Unit(StrEnum):
    """What a place is counted in."""

    EVENT = "event"
    BYTE = "byte"
    RATIO = "ratio"


class Place(msgspec.Struct, frozen=True):
    """A place in a body: event (from 1), bytes (from 0), or part of its length (0 to 1)."""

    unit: Unit
    value: float


class Refuse(msgspec.Struct, frozen=True):
    """No connection is made."""


class CloseBeforeHead(msgspec.Struct, frozen=True):
    """The connection ends before the response head."""


class Status(msgspec.Struct, frozen=True):
    """Another answer: a status from 200 to 599, and a Retry-After as it is on the wire."""

    code: int
    retry_after: str | None = None


class SlowFirst(msgspec.Struct, frozen=True):
    """The head comes `ns` nanoseconds later."""

    ns: int


class Cut(msgspec.Struct, frozen=True):
    """The connection ends inside the body: by FIN, or with `reset` by RST."""

    at: Place
    reset: bool = False


class EndEarly(msgspec.Struct, frozen=True):
    """The body ends there as if that were all."""

    at: Place


class Stall(msgspec.Struct, frozen=True):
    """Nothing comes for `ns` nanoseconds."""

    at: Place
    ns: int


class BadJson(msgspec.Struct, frozen=True):
    """The event's data are no JSON."""

    at: Place


class DupEvent(msgspec.Struct, frozen=True):
    """The event comes twice."""

    at: Place


class ErrorEvent(msgspec.Struct, frozen=True):
    """An error event comes instead of the event, and then the end."""

    at: Place


class DropDone(msgspec.Struct, frozen=True):
    """The `[DONE]` event is missing."""


class SplitUtf8(msgspec.Struct, frozen=True):
    """Reads end after the first byte of every character that has more."""


class Rechunk(msgspec.Struct, frozen=True):
    """Reads of at most `size` bytes; of 1 to 64 bytes as `seed` has it; or (neither) one for all.

    Nothing waits to fill a read, except for one for all.
    """

    size: int | None = None
    seed: int | None = None


What: TypeAlias = (
    Refuse
    | CloseBeforeHead
    | Status
    | SlowFirst
    | Cut
    | EndEarly
    | Stall
    | BadJson
    | DupEvent
    | ErrorEvent
    | DropDone
    | SplitUtf8
    | Rechunk
)


class Fault(msgspec.Struct, frozen=True):
    """One fault and the requests that it is for: all of them, unless a condition says otherwise.

    `attempt`: the number (from 1) among equal requests. `model`: the request's `model`. `text` is
    what it was read from.
    """

    what: What
    attempt: int | None = None
    model: str | None = None
    text: str = ""


class FaultSyntaxError(CassetteError):
    """A script that cannot be read; the message names line, fault, and what was expected."""


def parse_faults(script: str) -> tuple[Fault, ...]:
    """The faults of a script, in order. Raises `FaultSyntaxError`."""
    faults = []
    for number, line in enumerate(script.splitlines(), start=1):
        for text in _without_comment(line).split(";"):
            if not (text := text.strip()):
                continue
            try:
                faults.append(_fault(text))
            except _Expected as problem:
                raise FaultSyntaxError(f"fault {text!r}: {problem}", number) from None
    return tuple(faults)


class _Expected(Exception):
    """What should have stood there."""

    def __init__(self, expected: str, got: str | None) -> None:
        super().__init__(f"expected {expected}, got {'nothing' if got is None else repr(got)}")


_WORD: Final = re.compile(r'\s*([^\s"=]+)(?:(=)(?:"([^"]*)"|([^\s"]*)))?(?=\s|$)')
_COUNT: Final = re.compile(r"[1-9]\d{0,14}", re.ASCII)
_SIZE: Final = re.compile(r"\d{1,15}", re.ASCII)
_RATIO: Final = re.compile(r"[01]|[01]?\.\d{1,9}", re.ASCII)
_RANDOM: Final = re.compile(r"random\((\d{1,15})\)", re.ASCII)
_RETRY_AFTER: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class _Words:
    """The words of a fault: `(name, value)`, taken from the front or by name."""

    def __init__(self, text: str) -> None:
        self._left: list[tuple[str, str | None]] = []
        end = 0
        while end < len(text):
            found = _WORD.match(text, end)
            if found is None:
                raise _Expected("words and name=value", text[end:].strip())
            end = found.end()
            value = found[3] if found[3] is not None else found[4]
            self._left.append((found[1], value if found[2] else None))

    def first(self) -> tuple[str, str | None]:
        return self._left.pop(0)

    def value(self, *names: str) -> str | None:
        """Take the value of the first word with one of these names; None if there is none."""
        for index, (name, value) in enumerate(self._left):
            if name in names and value is not None:
                del self._left[index]
                return value
        return None

    def flag(self, word: str) -> bool:
        """Take the word; whether it was there."""
        if (word, None) not in self._left:
            return False
        self._left.remove((word, None))
        return True

    def shown(self) -> str | None:
        """The next word as it was written."""
        if not self._left:
            return None
        name, value = self._left[0]
        return name if value is None else f"{name}={value}"


def _without_comment(line: str) -> str:
    return line.partition("#")[0]


def _fault(text: str) -> Fault:
    words = _Words(text)
    name, value = words.first()
    reader = _READERS.get(name)
    if reader is None:
        raise _Expected(f"one of {', '.join(_READERS)}", name)
    if (value is None) == (name in _VALUED):
        form = f"{name}=..." if name in _VALUED else f"{name} without a value"
        raise _Expected(form, name if value is None else f"{name}={value}")
    attempt = words.value("only-attempt", "attempt")
    model = words.value("model")
    what = reader(value or "", words)
    if (rest := words.shown()) is not None:
        raise _Expected("nothing more", rest)
    if model == "":
        raise _Expected("model=NAME", "model=")
    number = None if attempt is None else int(_matching(_COUNT, attempt, "an attempt from 1"))
    return Fault(what, number, model, text)


def _matching(pattern: re.Pattern[str], value: str, expected: str) -> str:
    if pattern.fullmatch(value) is None:
        raise _Expected(expected, value)
    return value


def _place(words: _Words, *units: Unit) -> Place:
    expected = "at " + " or ".join(f"{unit}=..." for unit in units)
    if not words.flag("at"):
        raise _Expected(expected, words.shown())
    for unit in units:
        if (value := words.value(unit)) is not None:
            return Place(unit, _POSITIONS[unit](value))
    raise _Expected(expected, words.shown())


def _ratio(value: str) -> float:
    ratio = float(_matching(_RATIO, value, "a ratio from 0 to 1"))
    if ratio > 1:
        raise _Expected("a ratio from 0 to 1", value)
    return ratio


_POSITIONS: Final[dict[Unit, Callable[[str], float]]] = {
    Unit.EVENT: lambda value: int(_matching(_COUNT, value, "an event from 1")),
    Unit.BYTE: lambda value: int(_matching(_SIZE, value, "a number of bytes")),
    Unit.RATIO: _ratio,
}


def _wait(value: str | None) -> int:
    expected = "a duration such as 30s or 500ms"
    try:
        ns = parse_duration(value or "")
    except CassetteError:
        ns = 0
    if ns <= 0:
        raise _Expected(expected, value)
    return ns


def _status(value: str, words: _Words) -> Status:
    code = int(_matching(re.compile(r"[2-5]\d\d", re.ASCII), value, "a status from 200 to 599"))
    after = words.value("retry-after")
    if after is not None:
        _matching(_RETRY_AFTER, after, "seconds or a date in quotes")
    return Status(code, after)


def _cut(_: str, words: _Words) -> Cut:
    at = _place(words, *Unit)
    reset = words.flag("reset")
    if not reset:
        words.flag("eof")
    return Cut(at, reset)


def _stall(_: str, words: _Words) -> Stall:
    return Stall(_place(words, *Unit), _wait(words.value("for")))


def _rechunk(value: str, _: _Words) -> Rechunk:
    if value == "coalesce":
        return Rechunk()
    if found := _RANDOM.fullmatch(value):
        return Rechunk(seed=int(found[1]))
    return Rechunk(size=int(_matching(_COUNT, value, "bytes, random(SEED) or coalesce")))


_READERS: Final[dict[str, Callable[[str, _Words], What]]] = {
    "refuse": lambda _, words: Refuse(),
    "close-before-head": lambda _, words: CloseBeforeHead(),
    "status": _status,
    "slow-first": lambda value, _: SlowFirst(_wait(value)),
    "cut": _cut,
    "end-early": lambda _, words: EndEarly(_place(words, *Unit)),
    "stall": _stall,
    "bad-json": lambda _, words: BadJson(_place(words, Unit.EVENT)),
    "dup-event": lambda _, words: DupEvent(_place(words, Unit.EVENT)),
    "error-event": lambda _, words: ErrorEvent(_place(words, Unit.EVENT)),
    "drop-done": lambda _, words: DropDone(),
    "split-utf8": lambda _, words: SplitUtf8(),
    "rechunk": _rechunk,
}
_VALUED: Final = frozenset({"status", "slow-first", "rechunk"})
"""Faults whose own name has a value."""
