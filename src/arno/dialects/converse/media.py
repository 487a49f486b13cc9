"""Images, documents, videos and sounds: blocks with a format and a source.

A source is bytes in base64, an object in S3 (a MediaPart whose url begins with `s3://`) or, of
documents, text. Nothing is ever fetched, so any other URL is refused. A document must have a name
of certain characters; its file name is that name with the format behind it, so that a file name of
another dialect comes back as it was. Source: API reference, ImageBlock, DocumentBlock, VideoBlock,
AudioBlock.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from arno.canon.ext import Json
from arno.canon.failure import RequestError
from arno.canon.parts import MediaKind, MediaPart
from arno.dialects.converse.residue import give, is_native, keep, note
from arno.dialects.converse.writing import Writing
from arno.dialects.residue import Document, take, text

_OFFICE = "application/vnd.openxmlformats-officedocument"
FORMATS: dict[str, dict[str, str]] = {
    "image": {
        "png": "image/png",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
    },
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mp4": "video/mp4",
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpeg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "mp4": "audio/mp4",
        "ogg": "audio/ogg",
        "mkv": "audio/x-matroska",
        "mka": "audio/x-matroska",
        "x-aac": "audio/x-aac",
        "m4a": "audio/x-m4a",
        "mpeg": "audio/mpeg",
        "mpga": "audio/mpeg",
        "pcm": "audio/pcm",
        "webm": "audio/webm",
    },
}
"""Block to its formats and their media types; of two formats with one type the first is written."""

ALIASES: dict[str, str] = {
    "image/jpg": "image/jpeg",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/m4a": "audio/x-m4a",
    "text/x-markdown": "text/markdown",
}
"""Other names of media types."""

KINDS: dict[str, MediaKind] = {
    "image": MediaKind.IMAGE,
    "document": MediaKind.DOCUMENT,
    "video": MediaKind.VIDEO,
    "audio": MediaKind.AUDIO,
}
BLOCKS: dict[MediaKind, str] = {kind: block for block, kind in KINDS.items()}
BLOCKS[MediaKind.FILE] = "document"

WRITTEN: dict[str, tuple[str, str]] = {
    type_: (block, format_)
    for block, formats in reversed(FORMATS.items())
    for format_, type_ in reversed(formats.items())
}
"""Media type to block and format."""

S3 = "s3://"
MAX_NAME = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s()\[\]-]+")
_SPACES = re.compile(r"\s+")


def decode_media(block: str, inner: Json) -> MediaPart | None:
    """A part for the inner document of a media block, None if it says more than a part can."""
    if not isinstance(inner, Mapping):
        return None
    values, residue = take(inner, "format", "source", "name")
    format_, name, source = (values.get(key) for key in ("format", "name", "source"))
    if not isinstance(source, Mapping) or len(source) != 1:
        return None
    if not all(isinstance(value, str | None) for value in (format_, name)):
        return None
    data, url = _decode_source(source, residue)
    if data is None and url is None:
        return None
    media_type = FORMATS[block].get(format_ or "")
    if format_ is not None and WRITTEN.get(media_type or "") != (block, format_):
        residue["@format"] = format_
    filename = name if name is None or format_ is None else f"{name}.{format_}"
    return MediaPart(
        kind=KINDS[block],
        media_type=media_type,
        data=data,
        url=url,
        filename=filename,
        ext=keep(residue),
    )


def _decode_source(source: Mapping[str, Json], residue: Document) -> tuple[str | None, str | None]:
    """Data and URL of a source, neither if it is none that a part can say."""
    ((kind, value),) = source.items()
    if kind == "bytes" and isinstance(value, str) and value:
        return value, None
    if kind == "text" and isinstance(value, str) and value:
        residue["@source"] = "text"
        return base64.b64encode(value.encode()).decode(), None
    uri = text(value.get("uri")) if isinstance(value, Mapping) else None
    if kind == "s3Location" and uri is not None and uri.startswith(S3):
        residue["@s3"] = {k: v for k, v in value.items() if k != "uri"}
        return None, uri
    return None, None


def encode_media(part: MediaPart, path: str, writing: Writing) -> Document | None:
    """The block that shows `part`.

    In a request what cannot be shown is refused: RequestError with the part's path. In an answer
    it is left out (None), and told as a Loss.
    """
    try:
        source = _encode_source(part, path)
        block, format_ = _kind(part, path, writing)
        inner: Document = give(part.ext)
        if format_ is not None:
            inner["format"] = format_
        inner["source"] = source
    except RequestError as error:
        if not writing.to_client:
            raise
        writing.drop(path, error.message)
        return None
    if block == "document":
        _write_name(part, format_, inner, path, writing)
    for field in ("detail", "transcript"):
        if getattr(part, field) and not is_native(part.ext):
            writing.drop(f"{path}/{field}", f"a {block} block has no {field}")
    return {block: inner}


def _kind(part: MediaPart, path: str, writing: Writing) -> tuple[str, str | None]:
    """Block and format. Raises RequestError for a kind of media that the wire has not."""
    if is_native(part.ext):
        block = BLOCKS[part.kind]
        known = WRITTEN.get(part.media_type or "")
        return block, note(part.ext, "format") or (known[1] if known else None)
    media_type = (part.media_type or "").split(";")[0].strip().lower()
    media_type = ALIASES.get(media_type, media_type)
    known = WRITTEN.get(media_type) or _by_name(part)
    if known is not None and (media_type in WRITTEN or not media_type):
        return known
    if media_type.startswith("text/"):
        writing.approximate(f"{path}/media_type", f"{media_type} is sent as plain text")
        return "document", "txt"
    what = media_type or f"{part.kind.value} without a media type"
    raise RequestError(f"an upstream of this dialect takes no {what}", path)


def _by_name(part: MediaPart) -> tuple[str, str] | None:
    """Block and format as the file's name tells them."""
    ending = (part.filename or "").lower().rpartition(".")[2]
    blocks = ("document", "image", "video", "audio")
    return next(((block, ending) for block in blocks if ending in FORMATS[block]), None)


