"""Failures of the converse dialect, both directions: exceptions by name.

An error body is {"message"}, its kind stands in the header `x-amzn-errortype` (behind which a `:`
and more may follow) or in the member `__type`. In a stream an exception is a message of its own.
What AWS refuses of our keys and permissions is the operator's affair, and its text names accounts:
a client is not told. Source: API reference, errors of Converse and ConverseStream; common errors.
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind, Stage
from arno.dialects.base import Headers, Stamp
from arno.dialects.converse.messages import exception
from arno.dialects.failures import CLIENT_SIDE, KIND_OF_STATUS, client_status, failure_of
from arno.dialects.residue import Document, integer, text
from arno.wire import json
from arno.wire.errors import MalformedJSON

K = FailureKind

KIND_OF_EXCEPTION: dict[str, FailureKind] = {
    "validation": K.INVALID_REQUEST,
    "throttling": K.RATE_LIMIT,
    "toomanyrequests": K.RATE_LIMIT,
    "servicequotaexceeded": K.RATE_LIMIT,
    "modelnotready": K.OVERLOADED,
    "serviceunavailable": K.OVERLOADED,
    "internalserver": K.SERVER,
    "internalfailure": K.SERVER,
    "modelerror": K.SERVER,
    "modelstreamerror": K.SERVER,
    "modeltimeout": K.TIMEOUT,
    "resourcenotfound": K.MODEL_NOT_FOUND,
    "accessdenied": K.AUTHENTICATION,
    "expiredtoken": K.AUTHENTICATION,
    "incompletesignature": K.AUTHENTICATION,
    "invalidclienttokenid": K.AUTHENTICATION,
    "invalidsignature": K.AUTHENTICATION,
    "missingauthenticationtoken": K.AUTHENTICATION,
    "notauthorized": K.AUTHENTICATION,
    "optinrequired": K.AUTHENTICATION,
    "unrecognizedclient": K.AUTHENTICATION,
}
"""An exception's name in lower case, without its ending, to what it means."""

KIND_OF_PHRASE: tuple[tuple[str, FailureKind], ...] = (
    ("input is too long", K.CONTEXT_LENGTH),
    ("prompt is too long", K.CONTEXT_LENGTH),
    ("too many input tokens", K.CONTEXT_LENGTH),
    ("maximum context length", K.CONTEXT_LENGTH),
    ("model identifier is invalid", K.MODEL_NOT_FOUND),
)
"""Phrases of a refused request's message; it also quotes the request, so no single word is here."""

STATUSES: dict[int, FailureKind] = {**KIND_OF_STATUS, 403: K.AUTHENTICATION, 424: K.SERVER}
"""Kinds of statuses without a known name. 424: the model failed; 403: AWS refuses the caller, which
is the operator."""

EXCEPTIONS: dict[FailureKind, str] = {
    K.AUTHENTICATION: "serviceUnavailableException",
    K.PAYMENT_REQUIRED: "serviceUnavailableException",
    K.PERMISSION: "accessDeniedException",
    K.NOT_FOUND: "resourceNotFoundException",
    K.MODEL_NOT_FOUND: "resourceNotFoundException",
    K.RATE_LIMIT: "throttlingException",
    K.SERVER: "internalServerException",
    K.UNAVAILABLE: "serviceUnavailableException",
    K.OVERLOADED: "serviceUnavailableException",
    K.INVALID_ANSWER: "modelStreamErrorException",
    K.TIMEOUT: "modelTimeoutException",
    K.TRUNCATED: "modelStreamErrorException",
    K.UNMATCHED: "resourceNotFoundException",
}
"""What a client is told; of any other kind a `validationException`."""

IN_STREAMS: dict[str, str] = {
    "accessDeniedException": "validationException",
    "modelTimeoutException": "serviceUnavailableException",
    "resourceNotFoundException": "validationException",
}
"""Exceptions that no stream has, and what is told there: SDKs read no name that is not described.
Source: ConverseStreamOutput."""

