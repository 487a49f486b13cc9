"""Failures of the chat dialect, both directions: its error object.

What an upstream's error means is read by `arno.dialects.failures`. Source: the gateway contract's
error object (section 4.8).
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.canon.failure import Failure
from arno.dialects.failures import CLIENT_SIDE, client_status, facts_of, words_of
from arno.dialects.text import clean


def error_member(failure: Failure, provider: str | None = None) -> dict[str, Json]:
    """The contract's error object: integer code, message, metadata with a stable error_type."""
    metadata = facts_of(failure, provider)
    raw = _native_text(failure.native)
    if raw is not None:
        metadata["raw"] = raw
    status, _ = CLIENT_SIDE[failure.kind]
    return {"code": status, "message": failure.message, "metadata": metadata}


def _native_text(native: Json) -> str | None:
    """The upstream's own words, if it sent more than a message."""
    if not isinstance(native, Mapping):
        return None
    metadata = native.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    return clean(words_of(raw)) if raw else None


def encode_failure(failure: Failure, provider: str | None = None) -> tuple[int, dict[str, Json]]:
    """Status and document for a failure before any output."""
    return client_status(failure), {"error": error_member(failure, provider)}
