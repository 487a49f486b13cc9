"""How long an attempt may take: four clocks, by model, by provider and by request (R11).

    connect       name look-up, TCP and TLS, until a connection to the upstream stands
    first event   from sending until the first event that is more than a comment or a ping
    idle          between two events
    total         the whole attempt

The operator says them for models and providers; a request may shorten them, never lengthen.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from arno.exchange.driver import Deadlines
from arno.providers import Candidate

DeadlinesFor = Callable[[Candidate], Deadlines]

_KNOWN_PLACES = 4096

NO_DEADLINES = Deadlines(connect=None, first=None, idle=None, total=None)


class DeadlineTable:
    """The deadlines of candidates, each worked out once."""

    def __init__(self, deadlines_for: DeadlinesFor) -> None:
        self._deadlines_for = deadlines_for
        self._known: dict[tuple[str, str], Deadlines] = {}

    def of(self, candidate: Candidate) -> Deadlines:
        """What an attempt at `candidate` may take."""
        place = (candidate.endpoint.slug, candidate.model)
        known = self._known.get(place)
        if known is None:
            if len(self._known) >= _KNOWN_PLACES:
                self._known.clear()
            known = self._known[place] = self._deadlines_for(candidate)
        return known


def tightened(deadlines: Deadlines, asked: Deadlines | None, spent: float) -> Deadlines:
    """The shorter of each; asked: what the request wishes, whose total counts from its beginning.

    spent: seconds since then.
    """
    if asked is None:
        return deadlines
    total = None if asked.total is None else max(0.0, asked.total - spent)
    return Deadlines(
        connect=_shorter(deadlines.connect, asked.connect),
        first=_shorter(deadlines.first, asked.first),
        idle=_shorter(deadlines.idle, asked.idle),
        total=_shorter(deadlines.total, total),
    )


def _shorter(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


class Retry(msgspec.Struct, frozen=True):
    """rounds: how often all candidates are tried again when the failures may pass with time.

    backoff: seconds before the first further round, doubled each time; longest: of one wait. An
    upstream's Retry-After counts where it is longer; beyond `longest` the client is told instead.
    """

    rounds: int = 0
    backoff: float = 1.0
    longest: float = 30.0

    def wait(self, number: int, retry_after: float | None, draw: Callable[[], float]) -> float:
        """Seconds before further round `number` (from 1), or more than `longest`: no round.

        Half of it is chance, so that clients that failed together do not come back together.
        """
        wait: float = min(self.backoff * 2 ** (number - 1), self.longest) * (0.5 + draw() / 2)
        return max(wait, retry_after or 0.0)
