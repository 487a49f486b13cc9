"""Settings of the gateway; units stand in the names. Values that must not be run are refused."""

from __future__ import annotations

import ipaddress

import msgspec

from arno.gateway.errors import SettingsError


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway listens, and its bounds.

    port: 0 takes a free one. max_body: bytes of a request body. body_deadline_s: for the rest of a
    body that did not come at once. head_deadline_s: for a request's head. linger_s: how long a
    refused body is still read, so that the client sees the answer. stall_s: how long a client may
    leave its answer unread. grace_s: how long open streams
    may go on after the first signal. cors: let web pages of any origin call (only with keys).
    strict: a request that would lose anything on its way to another dialect is refused.
    keep_answers: answers of the Responses endpoint are kept, so that later requests can name them.
    """

    host: str = "127.0.0.1"
    port: int = 0
    max_body: int = 32 * 1024 * 1024
    max_head: int = 64 * 1024
    max_path: int = 8 * 1024
    head_deadline_s: float = 10.0
    body_deadline_s: float = 60.0
    linger_s: float = 2.0
    stall_s: float = 60.0
    grace_s: float = 30.0
    keep_alive_s: int = 75
    cors: bool = False
    strict: bool = False
    keep_answers: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port must be between 0 and 65535, not {self.port}")


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(settings: GatewaySettings, *, has_keys: bool) -> None:
    """Raise SettingsError where strangers could spend the operator's money."""
    if not has_keys and not is_loopback(settings.host):
        raise SettingsError(
            f"refusing to listen on {settings.host} without client keys: set ARNO_KEYS or a key "
            "file, or listen on 127.0.0.1"
        )
    if not has_keys and settings.cors:
        raise SettingsError("cors needs client keys: any web page could spend your money")
