"""An upstream may repeat the key it was sent; nobody else may read it (R34)."""

from __future__ import annotations

import msgspec

from arno.canon.ext import Json
from arno.canon.failure import Failure

MARK = "[redacted]"


def mask_failure(failure: Failure, secret: str) -> Failure:
    """`failure` without `secret`, wherever the upstream put it."""
    return msgspec.structs.replace(
        failure,
        message=failure.message.replace(secret, MARK),
        code=None if failure.code is None else failure.code.replace(secret, MARK),
        detail=None if failure.detail is None else failure.detail.replace(secret, MARK),
        native=mask_document(failure.native, secret),
    )


def mask_document(document: Json, secret: str) -> Json:
    """A JSON value without `secret` in any text of it, keys included."""
    if isinstance(document, str):
        return document.replace(secret, MARK)
    if isinstance(document, dict):
        return {mask_document(k, secret): mask_document(v, secret) for k, v in document.items()}
    if isinstance(document, list | tuple):
        return [mask_document(item, secret) for item in document]
    return document
