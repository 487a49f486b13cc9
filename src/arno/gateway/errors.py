"""Errors of the gateway itself; the caller's dialect says how they are told.

`envelope` is the contract's shape, for where no dialect is known.

    Refusal        a request that the gateway does not serve (LocalError family)
    ClientGone     the client closed the connection before its request was complete
    SettingsError  the gateway must not start like this
"""

from __future__ import annotations

from arno.canon.failure import LocalError
from arno.dialects.base import Headers
from arno.dialects.chat.refusal import ERROR_TYPES
from arno.dialects.chat.refusal import encode_refusal as envelope

__all__ = ["ERROR_TYPES", "ClientGone", "Refusal", "SettingsError", "envelope"]


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
