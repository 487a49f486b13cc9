"""Failures of the messages dialect, both directions.

Source: the gateway contract's error layers (section 4.8); SDK type `ErrorObject`. The rules about
statuses, codes and operators' secrets are those of `arno.dialects.failures`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.dialects import failures as shared
from arno.dialects.base import Headers, Stamp
from arno.dialects.failures import RETRYABLE, client_status
from arno.wire import json
from arno.wire.sse import encode_sse

K = FailureKind

KIND_OF_TYPE: dict[str, FailureKind] = {
    "invalid_request_error": K.INVALID_REQUEST,
    "authentication_error": K.AUTHENTICATION,
    "billing_error": K.PAYMENT_REQUIRED,
    "permission_error": K.PERMISSION,
    "not_found_error": K.NOT_FOUND,
    "request_too_large": K.PAYLOAD_TOO_LARGE,
    "rate_limit_error": K.RATE_LIMIT,
    "timeout_error": K.TIMEOUT,
    "api_error": K.SERVER,
    "overloaded_error": K.OVERLOADED,
}
"""An error's type to its kind, where no status decides (an error inside a stream)."""

TYPE_OF_KIND: dict[FailureKind, str] = {
    K.INVALID_REQUEST: "invalid_request_error",
    K.CONTEXT_LENGTH: "invalid_request_error",
    K.CONTENT_POLICY: "invalid_request_error",
    K.UNPROCESSABLE: "invalid_request_error",
    K.PERMISSION: "permission_error",
    K.NOT_FOUND: "not_found_error",
    K.MODEL_NOT_FOUND: "not_found_error",
    K.UNMATCHED: "not_found_error",
    K.PAYLOAD_TOO_LARGE: "request_too_large",
    K.RATE_LIMIT: "rate_limit_error",
    K.TIMEOUT: "timeout_error",
    K.OVERLOADED: "overloaded_error",
}
"""What a client reads as the type; any other kind is an `api_error`, the operator's included."""


def decode_failure(status: int, headers: Headers, body: bytes, stage: Stage) -> Failure:
    """An answer with a bad status; the body may be JSON, HTML, anything or nothing."""
    return shared.decode_failure(status, headers, body, stage)


def decode_error(error: Json, stage: Stage, *, headers: Headers = ()) -> Failure:
    """An error member where no status tells what it is: in a stream, or with a good status."""
    failure = shared.decode_error(error or {}, stage, headers=headers)
    type_ = error.get("type") if isinstance(error, Mapping) else None
    kind = KIND_OF_TYPE.get(str(type_))
    if failure.kind not in (K.SERVER, K.INVALID_REQUEST) or kind in (None, failure.kind):
        return failure
    return msgspec.structs.replace(failure, kind=kind, retryable=kind in RETRYABLE)


def error_document(failure: Failure, provider: str | None, request_id: str | None) -> Document:
    """The error document. Its stable code is `error_type`, why it was chosen `reason`."""
    error = {
        "type": TYPE_OF_KIND.get(failure.kind, "api_error"),
        "message": failure.message,
        **shared.facts_of(failure, provider),
    }
    return {"type": "error", "error": error, "request_id": request_id}


Document = dict[str, Json]


def encode_failure(failure: Failure, provider: str | None = None) -> tuple[int, Document]:
    """Status and document for a failure before any output."""
    return client_status(failure), error_document(failure, provider, None)


REFUSALS: dict[int, tuple[str, str]] = {
    401: ("authentication_error", "authentication"),
    402: ("billing_error", "payment_required"),
    403: ("permission_error", "permission_denied"),
    404: ("not_found_error", "not_found"),
    408: ("timeout_error", "timeout"),
    413: ("request_too_large", "payload_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("api_error", "server"),
    503: ("overloaded_error", "server"),
    504: ("timeout_error", "timeout"),
}
"""What a refusal of the gateway's own reads as: its type and the contract's error_type."""


def encode_refusal(status: int, message: str, reason: str) -> Document:
    """The error document for a request that the gateway itself does not serve."""
    type_, error_type = REFUSALS.get(status, ("invalid_request_error", "invalid_request"))
    error = {"type": type_, "message": message, "error_type": error_type, "reason": reason}
    return {"type": "error", "error": error, "request_id": None}


def error_frame(failure: Failure, stamp: Stamp) -> bytes:
    """The `error` event that ends a stream with a failure (R5)."""
    document = error_document(failure, stamp.provider, stamp.id)
    return encode_sse(json.dumps(document), "error")
