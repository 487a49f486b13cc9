"""Errors of the gateway itself in the contract's shape.

One envelope, the HTTP status equals `error.code`, a stable machine word in `metadata.error_type`, a
finer one of our own in `metadata.reason`; never `"error": null`. Source: openrouter-api 4.8.
"""

from __future__ import annotations

from arno.canon.ext import Json

ERROR_TYPES: dict[int, str] = {
    400: "invalid_request",
    401: "authentication",
    403: "permission_denied",
    404: "not_found",
    405: "invalid_request",
    408: "timeout",
    413: "payload_too_large",
    414: "invalid_request",
    415: "invalid_request",
    421: "invalid_request",
    431: "invalid_request",
    500: "server",
    503: "server",
}
"""The contract's error_type for every status that the gateway answers by itself."""


def encode_refusal(status: int, message: str, reason: str) -> dict[str, Json]:
    """The error document of a status in `ERROR_TYPES`."""
    metadata = {"error_type": ERROR_TYPES[status], "reason": reason}
    return {"error": {"code": status, "message": message, "metadata": metadata}}
