"""Several cassettes as one source of answers, and what they hold (spec/cassettes.md 4.2, R40).

A server replays many files at once: a request is looked up in all of them in one step, and a miss
names the file beside the recording. `asked_models` tells which models a cassette can speak for.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from arno.cassette.canonical import Base, Ignore
from arno.cassette.match import Matcher, Miss, Near, Policy
from arno.cassette.model import Cassette, Interaction
from arno.cassette.rules import DEFAULT, Redaction
from arno.wire import json
from arno.wire.errors import MalformedJSON

_SHOWN: Final = 3


class NamedCassette(msgspec.Struct, frozen=True):
    """A cassette and what messages call it (its file), "" if it has no name."""

    cassette: Cassette
    name: str = ""


class Nearest(msgspec.Struct, frozen=True):
    """A recorded request close to one that was not found; `id` is its number in `source`."""

    source: str
    id: int
    used: bool
    differences: tuple[str, ...]


class Unmatched(msgspec.Struct, frozen=True):
    """No recording answers a request. `message` is for a human and names the nearest recordings of
    the best file; `nearest` lists those of all files, best first.
    """

    message: str
    nearest: tuple[Nearest, ...]


class Index:
    """Answers requests from cassettes, in the order given. Remembers what was used.

    Hosts do not decide (`Base.PATH`): a replay stands in for any of them. Safe to share between
    threads.
    """

    def __init__(
        self,
        cassettes: Iterable[NamedCassette],
        policy: Policy = Policy.STATELESS,
        *,
        base: Base = Base.PATH,
        ignore: Iterable[Ignore] = (),
        redaction: Redaction = DEFAULT,
    ) -> None:
        """Index every interaction. `base`, `ignore` and `redaction` as for `Matcher`."""
        pairs = [(one.name, item) for one in cassettes for item in one.cassette.interactions]
        self._names = {id(item): name for name, item in pairs}
        self._interactions = tuple(item for _, item in pairs)
        self._matcher = Matcher(
            self._interactions, policy, base=base, ignore=ignore, redaction=redaction
        )

    def find(self, method: str, url: str, body: bytes) -> Interaction | Unmatched:
        """The recording for this request by the policy, or what comes nearest."""
        found = self._matcher.find(method, url, body)
        return self._explain(found) if isinstance(found, Miss) else found

    def unused(self) -> tuple[Interaction, ...]:
        """The recordings that answered nothing so far, in order."""
        return self._matcher.unused()

    def models(self) -> tuple[str, ...]:
        """The ids of the models that recorded requests ask for, in order of appearance."""
        return _models(self._interactions)

    def _explain(self, miss: Miss) -> Unmatched:
        nearest = tuple(
            Nearest(
                self._source(near),
                near.interaction.id,
                near.used,
                tuple(str(item) for item in near.differences[:_SHOWN]),
            )
            for near in miss.near
        )
        best = nearest[0].source if nearest else ""
        # One text names one file: numbers of different files would read as of the same.
        near = tuple(near for near in miss.near if self._source(near) == best)
        return Unmatched(msgspec.structs.replace(miss, source=best, near=near).message(), nearest)

    def _source(self, near: Near) -> str:
        return self._names[id(near.interaction)]


def asked_models(cassette: Cassette) -> tuple[str, ...]:
    """The ids of the models that its requests ask for (`model` in a JSON body), in order of
    appearance, each once.
    """
    return _models(cassette.interactions)


def _models(interactions: Iterable[Interaction]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_each_model(interactions)))


def _each_model(interactions: Iterable[Interaction]) -> Iterator[str]:
    for item in interactions:
        try:
            document = json.loads(item.request.body)
        except MalformedJSON:
            continue
        model = document.get("model") if isinstance(document, dict) else None
        if isinstance(model, str) and model:
            yield model
