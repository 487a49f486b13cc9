"""What the client is told after several attempts (R28, R29)."""

import pytest

from arno.canon.failure import Failure, FailureKind
from arno.routing.verdict import verdict

K = FailureKind


def limited(seconds=None, kind=K.RATE_LIMIT):
    return Failure(kind, "later", retryable=True, retry_after=seconds)


def failed(kind):
    return Failure(kind, "no")


CASES = {
    "one": ([failed(K.SERVER)], K.SERVER, None),
    "the last of two that say nothing": (
        [failed(K.SERVER), failed(K.UNAVAILABLE)],
        K.UNAVAILABLE,
        None,
    ),
    "a limit before a refused connection": ([limited(7), failed(K.UNAVAILABLE)], K.RATE_LIMIT, 7),
    "a limit before the operator's fault": (
        [limited(7), failed(K.AUTHENTICATION)],
        K.RATE_LIMIT,
        7,
    ),
    "a limit before an unknown model": ([limited(7), failed(K.MODEL_NOT_FOUND)], K.RATE_LIMIT, 7),
    "the soonest of two limits": ([limited(7), limited(3)], K.RATE_LIMIT, 3),
    "a limit without a hint": ([limited(7), limited()], K.RATE_LIMIT, 7),
    "an overload": ([limited(9, K.OVERLOADED), failed(K.SERVER)], K.OVERLOADED, 9),
    "the request's own fault": ([limited(7), failed(K.INVALID_REQUEST)], K.INVALID_REQUEST, None),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_client_can_act_on_is_told(name):
    failures, kind, wait = CASES[name]
    told = verdict(failures)
    assert (told.kind, told.retry_after) == (kind, wait)
