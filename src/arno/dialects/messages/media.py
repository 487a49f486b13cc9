"""Images and documents: blocks with a source, which is data, text, an address or a stored file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import MediaKind, MediaPart
from arno.dialects.messages.residue import give, is_native, keep, take_cache, write_cache
from arno.dialects.residue import Document, all_text, take

KINDS: dict[str, MediaKind] = {"image": MediaKind.IMAGE, "document": MediaKind.DOCUMENT}
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
PDF, PLAIN = "application/pdf", "text/plain"

_MEMBERS: dict[str, tuple[str, ...]] = {
    "base64": ("data", "media_type"),
    "text": ("data", "media_type"),
    "url": ("url",),
    "file": ("file_id",),
}
"""Source type to its members; a source of another type keeps its block a document of this wire."""


def decode_media(block: Mapping[str, Json]) -> MediaPart | None:
    """An image or a document, None if its source is not one of the table."""
    source = block.get("source")
    kind = str(source.get("type")) if isinstance(source, Mapping) else ""
    if not isinstance(source, Mapping) or kind not in _MEMBERS:
        return None
    values, rest = take(source, *_MEMBERS[kind])
    outer, residue = take(block, "type", "source", "title")
    if not all_text(values) or not all_text({k: v for k, v in outer.items() if k == "title"}):
        return None
    if kind == "text" and "data" in values:
        values["data"] = base64.b64encode(values["data"].encode()).decode()
    cache = take_cache(residue)
    if kind == "url" and block["type"] == "document":
        values["media_type"] = PDF  # the only kind of document that is read from an address
    return MediaPart(
        kind=KINDS[block["type"]],
        filename=outer.get("title"),
        cache=cache,
        ext=keep({**residue, "source": rest}),
        **values,
    )


def encode_media(part: MediaPart, path: str) -> tuple[Document, list[Loss]]:
    """The block. Raises RequestError for what this wire cannot carry: media are never dropped."""
    document = give(part.ext)
    kept = document.pop("source", {})
    type_ = "image" if part.kind is MediaKind.IMAGE else "document"
    source_type = str(kept.get("type")) if is_native(part.ext) else _source_type(part, path)
    source = _source(part, source_type, path)
    document = {"type": type_, **document, "source": {**kept, **source}}
    losses: list[Loss] = []
    if part.filename is not None and type_ == "document":
        document["title"] = part.filename
    elif part.filename is not None:
        losses.append(Loss(f"{path}/filename", "dropped", "a messages image has no name"))
    if part.detail is not None:
        losses.append(Loss(f"{path}/detail", "dropped", "a messages image has no level of detail"))
    if source_type == "text" and part.media_type not in (None, PLAIN):
        why = "a messages document of text is plain text"
        losses.append(Loss(f"{path}/media_type", "approximated", why))
    if source_type == "url" and part.media_type is not None and type_ == "image":
        why = "an image with an address does not tell its type"
        losses.append(Loss(f"{path}/media_type", "dropped", why))
    if part.kind is MediaKind.FILE:
        losses.append(Loss(f"{path}/kind", "renamed", "a file is a document here"))
    return write_cache(document, part.cache), losses


def _source_type(part: MediaPart, path: str) -> str:
    """How media of another dialect are carried."""
    if part.kind in (MediaKind.AUDIO, MediaKind.VIDEO):
        raise RequestError(f"a messages request cannot carry {part.kind.value}", path)
    if part.data is not None:
        return _inline_type(part, path)
    if part.url is not None:
        return _linked_type(part, path)
    raise RequestError("a file that is stored elsewhere cannot be read by this upstream", path)


def _inline_type(part: MediaPart, path: str) -> str:
    type_ = (part.media_type or "").partition(";")[0].strip().lower()
    if part.kind is MediaKind.IMAGE and (type_ or _sniffed(part.data)) in IMAGES:
        return "base64"
    if part.kind is not MediaKind.IMAGE and type_ == PDF:
        return "base64"
    if part.kind is not MediaKind.IMAGE and type_.startswith("text/"):
        return "text"
    raise RequestError(f"a messages request cannot carry media of type {type_ or 'unknown'}", path)


def _linked_type(part: MediaPart, path: str) -> str:
    """Of an address that the upstream can read: an image, or a document that may be a PDF."""
    if not (part.url or "").startswith(("http://", "https://")):
        raise RequestError("this upstream reads addresses of the web only", path)
    if part.kind is not MediaKind.IMAGE and part.media_type not in (None, PDF):
        raise RequestError("this upstream reads no other document from an address than PDF", path)
    return "url"


def _source(part: MediaPart, type_: str, path: str) -> Document:
    if type_ == "url":
        return {"type": type_, **_known(url=part.url)}
    if type_ == "file":
        return {"type": type_, **_known(file_id=part.file_id)}
    if type_ == "text":
        return {"type": type_, "media_type": PLAIN, **_known(data=_plain(part.data, path))}
    media_type = part.media_type or _sniffed(part.data)
    return {"type": type_, **_known(media_type=media_type, data=part.data)}


def _sniffed(data: str | None) -> str | None:
    """The media type of an image that does not tell it, by its first bytes."""
    found = (type_ for prefix, type_ in _BEGINNINGS.items() if (data or "").startswith(prefix))
    return next(found, None)


_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}
"""How base64 text of an image begins."""


def _plain(data: str | None, path: str) -> str | None:
    """The text that base64 `data` holds."""
    if data is None:
        return None
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise RequestError("a text document must be base64 of UTF-8 text", path) from error


def _known(**members: str | None) -> Document:
    return {key: value for key, value in members.items() if value is not None}