ERROR_TYPE = "x-amzn-errortype"
_ENDINGS = ("exception", "error")
_MOST_READ = 2048


def decode_failure(status: int, headers: Headers, body: bytes, stage: Stage) -> Failure:
    """An answer with a bad status; the body may be JSON, HTML, anything or nothing."""
    try:
        document = json.loads(body)
    except MalformedJSON:
        document = None
    name = dict(headers).get(ERROR_TYPE, "")
    if isinstance(document, Mapping):
        return decode_error(document, name, stage, status=status, headers=headers)
    shape = dict(headers).get("content-type", "no content type").split(";")[0]
    message = f"upstream answered {status} ({shape})"
    kind = _kind(name, message, status)
    return failure_of(kind, message, stage, status, headers, code=name or None)


def decode_error(
    document: Mapping[str, Json],
    name: str,
    stage: Stage,
    *,
    status: int | None = None,
    headers: Headers = (),
) -> Failure:
    """An error document, of a body or of an exception in a stream; name: of the exception.

    status: the HTTP status if it was a bad one.
    """
    name = name or text(document.get("__type")) or ""
    code = name.split(":")[0].rpartition("#")[2]
    told = document.get("message") or document.get("Message")
    message = text(told) or "upstream reported an error"
    original = integer(document.get("originalStatusCode"))
    kind = _kind(code, message, status)
    if kind is K.SERVER and original is not None:
        kind = STATUSES.get(original, kind)
    return failure_of(
        kind, message, stage, status, headers, code=code or None, native=dict(document)
    )


def _kind(name: str, message: str, status: int | None) -> FailureKind:
    stem = name.split(":")[0].rpartition("#")[2].lower()
    for ending in _ENDINGS:
        stem = stem.removesuffix(ending)
    kind = KIND_OF_EXCEPTION.get(stem)
    if kind is None:
        unknown = K.INVALID_REQUEST if status is not None and 400 <= status < 500 else K.SERVER
        kind = STATUSES.get(status or 0, unknown)
    if kind is K.INVALID_REQUEST:
        said = message[:_MOST_READ].lower()
        return next((found for phrase, found in KIND_OF_PHRASE if phrase in said), kind)
    return kind


def error_document(failure: Failure, provider: str | None = None) -> Document:
    """What a client reads of a failure: the message, and extension members with our own words.

    errorType: the stable machine code, the same in all dialects; reason: the kind of failure.
    """
    document: Document = {
        "message": failure.message,
        "errorType": CLIENT_SIDE[failure.kind][1],
        "reason": failure.kind.value,
    }
    if provider is not None:
        document["provider"] = provider
    if failure.previous:
        document["previousErrors"] = [
            {"provider": each.provider, "code": each.code, "status": each.status}
            for each in failure.previous
        ]
    return document


def exception_of(kind: FailureKind) -> str:
    """The name of the exception that tells of a failure."""
    return EXCEPTIONS.get(kind, "validationException")


def encode_failure(failure: Failure, provider: str | None = None) -> tuple[int, Document]:
    """Status and document for a failure before any output. SDKs read its name in `__type`."""
    name = exception_of(failure.kind)
    document = {"__type": name[:1].upper() + name[1:], **error_document(failure, provider)}
    return client_status(failure), document


REFUSALS: dict[int, str] = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def encode_refusal(status: int, message: str, reason: str) -> Document:
    """The error document for a request that the gateway itself does not serve."""
    name = REFUSALS.get(status, "ValidationException")
    return {"__type": name, "message": message, "errorType": reason}


def stream_failure(failure: Failure, stamp: Stamp) -> bytes:
    """The message that ends a stream with a failure."""
    name = exception_of(failure.kind)
    document = error_document(failure, stamp.provider)
    return exception(IN_STREAMS.get(name, name), json.dumps(document))