def _encode_source(part: MediaPart, path: str) -> Document:
    if part.url is not None and part.url.startswith(S3):
        return {"s3Location": {**(note(part.ext, "s3") or {}), "uri": part.url}}
    if part.url is not None:
        raise RequestError("an upstream of this dialect takes no URL, only the data itself", path)
    if part.file_id is not None:
        raise RequestError("an upstream of this dialect knows no uploaded files", path)
    if not part.data:
        raise RequestError("there is no data in it", path)
    if note(part.ext, "source") == "text":
        return {"text": _text_of(part.data)}
    return {"bytes": part.data}


def _text_of(data: str) -> str:
    try:
        return base64.b64decode(data).decode()
    except (binascii.Error, ValueError):
        return data


def _write_name(
    part: MediaPart, format_: str | None, inner: Document, path: str, writing: Writing
) -> None:
    """The document's name: every one has another, of the characters that are allowed."""
    ending = "" if format_ is None else f".{format_}"
    stem = None if part.filename is None else part.filename.removesuffix(ending)
    if is_native(part.ext):
        if stem is not None:
            inner["name"] = stem
            writing.names.add(stem)
        return
    name = _fresh(_allowed(stem or ""), writing.names)
    inner["name"] = name
    if f"{name}{ending}" != part.filename:
        writing.rename(f"{path}/filename", f"a document must have a name: {name}")


def _allowed(stem: str) -> str:
    """The nearest name of allowed characters."""
    spaced = _SPACES.sub(" ", _NOT_IN_NAMES.sub("-", stem))
    return spaced[:MAX_NAME].strip() or "document"


def _fresh(name: str, names: set[str]) -> str:
    """`name`, or with a number behind it if it was given before."""
    number, found = 2, name
    while found in names:
        ending = f" ({number})"
        found = name[: MAX_NAME - len(ending)] + ending
        number += 1
    names.add(found)
    return found


def media_start(part: MediaPart) -> dict[str, Any] | None:
    """What opens a streamed image, None for media that no stream of this dialect can hold."""
    known = WRITTEN.get(part.media_type or "")
    return {"image": {"format": known[1]}} if known and known[0] == "image" else None
