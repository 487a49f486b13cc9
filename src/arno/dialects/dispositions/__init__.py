"""One disposition per parameter: what becomes of each request field in each dialect (R13).

The tables are TOML, one for each dialect that clients speak: `<dialect>.toml`, one section a field,
named as the client writes it (`tools[].function.strict`: a member of each element). Each section
lists every dialect of an upstream exactly once under the word for what becomes of the field there:

mapped         the upstream reads the same thing in its own words
approximated   some values are mapped, for others something near is sent or nothing, told as a Loss
dropped        not sent, told as a Loss
refused        not sent, and the request with it: dropping it would break a promise (status 400)
routed         for the gateway itself, which acts on it; no upstream reads it and nothing is lost

and where it is not mapped, `why`: one sentence for all, or one for each dialect. More members of a
section: `canon`, where the field stands in the canonical request (`*` for an index); `neutral`,
values that ask for nothing (empty ones never do, but for the object of a field that is a `switch`:
its presence is what it asks); `contract`, true for a field that is mapped or refused but never
dropped; `yields`, the other field that wins where both are given.

Fields that no table names are unknown (R14): dropped for every other dialect, and told.
A table is read when something must first be said of its dialect's fields (a few milliseconds).
"""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterator, Mapping
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources

import msgspec

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError

DIALECTS = ("chat", "responses", "messages", "gemini", "converse")
"""The dialects of the tables, as clients speak them and as upstreams do."""


class Disposition(StrEnum):
    """What becomes of a field; see the words above."""

    MAPPED = "mapped"
    APPROXIMATED = "approximated"
    DROPPED = "dropped"
    REFUSED = "refused"
    ROUTED = "routed"


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section of a table; the words' members list dialects of upstreams."""

    canon: str | None = None
    mapped: tuple[str, ...] = ()
    approximated: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    routed: tuple[str, ...] = ()
    why: str | dict[str, str] = ""
    neutral: tuple[Json, ...] = ()
    contract: bool = False
    switch: bool = False
    yields: str | None = None

    def disposition(self, target: str) -> Disposition:
        """What becomes of the field in `target`. KeyError for a dialect that is not listed."""
        for word in Disposition:
            if target in getattr(self, word.value):
                return word
        raise KeyError(target)

    def reason(self, target: str) -> str:
        """Why it is not mapped there, "" where that goes without saying."""
        return self.why if isinstance(self.why, str) else self.why.get(target, "")

    def asks(self, value: Json) -> bool:
        """True if `value` asks for something that could be lost."""
        if is_empty(value):
            return self.switch and value == {}
        return not any(_same(value, neutral) for neutral in self.neutral)


def _same(a: Json, b: Json) -> bool:
    """Equal as JSON: true is not 1."""
    return isinstance(a, bool) is isinstance(b, bool) and bool(a == b)


@cache
def table(client: str) -> Mapping[str, Field]:
    """Every field of a client's dialect by its name. Raises KeyError for an unknown dialect."""
    if client not in DIALECTS:
        raise KeyError(client)
    text = (resources.files(__name__) / f"{client}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, Field])


@cache
def _by_canon(client: str) -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Canonical places, cut into their steps, to the fields that stand there."""
    places: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name, field in table(client).items():
        if field.canon is not None:
            steps = tuple(field.canon.split("/")[1:])
            places[steps] = (*places.get(steps, ()), name)
    return places


def client_field(client: str, path: str, members: Container[str] = ()) -> str:
    """A place of the canonical request as the client wrote it: "/tools/0/strict" -> "tools[0]...".

    members: what the body holds at its top level; decides between two fields that mean the same.
    What is no JSON pointer is in the client's words already and given back.
    """
    if not path.startswith("/"):
        return path
    # Some encoders say that a member stands in the residue, which is no place of the client's.
    steps = tuple(step for step in path.split("/")[1:] if step != "ext")
    general = tuple("*" if step.isdigit() else step for step in steps)
    places = _by_canon(client)
    for length in range(len(steps), 0, -1):
        names = places.get(general[:length])
        if names:
            name = next((name for name in names if _top(name) in members), names[0])
            return _numbered(name, steps[:length]) + _words(_below(steps, length))
    return _words(steps).removeprefix(".")


def _top(name: str) -> str:
    return name.partition(".")[0].removesuffix("[]")


def _numbered(name: str, steps: tuple[str, ...]) -> str:
    """`name` with the indices of its place in it, the last one last; `[]` without one goes away."""
    for index in reversed([step for step in steps if step.isdigit()]):
        head, found, tail = name.rpartition("[]")
        name = f"{head}[{index}]{tail}" if found else name
    return name.replace("[]", "")


def _below(steps: tuple[str, ...], length: int) -> tuple[str, ...]:
    """What to add to a field's name. How messages are counted and cut into parts is ours."""
    ours = steps[:length] == ("messages",) or "parts" in steps[length:]
    return () if ours else steps[length:]


def _words(steps: tuple[str, ...]) -> str:
    unescaped = (step.replace("~1", "/").replace("~0", "~") for step in steps)
    return "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in unescaped)


def dispose(client: str, target: str, residue: Mapping[str, Json]) -> tuple[Loss, ...]:
    """What of a client's own request members is lost in another dialect, in the client's words.

    residue: the members that no canonical field carries (`Request.ext[client]`). Raises
    RequestError naming the first one that must not be lost.
    """
    if client == target:
        return ()
    return tuple(_disposed(client, target, residue, ""))


def _disposed(client: str, target: str, residue: Mapping[str, Json], prefix: str) -> Iterator[Loss]:
    fields, known = table(client), _prefixes(client)
    for key, value in residue.items():
        name = prefix + key
        if key.startswith("@"):
            continue
        if name in known and isinstance(value, Mapping):
            yield from _disposed(client, target, value, f"{name}.")
        elif name not in fields:
            if not is_empty(value):
                yield Loss(name, "dropped", f"{_kind(target)} request has no such member")
        elif fields[name].asks(value):
            yield from _lost(name, fields[name], target)


def _lost(name: str, field: Field, target: str) -> Iterator[Loss]:
    """The loss of one member that stands in the residue."""
    word = field.disposition(target)
    if field.yields is not None:
        yield Loss(name, "dropped", f"{field.yields} is given too, and stands for it")
    elif word is Disposition.REFUSED:
        raise RequestError(f"{name} cannot be carried: {field.reason(target)}", name)
    elif word is Disposition.DROPPED:
        yield Loss(name, "dropped", field.reason(target))
    elif word is not Disposition.ROUTED and field.contract:
        raise RequestError(f"{name} has a value that cannot be carried", name)
    elif word is not Disposition.ROUTED:
        yield Loss(name, "dropped", "its value is not one that can be carried")


@lru_cache
def _prefixes(client: str) -> frozenset[str]:
    """Objects whose members have sections of their own."""
    found: set[str] = set()
    for name in table(client):
        pieces = name.split(".")
        found.update(".".join(pieces[:length]) for length in range(1, len(pieces)))
    return frozenset(found)


def _kind(target: str) -> str:
    return f"a {target}"
