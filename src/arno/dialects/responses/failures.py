"""Failures of this dialect, both directions: its error object, and the answer that has failed.

What an upstream's error means is read by `arno.dialects.failures`. The stable machine code of ours
is `error.metadata.reason`; before any output it is `error.code` as well. Source: OpenAI API
reference, "Error codes" and "Responses", `error`; contract, section 4.8 (error types).
"""

from __future__ import annotations

from arno.canon.ext import Json
from arno.canon.failure import Failure, FailureKind
from arno.dialects.failures import client_status, facts_of
from arno.dialects.residue import Document

K = FailureKind

TYPES: dict[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    424: "invalid_request_error",
    429: "rate_limit_error",
}
"""HTTP status to `error.type`; any other is a server's fault."""

CODES: dict[FailureKind, str] = {
    K.RATE_LIMIT: "rate_limit_exceeded",
    K.CONTEXT_LENGTH: "context_length_exceeded",
    K.INVALID_REQUEST: "invalid_prompt",
    K.UNPROCESSABLE: "invalid_prompt",
    K.PAYLOAD_TOO_LARGE: "invalid_prompt",
    K.CONTENT_POLICY: "image_content_policy_violation",
}
"""`error.code` of an answer that has failed; any other is `server_error`.

The contract has invalid_prompt for a context that is too long; clients compact the conversation on
the code that OpenAI really sends, which is why it stands here.
"""


def encode_failure(failure: Failure, provider: str | None = None) -> tuple[int, Json]:
    """Status and document for a failure before any output."""
    status = client_status(failure)
    error: Document = {
        "message": failure.message,
        "type": TYPES.get(status, "server_error"),
        "param": None,
        "code": failure.kind.value,
        "metadata": facts_of(failure, provider),
    }
    return status, {"error": error}


def error_of(failure: Failure, provider: str | None) -> Document:
    """The `error` member of a response object that has failed."""
    return {
        "code": CODES.get(failure.kind, "server_error"),
        "message": failure.message,
        "metadata": facts_of(failure, provider),
    }


def encode_refusal(status: int, message: str, reason: str) -> Document:
    """The error document for a request that the gateway itself does not serve."""
    error: Document = {
        "message": message,
        "type": TYPES.get(status, "server_error"),
        "param": None,
        "code": reason,
        "metadata": {"error_type": TYPES.get(status, "server_error"), "reason": reason},
    }
    return {"error": error}
