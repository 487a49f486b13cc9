"""Failures of the generateContent dialect, both directions: its error object.

The canonical status word decides the kind where it says more than the number; `details` hold how
long to wait and the reason. Our own reason stands in an `ErrorInfo` of the domain "arno", by which
the kind is known again. Source: google.rpc.Code, google.rpc.ErrorInfo, google.rpc.RetryInfo; Gemini
API, "Troubleshooting"; R21.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.dialects import failures as shared
from arno.dialects.base import Headers
from arno.dialects.failures import CLIENT_SIDE, LATER, OPERATORS, RETRYABLE, words_of
from arno.dialects.text import clean
from arno.wire import json
from arno.wire.errors import MalformedJSON

K = FailureKind

KIND_OF_WORD: dict[str, FailureKind] = {
    "CANCELLED": K.SERVER,
    "UNKNOWN": K.SERVER,
    "INVALID_ARGUMENT": K.INVALID_REQUEST,
    "DEADLINE_EXCEEDED": K.TIMEOUT,
    "NOT_FOUND": K.NOT_FOUND,
    "ALREADY_EXISTS": K.INVALID_REQUEST,
    "PERMISSION_DENIED": K.PERMISSION,
    "UNAUTHENTICATED": K.AUTHENTICATION,
    "RESOURCE_EXHAUSTED": K.RATE_LIMIT,
    "FAILED_PRECONDITION": K.PERMISSION,
    "ABORTED": K.OVERLOADED,
    "OUT_OF_RANGE": K.INVALID_REQUEST,
    "UNIMPLEMENTED": K.INVALID_REQUEST,
    "INTERNAL": K.SERVER,
    "UNAVAILABLE": K.OVERLOADED,
    "DATA_LOSS": K.SERVER,
}
"""The canonical status of an error to its kind. FAILED_PRECONDITION is about the account: the
region, a plan that must be paid."""

KIND_OF_REASON: dict[str, FailureKind] = {
    "API_KEY_INVALID": K.AUTHENTICATION,
    "API_KEY_EXPIRED": K.AUTHENTICATION,
    "API_KEY_SERVICE_BLOCKED": K.AUTHENTICATION,
    "ACCESS_TOKEN_EXPIRED": K.AUTHENTICATION,
    "ACCESS_TOKEN_TYPE_UNSUPPORTED": K.AUTHENTICATION,
    "CREDENTIALS_MISSING": K.AUTHENTICATION,
    "SERVICE_DISABLED": K.AUTHENTICATION,
    "CONSUMER_INVALID": K.AUTHENTICATION,
    "CONSUMER_SUSPENDED": K.PAYMENT_REQUIRED,
    "BILLING_DISABLED": K.PAYMENT_REQUIRED,
    "RATE_LIMIT_EXCEEDED": K.RATE_LIMIT,
}
"""The reason in an `ErrorInfo` of the vendor's."""

_PHRASES: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"(?i)input token count.{0,40}exceeds|token count exceeds"), K.CONTEXT_LENGTH),
    (re.compile(r"(?i)api key (?:not valid|expired|not found)"), K.AUTHENTICATION),
    (re.compile(r"(?i)(?:models?/|publisher model )\S+.{0,80}(?:not found)"), K.MODEL_NOT_FOUND),
    (re.compile(r"(?i)credits? (?:are|is) depleted|billing account"), K.PAYMENT_REQUIRED),
)
"""What a message says that the status leaves open, looked for in its beginning."""

_MOST_READ = 2048
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
TYPE_PREFIX = "type.googleapis.com/google.rpc."
DOMAIN = "arno"

