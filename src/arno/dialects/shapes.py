"""The types that members of a client's request must have, as tables, and the check of a document.

A dialect's `shape.py` says what its decoder relies on; every other member is left alone, and so is
an object whose kind no table names (R14). Whoever decodes a request that breaks its table would
have to drop what it says, or to guess: it is refused instead, and the member is named. `null` is
the same as a member that is left out. Serves bad inputs 19 and 24 (part D of the behaviour spec).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from msgspec import Raw

from arno.canon.ext import Json
from arno.canon.failure import RequestError


class Shape(Protocol):
    """What a value must look like."""

    def check(self, value: Json) -> None:
        """Raises RequestError, its path below `value`."""
        ...

    def takes(self, value: Json) -> bool:
        """True if the value is of this kind, whatever is in it."""
        ...

    @property
    def expected(self) -> str:
        """What is expected, for a complaint."""
        ...


class Plain:
    """A value of one kind, its content left alone."""

    def __init__(self, expected: str, *types: type, bools: bool = False) -> None:
        self.expected = expected
        self._types = types
        self._bools = bools

    def takes(self, value: Json) -> bool:
        """True if the value is of this kind; true and false are no numbers."""
        return isinstance(value, self._types) and (self._bools or not isinstance(value, bool))

    def check(self, value: Json) -> None:
        """Raises RequestError for another kind."""
        if not self.takes(value):
            raise RequestError(f"it must be {self.expected}")


class _Object(Plain):
    """An object, also one whose text is kept as it came.

    An empty array passes as well: PHP has no other word for an empty object.
    """

    def takes(self, value: Json) -> bool:
        """True for an object."""
        if isinstance(value, Raw):
            return bytes(value).startswith((b"{", b"[]"))
        return super().takes(value) or value == []


TEXT = Plain("a string", str)
NUMBER = Plain("a number", int, Decimal)
INTEGER = Plain("a whole number", int)
FLAG = Plain("true or false", bool, bools=True)
ARRAY = Plain("an array", list)
OBJECT = _Object("an object", Mapping)


class Each:
    """An array of one kind of value. most: how many there may be."""

    expected = "an array"

    def __init__(self, shape: Shape, most: int) -> None:
        self._shape = shape
        self._most = most

    def takes(self, value: Json) -> bool:
        """True for an array."""
        return isinstance(value, list)

    def check(self, value: Json) -> None:
        """Raises RequestError naming the element."""
        if not isinstance(value, list):
            raise RequestError("it must be an array")
        if len(value) > self._most:
            raise RequestError(f"it must have at most {self._most} elements")
        check = self._shape.check
        for number, each in enumerate(value):
            try:
                check(each)
            except RequestError as error:
                raise _below(error, f"[{number}]") from None


class Fields:
    """An object. needs: members that must be there (of several in a tuple, one); snake: each member
    has two spellings.
    """

    expected = "an object"

    def __init__(
        self,
        shapes: Mapping[str, Shape],
        *,
        needs: tuple[str | tuple[str, ...], ...] = (),
        snake: bool = False,
    ) -> None:
        spellings = {name: (name, *((_snake(name),) if snake else ())) for name in shapes}
        self._shapes = {way: shapes[name] for name, ways in spellings.items() for way in ways}
        named = ((need,) if isinstance(need, str) else need for need in needs)
        self._needs = tuple(
            tuple(way for name in names for way in spellings[name]) for names in named
        )

    def takes(self, value: Json) -> bool:
        """True for an object."""
        return isinstance(value, Mapping)

    def check(self, value: Json) -> None:
        """Raises RequestError naming the member."""
        if not isinstance(value, Mapping):
            raise RequestError("it must be an object")
        shapes = self._shapes
        for name, member in value.items():
            shape = shapes.get(name)
            if shape is not None and member is not None:
                try:
                    shape.check(member)
                except RequestError as error:
                    raise _below(error, f".{name}") from None
        for ways in self._needs:
            if all(value.get(way) is None for way in ways):
                raise RequestError("it is missing", ways[0])


class Kinds:
    """Objects told apart by one member. default: the kind of those without it, None: it must be
    there; closed: a kind that no table names is refused.
    """

    expected = "an object"

    def __init__(
        self,
        member: str,
        shapes: Mapping[str, Shape],
        *,
        default: str | None = None,
        closed: bool = False,
    ) -> None:
        self._member = member
        self._shapes = shapes
        self._default = default
        self._closed = closed

    def takes(self, value: Json) -> bool:
        """True for an object."""
        return isinstance(value, Mapping)

    def check(self, value: Json) -> None:
        """Raises RequestError naming the member."""
        if not isinstance(value, Mapping):
            raise RequestError("it must be an object")
        kind = value.get(self._member)
        kind = self._default if kind is None else kind
        if kind is None:
            raise RequestError("it is missing", self._member)
        if not isinstance(kind, str):
            raise RequestError("it must be a string", self._member)
        shape = self._shapes.get(kind)
        if shape is not None:
            shape.check(value)
        elif self._closed:
            raise RequestError(f"it must be one of {', '.join(self._shapes)}", self._member)


class Either:
    """A value of one of several kinds, told apart by what JSON type it has."""

    def __init__(self, *shapes: Shape) -> None:
        self._shapes = shapes

    @property
    def expected(self) -> str:
        """What is expected, for a complaint."""
        return " or ".join(shape.expected for shape in self._shapes)

    def takes(self, value: Json) -> bool:
        """True if one of the kinds does."""
        return any(shape.takes(value) for shape in self._shapes)

    def check(self, value: Json) -> None:
        """Raises RequestError."""
        for shape in self._shapes:
            if shape.takes(value):
                shape.check(value)
                return
        raise RequestError(f"it must be {self.expected}")


def check(shape: Shape, document: Json) -> None:
    """Raises RequestError naming the member of a request that has another shape."""
    try:
        shape.check(document)
    except RequestError as error:
        raise RequestError(error.message, error.path.removeprefix(".")) from None


def _below(error: RequestError, step: str) -> RequestError:
    """The complaint with one more step before its path."""
    gap = "." if error.path and not error.path.startswith((".", "[")) else ""
    return RequestError(error.message, f"{step}{gap}{error.path}")


def _snake(name: str) -> str:
    """The other spelling of a member in camel case."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
