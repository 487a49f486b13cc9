"""R28: which failures another candidate may make good."""

import pytest

from arno.canon.failure import Failure, FailureKind, Stage
from arno.routing.failover import GOES_ON, may_go_on

K = FailureKind
GOES = {
    K.AUTHENTICATION,
    K.PAYMENT_REQUIRED,
    K.PERMISSION,
    K.MODEL_NOT_FOUND,
    K.RATE_LIMIT,
    K.SERVER,
    K.UNAVAILABLE,
    K.OVERLOADED,
    K.INVALID_ANSWER,
    K.TIMEOUT,
    K.TRUNCATED,
    K.UNMATCHED,
}
"""The upstream's own fault, or its account's; the rest is the request's."""


def test_every_kind_of_failure_has_a_row():
    assert set(GOES_ON) == set(FailureKind)


@pytest.mark.parametrize("stage", [Stage.BEFORE_HEAD, Stage.BEFORE_OUTPUT])
@pytest.mark.parametrize("kind", FailureKind)
def test_before_any_output_the_kind_decides(kind, stage):
    """R28."""
    assert may_go_on(Failure(kind, "no", stage=stage)) is (kind in GOES)


@pytest.mark.parametrize("kind", FailureKind)
def test_after_output_nothing_goes_on(kind):
    """R28: no switch after the first byte."""
    assert not may_go_on(Failure(kind, "model not found", stage=Stage.MID_STREAM))


@pytest.mark.parametrize("message", ["The model `x` does not exist", "no such path", ""])
def test_the_table_alone_decides_and_no_word_of_the_message(message):
    """R28: a model that an endpoint lacks goes on, a plain 404 does not, whatever it says."""
    stage = Stage.BEFORE_OUTPUT
    assert may_go_on(Failure(K.MODEL_NOT_FOUND, message, status=404, stage=stage))
    assert not may_go_on(Failure(K.NOT_FOUND, message, status=404, stage=stage))


@pytest.mark.parametrize("retryable", [True, False])
def test_the_kind_decides_and_not_what_a_retry_would_do(retryable):
    """R28: the same request may be refused again here and served elsewhere."""
    assert may_go_on(Failure(K.AUTHENTICATION, "bad key", retryable=retryable))
    assert not may_go_on(Failure(K.INVALID_REQUEST, "bad", retryable=retryable))
