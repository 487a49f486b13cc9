"""Failures of the chat dialect, both directions.

Source: the gateway contract's three error layers (section 4.8), R21 and rows 11 to 15 of the
fault matrix. An upstream's 401 or 402 is the operator's fault, so a client never sees it as its
own.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.dialects.base import Headers
from arno.dialects.text import clean
from arno.wire import json
from arno.wire.errors import MalformedJSON

K = FailureKind

KIND_OF_STATUS: dict[int, FailureKind] = {
    400: K.INVALID_REQUEST,
    401: K.AUTHENTICATION,
    402: K.PAYMENT_REQUIRED,
    403: K.PERMISSION,
    404: K.NOT_FOUND,
    408: K.TIMEOUT,
    413: K.PAYLOAD_TOO_LARGE,
    422: K.UNPROCESSABLE,
    424: K.UNMATCHED,
    429: K.RATE_LIMIT,
    500: K.SERVER,
    502: K.UNAVAILABLE,
    503: K.OVERLOADED,
    504: K.TIMEOUT,
    524: K.TIMEOUT,
    529: K.OVERLOADED,
}

KIND_OF_WORD: tuple[tuple[str, FailureKind], ...] = (
    ("context_length_exceeded", K.CONTEXT_LENGTH),
    ("maximum context length", K.CONTEXT_LENGTH),
    ("rate_limit", K.RATE_LIMIT),
    ("usage limits", K.RATE_LIMIT),
    ("insufficient_quota", K.PAYMENT_REQUIRED),
    ("credit balance", K.PAYMENT_REQUIRED),
    ("overloaded", K.OVERLOADED),
    ("content_policy", K.CONTENT_POLICY),
    ("content_filter", K.CONTENT_POLICY),
    ("server_error", K.SERVER),
    ("timeout", K.TIMEOUT),
)
"""Words in an upstream's code, type or message that tell more than its status."""

CLIENT_SIDE: dict[FailureKind, tuple[int, str]] = {
    K.INVALID_REQUEST: (400, "invalid_request"),
    K.CONTEXT_LENGTH: (400, "context_length_exceeded"),
    K.CONTENT_POLICY: (400, "content_policy_violation"),
    K.AUTHENTICATION: (502, "provider_unavailable"),
    K.PAYMENT_REQUIRED: (502, "provider_unavailable"),
    K.PERMISSION: (403, "permission_denied"),
    K.NOT_FOUND: (404, "not_found"),
    K.PAYLOAD_TOO_LARGE: (413, "payload_too_large"),
    K.UNPROCESSABLE: (422, "unprocessable"),
    K.RATE_LIMIT: (429, "rate_limit_exceeded"),
    K.SERVER: (502, "provider_unavailable"),
    K.UNAVAILABLE: (502, "provider_unavailable"),
    K.OVERLOADED: (503, "provider_overloaded"),
    K.INVALID_ANSWER: (502, "provider_unavailable"),
    K.TIMEOUT: (504, "timeout"),
    K.TRUNCATED: (502, "provider_unavailable"),
    K.UNMATCHED: (424, "not_found"),
}
"""What a client is told: HTTP status and the contract's error_type."""

RETRYABLE = frozenset(
    {K.RATE_LIMIT, K.SERVER, K.UNAVAILABLE, K.OVERLOADED, K.INVALID_ANSWER, K.TIMEOUT, K.TRUNCATED}
)


def decode_failure(
    status: int, headers: Mapping[str, str] | Headers, body: bytes, stage: Stage
) -> Failure:
    """An answer with a bad status; the body may be JSON, HTML, anything or nothing."""
    fields = dict(headers)
    try:
        document = json.loads(body)
    except MalformedJSON:
        document = None
    error = _error_of(document)
    if error is None:
        kind = KIND_OF_STATUS.get(status, K.SERVER if status >= 500 else K.INVALID_REQUEST)
        shape = fields.get("content-type", "no content type").split(";")[0]
        return Failure(
            kind=kind,
            message=clean(f"upstream answered {status} ({shape})"),
            status=status,
            retryable=kind in RETRYABLE,
            retry_after=_retry_after(fields),
            stage=stage,
        )
    return decode_error(error, stage, status=status, retry_after=_retry_after(fields))


def _error_of(document: Json) -> Json:
    """The error member, wherever hosts put it; None if the document holds none."""
    if not isinstance(document, Mapping):
        return None
    if document.get("error"):
        return document["error"]
    if document.get("message") or document.get("detail"):
        return dict(document)
    return None


def decode_error(
    error: Json, stage: Stage, *, status: int | None = None, retry_after: float | None = None
) -> Failure:
    """An error member, of a body or of a chunk. Its own numeric code outranks the status.

    (A rate limit inside a 200 or a 500 is still a rate limit.)
    """
    if not isinstance(error, Mapping):
        error = {"message": str(error)}
    code = error.get("code")
    number = _status_of(code)
    if number is None:
        number = _status_of(error.get("status_code"))
    if number is None:
        number = status
    message = error.get("message") or error.get("detail") or "upstream reported an error"
    kind = _kind(number, error, str(message))
    return Failure(
        kind=kind,
        message=clean(str(message)),
        status=number,
        code=None if code is None else clean(str(code)),
        retryable=kind in RETRYABLE,
        retry_after=retry_after,
        stage=stage,
        native=error,
    )


def _status_of(code: Json) -> int | None:
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else None


def _kind(status: int | None, error: Mapping[str, Json], message: str) -> FailureKind:
    words = " ".join(str(error.get(key) or "") for key in ("code", "type")).lower()
    for word, kind in KIND_OF_WORD:
        if word in words:
            return kind
    by_status = KIND_OF_STATUS.get(status or 0)
    if by_status in (None, K.INVALID_REQUEST):
        for word, kind in KIND_OF_WORD:
            if word in message.lower():
                return kind
    if by_status is not None:
        return by_status
    return K.INVALID_REQUEST if status is not None and status < 500 else K.SERVER


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: a number, or a date read against the answer's own Date header."""
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until(text, headers.get("date"))
    return seconds if 0 <= seconds < 1e9 else None


def _until(text: str, now: str | None) -> float | None:
    try:
        then = parsedate_to_datetime(text)
        return max(0.0, (then - parsedate_to_datetime(now)).total_seconds()) if now else None
    except (TypeError, ValueError):
        return None


def client_status(failure: Failure) -> int:
    """The HTTP status a client sees for `failure`."""
    return CLIENT_SIDE[failure.kind][0]


def error_member(failure: Failure, provider: str | None = None) -> dict[str, Json]:
    """The contract's error object: integer code, message, metadata with a stable error_type."""
    status, error_type = CLIENT_SIDE[failure.kind]
    metadata: dict[str, Any] = {"error_type": error_type, "reason": failure.kind.value}
    if provider is not None:
        metadata["provider_name"] = provider
    if failure.code is not None:
        metadata["provider_code"] = failure.code
    raw = _native_text(failure.native)
    if raw is not None:
        metadata["raw"] = raw
    return {"code": status, "message": failure.message, "metadata": metadata}


def _native_text(native: Json) -> str | None:
    """The upstream's own words, if it sent more than a message."""
    if not isinstance(native, Mapping):
        return None
    metadata = native.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    return clean(str(raw)) if raw else None


def encode_failure(failure: Failure, provider: str | None = None) -> tuple[int, dict[str, Json]]:
    """Status and document for a failure before any output."""
    return client_status(failure), {"error": error_member(failure, provider)}
