"""An upstream may repeat the key it was sent; nobody else may read it (R34).

What an upstream says is shortened, and what looks like a key of a known shape is taken out of it,
before the words of a failure get here. Either may leave a piece of the key that is no longer the
whole, so pieces are looked for as well.
"""

from __future__ import annotations

import msgspec

from arno.canon.ext import Json
from arno.canon.failure import Failure
from arno.wire import encode_sse, json
from arno.wire.frame import Frame

MARK = "[redacted]"

PIECE = 8
"""Characters of a key that are taken for a piece of it."""


def mask_failure(failure: Failure, secret: str) -> Failure:
    """`failure` without `secret`, wherever the upstream put it."""
    return msgspec.structs.replace(
        failure,
        message=mask_text(failure.message, secret),
        code=None if failure.code is None else mask_text(failure.code, secret),
        detail=None if failure.detail is None else mask_text(failure.detail, secret),
        native=mask_document(failure.native, secret),
    )


def mask_text(text: str, secret: str) -> str:
    """`text` without `secret` and without pieces of it."""
    text = text.replace(secret, MARK)
    hidden = bytearray(len(text))
    for start in range(len(secret) - PIECE + 1):
        piece = secret[start : start + PIECE]
        place = text.find(piece)
        while place >= 0:
            hidden[place : place + PIECE] = b"\1" * PIECE
            place = text.find(piece, place + 1)
    # The common case: there is none.
    return _without(text, hidden) if any(hidden) else text


def _without(text: str, hidden: bytearray) -> str:
    """`text` with a mark for each run of characters that are hidden."""
    kept: list[str] = []
    for number, sign in enumerate(text):
        if not hidden[number]:
            kept.append(sign)
        elif number == 0 or not hidden[number - 1]:
            kept.append(MARK)
    return "".join(kept)


def mask_document(document: Json, secret: str) -> Json:
    """A JSON value without `secret` in any text of it, keys included."""
    if isinstance(document, str):
        return mask_text(document, secret)
    if isinstance(document, dict):
        return {mask_document(k, secret): mask_document(v, secret) for k, v in document.items()}
    if isinstance(document, list | tuple):
        return [mask_document(item, secret) for item in document]
    return document


def mask_frame(frame: Frame, document: Json, masked: Json, secret: str) -> Frame:
    """A frame without `secret`; document and masked: what it holds, before and after.

    JSON can spell a key in many ways, so a document that held it is written anew.
    """
    raw = frame.raw.replace(secret.encode(), MARK.encode())
    if masked != document:
        raw = encode_sse(json.dumps(masked), frame.event)
    return msgspec.structs.replace(frame, raw=raw)
