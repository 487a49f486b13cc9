"""Failures as hosts of several dialects tell them, and what a client is told of them.

Source: the gateway contract's three error layers (section 4.8), R21 and rows 11 to 15 of the
fault matrix. An upstream's 401 or 402 is the operator's fault, so a client never sees it as its
own, nor a word of what the upstream says about the operator's account. The shape of an error
document is each dialect's own; its numbers, codes and phrases are read here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

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

SAYS_LITTLE = frozenset({None, 200, 400, 500})
"""Statuses under which hosts report anything at all: only there do words decide the kind."""

KIND_OF_CODE: dict[str, FailureKind] = {
    "insufficient_quota": K.PAYMENT_REQUIRED,
    "billing_error": K.PAYMENT_REQUIRED,
    "authentication_error": K.AUTHENTICATION,
    "invalid_api_key": K.AUTHENTICATION,
    "overloaded": K.OVERLOADED,
    "overloaded_error": K.OVERLOADED,
    "model_not_found": K.MODEL_NOT_FOUND,
    "server_error": K.SERVER,
    "internal_server_error": K.SERVER,
    "timeout": K.TIMEOUT,
    "timeout_error": K.TIMEOUT,
}
"""A whole value of an upstream's code or type to what it means."""

KIND_OF_PREFIX: tuple[tuple[str, FailureKind], ...] = (
    ("context_length", K.CONTEXT_LENGTH),
    ("rate_limit", K.RATE_LIMIT),
    ("content_policy", K.CONTENT_POLICY),
    ("content_filter", K.CONTENT_POLICY),
)
"""Beginnings of a code or type that come with several ends."""

KIND_OF_PHRASE: tuple[tuple[str, FailureKind], ...] = (
    ("maximum context length", K.CONTEXT_LENGTH),
    ("context length is", K.CONTEXT_LENGTH),
    ("prompt is too long", K.CONTEXT_LENGTH),
    ("usage limits", K.RATE_LIMIT),
    ("credit balance", K.PAYMENT_REQUIRED),
)
"""Phrases of a message. A message also quotes what the client wrote (names of its tools, its
URLs), so no single word stands here."""

KIND_UNDER_STATUS: dict[tuple[int | None, str], FailureKind] = {
    (404, "model_not_found"): K.MODEL_NOT_FOUND,
    (429, "insufficient_quota"): K.PAYMENT_REQUIRED,
}
"""Codes that tell more than a status which else decides alone: waiting mends no empty account."""

_UNKNOWN_MODEL = re.compile(
    r"(?i)\b(?:no such|unknown) model\b|not a valid model|\bno endpoints found for\b|^model: \S+$"
    r"|\bmodels?\b[\s:/]*(?:[`'\"]?[\w./:@+-]+[`'\"]?,?\s+)?"
    r"(?:is |was |could )?(?:not (?:be )?found|does not exist|doesn't exist)"
)
_MOST_READ = 2048
"""Characters of a message in which phrases are looked for."""

OPERATORS: dict[FailureKind, str] = {
    K.AUTHENTICATION: "the upstream refused the gateway's credentials",
    K.PAYMENT_REQUIRED: "the gateway's account at the upstream cannot pay for this",
}
"""What a client is told of the operator's account; the upstream's own text is the operator's."""

CLIENT_SIDE: dict[FailureKind, tuple[int, str]] = {
    K.INVALID_REQUEST: (400, "invalid_request"),
    K.CONTEXT_LENGTH: (400, "context_length_exceeded"),
    K.CONTENT_POLICY: (400, "content_policy_violation"),
    K.AUTHENTICATION: (502, "provider_unavailable"),
    K.PAYMENT_REQUIRED: (502, "provider_unavailable"),
    K.PERMISSION: (403, "permission_denied"),
    K.NOT_FOUND: (404, "not_found"),
    K.MODEL_NOT_FOUND: (404, "not_found"),
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


LATER = frozenset({K.RATE_LIMIT, K.OVERLOADED})
"""Kinds after which the upstream's Retry-After is told on (429 and 503 to the client)."""


def decode_failure(status: int, headers: Headers, body: bytes, stage: Stage) -> Failure:
    """An answer with a bad status; the body may be JSON, HTML, anything or nothing."""
    try:
        error = _error_of(json.loads(body))
    except MalformedJSON:
        error = None
    if error is not None:
        return decode_error(error, stage, status=status, headers=headers)
    shape = dict(headers).get("content-type", "no content type").split(";")[0]
    message = f"upstream answered {status} ({shape})"
    return failure_of(_kind_of_status(status), message, stage, status, headers)


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
    error: Json, stage: Stage, *, status: int | None = None, headers: Headers = ()
) -> Failure:
    """An error member, of a body or of a chunk.

    status: the HTTP status if it was a bad one. The member's own number decides the kind only
    where the status does not: none or 200, or an account's or a load's number inside a 5xx.
    """
    if not isinstance(error, Mapping):
        error = {"message": error}
    code = error.get("code")
    number = _status_of(code)
    if number is None:
        number = _status_of(error.get("status_code"))
    if status not in (None, 200) and not ((status or 0) >= 500 and number in OUTRANKS):
        number = status
    message = words_of(error.get("message") or error.get("detail") or "upstream reported an error")
    kind = _kind(number, error, message)
    return failure_of(kind, message, stage, status, headers, code=code, native=error)


