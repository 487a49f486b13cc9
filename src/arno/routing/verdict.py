"""Which of several attempts' failures the client is told.

A client can act on "later" (a rate limit, an overload), so such a failure is told before one that
is only the operator's concern, with the soonest time that any attempt named (R28, R29).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from arno.canon.failure import Failure, FailureKind
from arno.routing.failover import may_go_on

LATER = frozenset({FailureKind.RATE_LIMIT, FailureKind.OVERLOADED})


def verdict(failures: Sequence[Failure]) -> Failure:
    """The failure to tell; `failures` in the order of the attempts, at least one.

    A request's own fault ends the attempts, so it stands last and is told as it is.
    """
    last = failures[-1]
    later = [failure for failure in failures if failure.kind in LATER]
    if not later or not may_go_on(last):
        return last
    waits = [failure.retry_after for failure in later if failure.retry_after is not None]
    soonest = min(waits) if waits else None
    return msgspec.structs.replace(later[-1], retry_after=soonest)