WORDS: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    414: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    421: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    424: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    431: "INVALID_ARGUMENT",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP status of an error to the canonical status word that stands beside it."""


def decode_failure(status: int, headers: Headers, body: bytes, stage: Stage) -> Failure:
    """An answer with a bad status; the body may be JSON, HTML, anything or nothing."""
    try:
        document = json.loads(body)
    except MalformedJSON:
        document = None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    error = document.get("error") if isinstance(document, Mapping) else None
    if not isinstance(error, Mapping):
        return shared.decode_failure(status, headers, body, stage)
    return decode_error(error, stage, status=status, headers=headers)


def decode_error(
    error: Json, stage: Stage, *, status: int | None = None, headers: Headers = ()
) -> Failure:
    """An error object, of a body or of a chunk. status: the HTTP status if it was a bad one."""
    plain = shared.decode_error(error, stage, status=status, headers=headers)
    if not isinstance(error, Mapping):
        return plain
    message = words_of(error.get("message") or plain.message)
    kind = _kind(error, message) or plain.kind
    return _failure(kind, message, plain, error)


def _failure(kind: FailureKind, message: str, plain: Failure, error: Mapping[str, Json]) -> Failure:
    """`plain` under its right kind, with what the details say."""
    word = error.get("status")
    code = clean(word) if isinstance(word, str) else plain.code
    own = OPERATORS.get(kind)
    if own is not None:
        detail = clean(message) if code is None else f"{clean(message)} ({code})"
        return Failure(kind, own, status=plain.status, stage=plain.stage, detail=detail)
    wait = next(_delays(error), None) if kind in LATER else None
    return Failure(
        kind=kind,
        message=clean(message),
        status=plain.status,
        code=code,
        retryable=kind in RETRYABLE,
        retry_after=plain.retry_after if wait is None else wait,
        stage=plain.stage,
        native=dict(error),
    )


def _kind(error: Mapping[str, Json], message: str) -> FailureKind | None:
    """The kind by our own word, the vendor's reason, the message, the status word."""
    reasons = [detail for detail in _details(error, "ErrorInfo")]
    for detail in reasons:
        reason = str(detail.get("reason") or "")
        if detail.get("domain") == DOMAIN and reason.lower() in _OWN:
            return _OWN[reason.lower()]
        if reason in KIND_OF_REASON:
            return KIND_OF_REASON[reason]
    found = (kind for pattern, kind in _PHRASES if pattern.search(message[:_MOST_READ]))
    return next(found, None) or KIND_OF_WORD.get(str(error.get("status")))


_OWN = {kind.value: kind for kind in FailureKind}


def _details(error: Mapping[str, Json], name: str) -> Iterator[Mapping[str, Json]]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, Mapping) and str(detail.get("@type")).endswith(f".{name}"):
            yield detail


def _delays(error: Mapping[str, Json]) -> Iterator[float]:
    """Seconds to wait, as durations are written: "7s", "0.5s"."""
    for detail in _details(error, "RetryInfo"):
        found = _DELAY.fullmatch(str(detail.get("retryDelay")))
        if found is not None:
            yield float(found[1])


def error_member(failure: Failure, provider: str | None = None) -> Document:
    """The error object: code, message, status word, and details that machines read."""
    status, error_type = CLIENT_SIDE[failure.kind]
    metadata = {"error_type": error_type}
    if provider is not None:
        metadata["provider_name"] = provider
    if failure.code is not None:
        metadata["provider_code"] = failure.code
    if failure.previous:
        previous = [
            {"provider": each.provider, "code": each.code, "status": each.status}
            for each in failure.previous
        ]
        metadata["previous_errors"] = json.dumps(previous).decode()
    details: list[Json] = [_error_info(failure.kind.value, metadata)]
    if failure.retry_after is not None:
        delay = f"{failure.retry_after:.3f}".rstrip("0").rstrip(".") + "s"
        details.append({"@type": f"{TYPE_PREFIX}RetryInfo", "retryDelay": delay})
    return {
        "code": status,
        "message": failure.message,
        "status": WORDS[status],
        "details": details,
    }


def _error_info(reason: str, metadata: Mapping[str, str]) -> Document:
    """`metadata` holds text alone, by its definition."""
    return {
        "@type": f"{TYPE_PREFIX}ErrorInfo",
        "reason": reason,
        "domain": DOMAIN,
        "metadata": dict(metadata),
    }


Document = dict[str, Any]


def encode_failure(failure: Failure, provider: str | None = None) -> tuple[int, Document]:
    """Status and document for a failure before any output."""
    return CLIENT_SIDE[failure.kind][0], {"error": error_member(failure, provider)}


def encode_refusal(status: int, message: str, reason: str) -> Document:
    """The error document of a status that the gateway answers by itself."""
    word = WORDS.get(status, "UNKNOWN")
    details = [_error_info(reason, {})]
    return {"error": {"code": status, "message": message, "status": word, "details": details}}