OUTRANKS = frozenset({402, 429, 529})
"""Numbers that a host means even where it sends them inside a 5xx."""


def failure_of(
    kind: FailureKind,
    message: str,
    stage: Stage,
    status: int | None,
    headers: Headers,
    *,
    code: Json = None,
    native: Json = None,
) -> Failure:
    """A failure of this kind, told as it may be: see `OPERATORS`, `RETRYABLE` and `LATER`."""
    own = OPERATORS.get(kind)
    told = None if code is None else clean(words_of(code))
    if own is not None:
        detail = clean(message) if told is None else f"{clean(message)} ({told})"
        return Failure(kind, own, status=status, stage=stage, detail=detail)
    return Failure(
        kind=kind,
        message=clean(message),
        status=status,
        code=told,
        retryable=kind in RETRYABLE,
        retry_after=_retry_after(dict(headers)) if kind in LATER else None,
        stage=stage,
        native=native,
    )


def words_of(value: Json) -> str:
    """A member that should be text: as it is, anything else as JSON text."""
    return value if isinstance(value, str) else json.dumps(value).decode()


def _status_of(code: Json) -> int | None:
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else None


def _kind_of_status(status: int | None) -> FailureKind:
    known = KIND_OF_STATUS.get(status or 0)
    if known is not None:
        return known
    return K.INVALID_REQUEST if status is not None and status < 500 else K.SERVER


def _kind(status: int | None, error: Mapping[str, Json], message: str) -> FailureKind:
    """By what the status leaves open: the code, the type, the phrases of the message."""
    codes = [str(error.get(name) or "").lower() for name in ("code", "type")]
    found = [KIND_UNDER_STATUS.get((status, code)) for code in codes]
    if status in SAYS_LITTLE:
        found += map(_kind_of_code, codes)
        found.append(_kind_of_message(message))
    if status in (400, 404) and _UNKNOWN_MODEL.search(message[:_MOST_READ]):
        found.append(K.MODEL_NOT_FOUND)
    return next((kind for kind in found if kind is not None), _kind_of_status(status))


def _kind_of_code(code: str) -> FailureKind | None:
    known = KIND_OF_CODE.get(code)
    by_prefix = (kind for prefix, kind in KIND_OF_PREFIX if code.startswith(prefix))
    return known if known is not None else next(by_prefix, None)


def _kind_of_message(message: str) -> FailureKind | None:
    text = message[:_MOST_READ].lower()
    return next((kind for phrase, kind in KIND_OF_PHRASE if phrase in text), None)


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


def facts_of(failure: Failure, provider: str | None) -> dict[str, Json]:
    """What the contract tells of a failure beside its message, wherever a dialect puts it.

    error_type is the contract's word, reason our own; provider: whose failure it was.
    """
    facts: dict[str, Json] = {
        "error_type": CLIENT_SIDE[failure.kind][1],
        "reason": failure.kind.value,
    }
    if provider is not None:
        facts["provider_name"] = provider
    if failure.code is not None:
        facts["provider_code"] = failure.code
    if failure.previous:
        facts["previous_errors"] = [
            {"provider": each.provider, "code": each.code, "status": each.status}
            for each in failure.previous
        ]
    return facts


def client_status(failure: Failure) -> int:
    """The HTTP status a client sees for `failure`."""
    return CLIENT_SIDE[failure.kind][0]


def invalid(message: str, stage: Stage = Stage.BEFORE_OUTPUT) -> Failure:
    """The upstream said something that its dialect does not allow."""
    return Failure(FailureKind.INVALID_ANSWER, message, retryable=True, stage=stage)
