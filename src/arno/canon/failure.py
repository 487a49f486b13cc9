"""Failure: the upstream's fault as a value that travels to the edge.

A failure is never raised through the core: it is encoded at the edge in the client's dialect.
`LocalError` is the other family: the caller's mistake, raised where it is found.

    LocalError
      RequestError        a request that cannot be decoded (names the field)
      OrderError          an event sequence that `canon.order` forbids (a bug of ours)
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from arno.canon.ext import Json


class LocalError(Exception):
    """Our caller's mistake."""


class RequestError(LocalError):
    """A request that cannot be understood. `path` is the field as the caller would write it."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class OrderError(LocalError):
    """Events in an order that no decoder may produce."""


class FailureKind(StrEnum):
    """Why an exchange failed, in classes that routing and every dialect can map."""

    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length_exceeded"
    CONTENT_POLICY = "content_policy_violation"
    AUTHENTICATION = "authentication"
    PAYMENT_REQUIRED = "payment_required"
    PERMISSION = "permission_denied"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNPROCESSABLE = "unprocessable"
    RATE_LIMIT = "rate_limit_exceeded"
    SERVER = "server"
    UNAVAILABLE = "provider_unavailable"
    OVERLOADED = "provider_overloaded"
    INVALID_ANSWER = "invalid_answer"
    TIMEOUT = "timeout"
    TRUNCATED = "upstream_truncated"
    UNMATCHED = "unmatched_request"


class Stage(StrEnum):
    """How far the exchange had come; failover is allowed before the first output only."""

    BEFORE_HEAD = "before_head"
    BEFORE_OUTPUT = "before_output"
    MID_STREAM = "mid_stream"


class Previous(msgspec.Struct, frozen=True):
    """A failed attempt before the one that is told: who, the upstream's code, its HTTP status."""

    provider: str
    code: str | None = None
    status: int | None = None


class Failure(msgspec.Struct, frozen=True):
    """One upstream failure.

    status: the upstream's HTTP status as it came, None if no head came or it was a good one (a
    number inside the body is `code`); code: the upstream's own code as text; retry_after:
    seconds; native: the upstream's error document as it came; detail: more for the operator
    (addresses, what the upstream says of the operator's account), never sent to a client;
    previous: failed attempts at others, in order.
    """

    kind: FailureKind
    message: str
    status: int | None = None
    code: str | None = None
    retryable: bool = False
    retry_after: float | None = None
    stage: Stage = Stage.BEFORE_HEAD
    native: Json = None
    detail: str | None = None
    previous: tuple[Previous, ...] = ()
