"""Errors of the gateway itself, in the contract's shape.

Serves openrouter-api 4.8: one envelope, the HTTP status equals `error.code`, a stable machine word
in `metadata.error_type`, a finer one of our own in `metadata.reason`; never `"error": null`.

    Refusal        a request that the gateway does not serve (LocalError family)
    ClientGone     the client closed the connection before its request was complete
    SettingsError  the gateway must not start like this
"""

from __future__ import annotations

from arno.canon.ext import Json
from arno.canon.failure import LocalError
from arno.dialects.base import Headers

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


class Refusal(LocalError):
    """A request that is not served. reason: a stable word; headers: to be sent along."""

    def __init__(self, status: int, message: str, reason: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.reason = reason
        self.headers = headers


class ClientGone(LocalError):
    """The client went away before its request was complete; there is nobody to answer."""


class SettingsError(LocalError):
    """Settings that must not be run; the message says what to change."""


def envelope(status: int, message: str, reason: str) -> dict[str, Json]:
    """The error document of a status in `ERROR_TYPES`."""
    metadata = {"error_type": ERROR_TYPES[status], "reason": reason}
    return {"error": {"code": status, "message": message, "metadata": metadata}}
