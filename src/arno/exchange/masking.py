"""An upstream may repeat the key it was sent; nobody else may read it (R34).

The key is taken out of the bytes as they come, before anything shortens or cleans them, so that no
piece of it can be left over; and out of what they mean, since JSON can spell it in many ways. Only
the whole key is looked for: to mask its pieces as well would tell a client that guesses them, and
has an upstream repeat them, which of its guesses are right.
"""

from __future__ import annotations

import msgspec

from arno.canon.ext import Json
from arno.canon.failure import Failure
from arno.dialects.base import Headers
from arno.wire import encode_sse, json
from arno.wire.errors import MalformedJSON
from arno.wire.frame import Frame

MARK = "[redacted]"


def mask_failure(failure: Failure, secret: str) -> Failure:
    """`failure` without `secret`, wherever the upstream put it."""
    return msgspec.structs.replace(
        failure,
        message=mask_text(failure.message, secret),
        code=None if failure.code is None else mask_text(failure.code, secret),
        detail=None if failure.detail is None else mask_pieces(failure.detail, secret),
        native=mask_document(failure.native, secret),
    )


def mask_text(text: str, secret: str) -> str:
    """`text` without `secret`."""
    return text.replace(secret, MARK)


PIECE = 8
"""Characters of a key that are taken for a piece of it."""


def mask_pieces(text: str, secret: str) -> str:
    """`text` without `secret` and without pieces of it: for what only the operator reads, never for
    what a client does.
    """
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


def mask_bytes(data: bytes, secret: str) -> bytes:
    """`data` without `secret`; the very same bytes where it does not stand there."""
    return data.replace(secret.encode(), MARK.encode())


def mask_spelled(data: bytes, secret: str) -> bytes:
    """JSON text without `secret`, however it is spelled; what is no JSON as `mask_bytes` has it."""
    masked = mask_bytes(data, secret)
    if masked.find(b"\\") < 0:
        return masked
    try:
        document = json.loads(masked)
    except MalformedJSON:
        return masked
    without = mask_document(document, secret)
    return masked if without == document else json.dumps(without)


def mask_headers(headers: Headers, secret: str) -> Headers:
    """Header fields without `secret` in their values."""
    return tuple((name, value.replace(secret, MARK)) for name, value in headers)


def mask_raw(frame: Frame, secret: str) -> Frame:
    """A frame without `secret`, if it may be an error or is a comment.

    Others are the model's words, and pass as they came: a local server's key may be any word.
    """
    key, data = secret.encode(), frame.data
    if data is None:
        if frame.raw.find(key) < 0:
            return frame
        return msgspec.structs.replace(frame, raw=mask_bytes(frame.raw, secret))
    if data.find(b"rror") < 0 or (data.find(b"\\") < 0 and frame.raw.find(key) < 0):
        return frame
    masked = mask_spelled(data, secret)
    if masked == data and frame.raw.find(key) < 0:
        return frame
    raw = mask_bytes(frame.raw, secret)
    if frame.raw.find(data) < 0 or raw == frame.raw:
        raw = encode_sse(masked, frame.event)
    return msgspec.structs.replace(frame, raw=raw, data=masked)


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
