"""Keys in headers: which header an endpoint reads its key from."""

from __future__ import annotations

from collections.abc import Mapping

from arno.dialects.base import Headers
from arno.providers.rows import Auth

KEY_HEADERS: Mapping[Auth, tuple[str, str]] = {
    Auth.BEARER: ("authorization", "Bearer "),
    Auth.X_API_KEY: ("x-api-key", ""),
    Auth.API_KEY: ("api-key", ""),
    Auth.X_GOOG_API_KEY: ("x-goog-api-key", ""),
}
"""The header of each way that a key alone is enough for, and what stands before the key."""


METADATA_HOST = "metadata.google.internal"
METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
METADATA_HEADERS: Headers = (("metadata-flavor", "Google"),)
"""Where a machine of that cloud asks for its own token, and what the question must say."""


def key_headers(auth: Auth, key: str | None) -> Headers:
    """The header with a key; nothing without one, and where a signer must do it."""
    if key is None or auth not in KEY_HEADERS:
        return ()
    name, before = KEY_HEADERS[auth]
    return ((name, f"{before}{key}"),)
