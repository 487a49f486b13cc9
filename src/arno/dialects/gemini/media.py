"""Media on the wire: `inlineData` holds base64 text, `fileData` an address.

An address (of the vendor's own file store, of Google Cloud Storage, or a public one) is passed on
and never fetched here. Source: Gemini API reference, "Blob" and "FileData".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from arno.canon.ext import Json, Loss
from arno.canon.parts import MediaKind, MediaPart
from arno.dialects.gemini.residue import is_native, note, take_spelled
from arno.dialects.residue import Document, all_text

INLINE, FILE = "inlineData", "fileData"
CONTENT_OF = {INLINE: "data", FILE: "fileUri"}
"""Members that hold media, to the member in them that holds the content."""

KIND_OF_TYPE: dict[str, MediaKind] = {
    "image": MediaKind.IMAGE,
    "audio": MediaKind.AUDIO,
    "video": MediaKind.VIDEO,
    "application": MediaKind.DOCUMENT,
    "text": MediaKind.DOCUMENT,
}
"""The first half of a media type to what the part is."""

TYPE_OF_SUFFIX: dict[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "mov": "video/mov",
    "webm": "video/webm",
}
"""The end of an address to its media type, which this wire wants and others leave out."""

TYPE_OF_KIND: dict[MediaKind, str] = {
    MediaKind.IMAGE: "image/jpeg",
    MediaKind.AUDIO: "audio/wav",
    MediaKind.VIDEO: "video/mp4",
    MediaKind.DOCUMENT: "application/pdf",
}
"""What media most likely are whose type nobody told; the upstream looks into them."""

URLSAFE = "urlsafe"
"""Note of media in the other alphabet of base64: this wire reads both and google-genai for Python
writes that one, which the other wires refuse."""

_TO_STANDARD = str.maketrans("-_", "+/")
_TO_URLSAFE = str.maketrans("+/", "-_")
_SUFFIX = re.compile(r"\.([a-z0-9]{3,4})(?:[?#]|$)", re.IGNORECASE)


def kind_of(media_type: str | None) -> MediaKind:
    """What media of this type are."""
    return KIND_OF_TYPE.get((media_type or "").split("/")[0], MediaKind.FILE)


def _is_urlsafe(data: str) -> bool:
    """True if it is in the other alphabet alone, so that it can be written back."""
    return ("-" in data or "_" in data) and not ("+" in data or "/" in data)


def decode_media(member: str, value: Json) -> tuple[MediaPart, Document] | None:
    """The object of `inlineData` or `fileData`, and what is left of it; None if it is none."""
    if not isinstance(value, Mapping):
        return None
    content = CONTENT_OF[member]
    values, rest = take_spelled(value, "mimeType", content, "displayName")
    if not all_text(values) or content not in values:
        return None
    media_type = values.get("mimeType")
    data = values[content] if member == INLINE else None
    if data is not None and _is_urlsafe(data):
        data = data.translate(_TO_STANDARD)
        rest["@" + URLSAFE] = True
    part = MediaPart(
        kind=kind_of(media_type),
        media_type=media_type,
        data=data,
        url=values[content] if member == FILE else None,
        filename=values.get("displayName"),
    )
    return part, rest


def media_member(part: MediaPart) -> str | None:
    """The member that holds the part, None if this wire has none for it (another's file id)."""
    if part.data is not None:
        return INLINE
    return FILE if part.url is not None else None


def encode_media(part: MediaPart, *, native: bool) -> Document:
    """The object at `media_member`."""
    members: Document = {}
    media_type = part.media_type
    if media_type is None and not native:
        media_type = _guessed(part)
    if media_type is not None:
        members["mimeType"] = media_type
    if part.data is not None:
        urlsafe = note(part.ext, "." + URLSAFE)
        members["data"] = part.data.translate(_TO_URLSAFE) if urlsafe else part.data
    else:
        members["fileUri"] = part.url
    if part.filename is not None:
        members["displayName"] = part.filename
    return members


def _guessed(part: MediaPart) -> str | None:
    likely = TYPE_OF_KIND.get(part.kind)
    if part.data is not None:
        return likely or "application/octet-stream"
    return _type_of_address(part.url) or likely


def _type_of_address(url: str | None) -> str | None:
    found = _SUFFIX.search(url or "")
    return TYPE_OF_SUFFIX.get(found[1].lower()) if found else None


def media_losses(part: MediaPart, path: str) -> list[Loss]:
    """What the object does not say of a part that stands at `path`, or says by guess."""
    losses = [
        Loss(f"{path}/{field}", "dropped", "this wire has no place for it")
        for field in ("detail", "transcript")
        if getattr(part, field) is not None
    ]
    known = part.media_type or _type_of_address(part.url)
    if part.url is not None and part.data is None and known is None and not is_native(part.ext):
        why = "what stands at the address is told as the likeliest type of its kind"
        losses.append(Loss(f"{path}/media_type", "approximated", why))
    return losses
