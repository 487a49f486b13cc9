"""When the next candidate is tried: one table, by the failure's kind.

The upstream's fault or its account's fault goes on to the next endpoint, and so does a model that
this endpoint lacks; the request's own fault would fail there too. After the first output nothing
goes on. Source: R28.
"""

from __future__ import annotations

from arno.canon.failure import Failure, FailureKind, Stage

K = FailureKind

GOES_ON: dict[FailureKind, bool] = {
    K.INVALID_REQUEST: False,
    K.CONTEXT_LENGTH: False,
    K.CONTENT_POLICY: False,
    K.AUTHENTICATION: True,
    K.PAYMENT_REQUIRED: True,
    K.PERMISSION: True,
    K.NOT_FOUND: False,
    K.MODEL_NOT_FOUND: True,
    K.PAYLOAD_TOO_LARGE: False,
    K.UNPROCESSABLE: False,
    K.RATE_LIMIT: True,
    K.SERVER: True,
    K.UNAVAILABLE: True,
    K.OVERLOADED: True,
    K.INVALID_ANSWER: True,
    K.TIMEOUT: True,
    K.TRUNCATED: True,
    K.UNMATCHED: True,
}
"""Every kind has a row; a test fails for a kind without one."""


def may_go_on(failure: Failure) -> bool:
    """True if another candidate may be tried."""
    return failure.stage is not Stage.MID_STREAM and GOES_ON[failure.kind]
