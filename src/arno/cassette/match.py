"""Finding the recorded interaction that answers a request (spec/cassettes.md 4.2; R39, R40).

A miss is a value that explains itself: the nearest recordings, where they differ, and which were
used already. Nothing ever falls through to the network from here; there is none.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import accumulate, islice
from typing import Final

import msgspec

from arno.cassette.canonical import (
    Base,
    Ignore,
    Matching,
    RequestKey,
    read_body,
    request_key,
)
from arno.cassette.difference import Comparer, Difference, bytes_difference
from arno.cassette.model import Interaction
from arno.cassette.rules import DEFAULT, REPLACEMENT, Redaction
from arno.cassette.secrets import find_secret

NEAREST: Final = 3
"""How many recorded requests a miss shows."""

MAX_DIFFERENCES: Final = 10
"""How many differences are looked for in each."""

SPELLINGS: Final = 8
"""How many times as long as itself a body may be written (white space, `\\u` escapes)."""

SLACK: Final = 64 * 1024
"""Bytes that a body may have more, for fields that are ignored."""

_COMPARED: Final = 200
_COMPARED_BYTES: Final = 8 * 1024 * 1024
_SHOWN: Final = 3


class Policy(StrEnum):
    """What equal requests get. `SEQUENCE`: each recording once, in file order. `STICKY`: the same,
    then the last one again and again. `STATELESS`: always the first.
    """

    SEQUENCE = "sequence"
    STICKY = "sticky"
    STATELESS = "stateless"


class Near(msgspec.Struct, frozen=True):
    """A recorded request that is close to one that was not found."""

    interaction: Interaction
    used: bool
    differences: tuple[Difference, ...]


class Miss(msgspec.Struct, frozen=True):
    """No recording answers this request. `source` names the cassette, "" if it has no name.

    With `exhausted` the request does match, but every match was used before (policy sequence).
    `too_long` are the bytes of a body that was not read, since none that is recorded comes near
    its length, and those of the longest recorded one.
    """

    method: str
    url: str
    source: str
    exhausted: bool
    near: tuple[Near, ...]
    too_long: tuple[int, int] | None = None

    def message(self) -> str:
        """What a human needs to repair the test or to record again; a line per recording."""
        asked = f"{self.method} {self.url}"
        if self.exhausted:
            numbers = ", ".join(f"#{near.interaction.id}" for near in self.near)
            return (
                f"every recorded request that matches {asked} was used already: {numbers}{self._of}"
            )
        begin = f"no recorded request matches {asked}"
        if self.too_long is not None:
            size, longest = self.too_long
            return f"{begin}: request body of {size} bytes; the longest recorded one has {longest}"
        if not self.near:
            place = f" in {self.source}" if self.source else ""
            return f"{begin}; nothing is recorded{place}"
        first, *others = (self._describe(near) for near in self.near)
        return "\n".join([f"{begin}; nearest is {first}", *(f"then {other}" for other in others)])

    @property
    def _of(self) -> str:
        return f" of {self.source}" if self.source else ""

    def _describe(self, near: Near) -> str:
        used = " (used already)" if near.used else ""
        shown = "; ".join(str(item) for item in near.differences[:_SHOWN])
        shown = shown or "too much to compare"
        more = len(near.differences) - _SHOWN
        # The search stops at MAX_DIFFERENCES, so a full list may not be all of them.
        least = "at least " if len(near.differences) == MAX_DIFFERENCES else ""
        rest = f"; and {least}{more} more" if more > 0 else ""
        return f"#{near.interaction.id}{self._of}{used}: {shown}{rest}"


class Matcher:
    """Answers requests from recordings. One matcher is one replay: it remembers what was used.

    Safe to share between threads: each recording is handed out by one atomic operation.
    """

    def __init__(
        self,
        interactions: Sequence[Interaction],
        policy: Policy = Policy.SEQUENCE,
        *,
        base: Base = Base.URL,
        ignore: Iterable[Ignore] = (),
        redaction: Redaction = DEFAULT,
        source: str = "",
    ) -> None:
        """Index the recordings. `base`, `ignore` and `redaction` say what may differ; `source`
        names the cassette in messages.
        """
        self._interactions = tuple(interactions)
        self._policy = policy
        self._how = Matching(base, tuple(ignore), redaction)
        self._compare = Comparer(redaction)
        self._source = source
        self._used: set[int] = set()
        self._keys = tuple(self._key(item) for item in self._interactions)
        self._longest = max((len(item.request.body) for item in self._interactions), default=0)
        self._matches: dict[RequestKey, list[int]] = {}
        for place, key in enumerate(self._keys):
            self._matches.setdefault(key, []).append(place)
        self._queues = {key: deque(places) for key, places in self._matches.items()}

    def find(self, method: str, url: str, body: bytes) -> Interaction | Miss:
        """The recording for this request by the policy, or a Miss.

        The work is bounded by the length of the recordings and not by that of the request.
        """
        if len(body) > SPELLINGS * self._longest + SLACK:
            return self._too_long(method, url, len(body))
        key = request_key(method, url, body, self._how)
        if key not in self._matches:
            return self._miss(key, body)
        place = self._take(key)
        if place is None:
            used = (self._interactions[place] for place in self._matches[key])
            near = tuple(Near(item, True, ()) for item in islice(used, NEAREST))
            return Miss(key.method, self._safe_url(key), self._source, True, near)
        self._used.add(place)
        return self._interactions[place]

    def _is_spent(self, place: int) -> bool:
        """Whether a recording was used and will not be again (by the policy)."""
        return self._policy is Policy.SEQUENCE and place in self._used

    def unused(self) -> tuple[Interaction, ...]:
        """The recordings that answered nothing so far, in file order."""
        items = enumerate(self._interactions)
        return tuple(item for place, item in items if place not in self._used)

    def _key(self, item: Interaction) -> RequestKey:
        request = item.request
        return request_key(request.method, request.url, request.body, self._how)

    def _too_long(self, method: str, url: str, size: int) -> Miss:
        key = request_key(method, url, b"", self._how)
        sizes = (size, self._longest)
        return Miss(key.method, self._safe_url(key), self._source, False, (), sizes)

    def _take(self, key: RequestKey) -> int | None:
        if self._policy is Policy.STATELESS:
            return self._matches[key][0]
        try:
            return self._queues[key].popleft()
        except IndexError:
            return self._matches[key][-1] if self._policy is Policy.STICKY else None

    def _miss(self, key: RequestKey, body: bytes) -> Miss:
        far = [_far(recorded, key) for recorded in self._keys]
        places = self._few(sorted(range(len(far)), key=far.__getitem__)[:_COMPARED], len(body))
        got = read_body(body, self._how)
        differences = {place: self._differences(place, key, body, got) for place in places}
        # Sorting is stable: equally near recordings stay in file order.
        places.sort(key=lambda place: (far[place], len(differences[place])))
        near = tuple(
            Near(self._interactions[place], self._is_spent(place), differences[place])
            for place in places[:NEAREST]
        )
        return Miss(key.method, self._safe_url(key), self._source, False, near)

    def _safe_url(self, key: RequestKey) -> str:
        """The URL as asked; a path or parameter that holds a secret makes all of it unshowable."""
        secret = find_secret(key.url.encode(errors="replace"), self._how.redaction)
        return REPLACEMENT if secret else key.url

    def _few(self, places: list[int], size: int) -> list[int]:
        """The first of the recordings, as many as are shown, and more while what is compared
        with the body, and the body each time, are short.
        """
        lengths = (len(self._interactions[place].request.body) for place in places)
        sums = accumulate(length + size for length in lengths)
        few = bisect_right(list(sums), _COMPARED_BYTES)
        return places[: max(few, NEAREST)]

    def _differences(
        self, place: int, key: RequestKey, body: bytes, got: object
    ) -> tuple[Difference, ...]:
        """What differs from the recording at `place`; `got` is what `body` was read as."""
        request = self._interactions[place].request
        old = self._keys[place]
        found = []
        if old.method != key.method:
            found.append(self._compare.texts("method", old.method, key.method))
        if old.url != key.url:
            found.append(self._compare.texts("url", old.url, key.url))
        recorded = read_body(request.body, self._how)
        if not isinstance(recorded, bytes) and not isinstance(got, bytes):
            return (*found, *self._compare.bodies(recorded, got, MAX_DIFFERENCES - len(found)))
        if recorded != got:
            found.append(bytes_difference(request.body, body))
        return tuple(found)


def _far(recorded: RequestKey, key: RequestKey) -> int:
    """How far method and URL are off: those outweigh any difference in a body."""
    return 2 * (recorded.url != key.url) + (recorded.method != key.method)
