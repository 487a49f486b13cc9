"""Entries of content: of a message, of a tool's output.

Text that goes in and text that comes out have two names; a message of the assistant holds what came
out. Source: OpenAI API reference, "Responses", content of input and output items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import (
    CacheHint,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
)
from arno.dialects.residue import Document, all_text, take
from arno.dialects.responses.citations import decode_annotation, encode_annotation
from arno.dialects.responses.residue import DIALECT, give, is_native, keep, residue_of

INPUT, OUTPUT = "input_text", "output_text"
"""How text is named in what goes in and in what comes out."""

_BREAKPOINT = "prompt_cache_breakpoint"
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=_-]*)\Z")


def decode_entry(entry: Json) -> Part:
    """One entry; what is not known stays a document of this dialect."""
    decoder = _DECODERS.get(str(entry.get("type"))) if isinstance(entry, Mapping) else None
    part = decoder(entry) if decoder else None
    return OpaquePart(dialect=DIALECT, document=entry, ext=keep({})) if part is None else part


def _decode_text(entry: Mapping[str, Json]) -> Part | None:
    values, residue = take(entry, "text", "annotations")
    words, annotations = values.get("text", ""), values.get("annotations", [])
    if not isinstance(words, str) or not isinstance(annotations, list):
        return None
    return TextPart(
        text=words,
        annotations=tuple(map(decode_annotation, annotations)),
        cache=_take_cache(residue),
        ext=keep(residue),
    )


def _take_cache(residue: Document) -> CacheHint | None:
    """A cache breakpoint in the one shape that says no more than a hint can hold."""
    mark = residue.get(_BREAKPOINT)
    if not isinstance(mark, Mapping) or mark.get("mode") != "explicit" or mark.keys() - _HINT:
        return None
    if not isinstance(mark.get("ttl", ""), str):
        return None
    del residue[_BREAKPOINT]
    return CacheHint(ttl=mark.get("ttl"))


_HINT = {"mode", "ttl"}


def _decode_refusal(entry: Mapping[str, Json]) -> Part | None:
    values, residue = take(entry, "refusal")
    words = values.get("refusal", "")
    return RefusalPart(text=words, ext=keep(residue)) if isinstance(words, str) else None


def _decode_image(entry: Mapping[str, Json]) -> Part | None:
    values, residue = take(entry, "image_url", "file_id", "detail")
    if not all_text(values):
        return None
    media_type, data, url = _split_url(values.get("image_url"))
    return MediaPart(
        kind=MediaKind.IMAGE,
        media_type=media_type,
        data=data,
        url=url,
        file_id=values.get("file_id"),
        detail=values.get("detail"),
        cache=_take_cache(residue),
        ext=keep(residue),
    )


def _decode_file(entry: Mapping[str, Json]) -> Part | None:
    """A file; of two places that it is given in (rare), the data counts and the URL stays."""
    values, residue = take(entry, "file_data", "file_url", "file_id", "filename")
    if not all_text(values):
        return None
    media_type, data, url = _split_url(values.get("file_data"))
    if "file_url" in values and (data or url):
        residue["file_url"] = values["file_url"]
    elif url is not None:
        residue["@member"] = "file_data"
    return MediaPart(
        kind=MediaKind.FILE,
        media_type=media_type,
        data=data,
        url=url or (None if data else values.get("file_url")),
        file_id=values.get("file_id"),
        filename=values.get("filename"),
        cache=_take_cache(residue),
        ext=keep(residue),
    )


AUDIO_TYPES: dict[str, str] = {"mp3": "audio/mpeg", "wav": "audio/wav"}
"""Formats of audio that the wire takes, and their media types."""
AUDIO_FORMATS: dict[str, str] = {type_: word for word, type_ in AUDIO_TYPES.items()} | {
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}


def _decode_audio(entry: Mapping[str, Json]) -> Part | None:
    inner = entry.get("input_audio")
    if not isinstance(inner, Mapping) or inner.keys() != {"data", "format"}:
        return None
    if not all_text(inner):
        return None
    residue = {key: value for key, value in entry.items() if key != "input_audio"}
    return MediaPart(
        kind=MediaKind.AUDIO,
        media_type=AUDIO_TYPES.get(inner["format"], f"audio/{inner['format']}"),
        data=inner["data"],
        ext=keep(residue),
    )


def _split_url(url: str | None) -> tuple[str | None, str | None, str | None]:
    """(media type, base64 data, url): data URLs are taken apart where that loses nothing."""
    if url is None:
        return None, None, None
    match = _DATA_URL.match(url)
    return (match[1], match[2], None) if match and match[2] else (None, None, url)


_DECODERS: dict[str, Callable[[Mapping[str, Json]], Part | None]] = {
    INPUT: _decode_text,
    OUTPUT: _decode_text,
    "text": _decode_text,
    "refusal": _decode_refusal,
    "input_image": _decode_image,
    "input_file": _decode_file,
    "input_audio": _decode_audio,
}


def encode_entry(part: Part, text_type: str, path: str) -> tuple[Json, list[Loss]]:
    """One entry, None with a Loss if this dialect has no place for the part.

    text_type: INPUT or OUTPUT, for parts of other dialects. Raises RequestError for media that the
    model was to see and that this wire cannot name.
    """
    if isinstance(part, TextPart):
        return _encode_text(part, text_type, path)
    if isinstance(part, RefusalPart) and text_type == OUTPUT:
        kept = give(part.ext) if is_native(part.ext) else {"type": "refusal"}
        return {**kept, "refusal": part.text}, []
    if isinstance(part, OpaquePart) and part.dialect == DIALECT:
        return part.document, []
    if isinstance(part, MediaPart) and text_type == INPUT:
        return _encode_media(part, path)
    why = f"content here cannot hold a {type(part).__name__}"
    if isinstance(part, OpaquePart):
        why = f"a document of {part.dialect} goes back to it only"
    return None, [Loss(path, "dropped", why)]


def _encode_text(part: TextPart, text_type: str, path: str) -> tuple[Json, list[Loss]]:
    native = is_native(part.ext)
    document: Document = give(part.ext) if native else {"type": text_type}
    document["text"] = part.text
    losses: list[Loss] = []
    annotations: list[Json] = []
    for number, value in enumerate(part.annotations):
        annotation = encode_annotation(value)
        if annotation is None or document["type"] != OUTPUT:
            why = "an annotation that this wire has not"
            losses.append(Loss(f"{path}/annotations/{number}", "dropped", why))
        else:
            annotations.append(annotation)
    if annotations:
        document["annotations"] = annotations
    if part.cache is not None and text_type == INPUT:
        losses += write_cache(part, document, path)
    return document, losses


def write_cache(part: Part, document: Document, path: str) -> list[Loss]:
    """The cache breakpoint of a part of this dialect; those of others count in other units."""
    if part.cache is None:
        return []
    if not is_native(part.ext):
        return [Loss(f"{path}/cache", "dropped", "this wire caches long prompts by itself")]
    ttl = {} if part.cache.ttl is None else {"ttl": part.cache.ttl}
    document[_BREAKPOINT] = {"mode": "explicit", **ttl}
    return []


def _encode_media(part: MediaPart, path: str) -> tuple[Json, list[Loss]]:
    if not is_native(part.ext):
        _refuse(part, path)
    if part.kind is MediaKind.AUDIO and part.data is not None:
        document = _audio(part)
    elif part.kind is MediaKind.IMAGE:
        document = _image(part)
    else:
        document = _file(part)
    losses = write_cache(part, document, path)
    if part.media_type is not None and part.data is None:
        why = "what a link or a stored file is, this wire finds out by itself"
        losses.append(Loss(f"{path}/media_type", "dropped", why))
    if part.filename is None and "filename" in document:
        why = "a file needs a name on this wire"
        losses.append(Loss(f"{path}/filename", "approximated", why))
    return document, losses


def _refuse(part: MediaPart, path: str) -> None:
    """Raises RequestError for media that no entry of this wire names, or that nobody can fetch."""
    if part.kind is MediaKind.VIDEO:
        raise RequestError("this wire takes no video", path)
    if part.kind is MediaKind.AUDIO and part.data is None:
        raise RequestError("this wire takes audio as the data itself only", path)
    if part.kind is MediaKind.AUDIO and _format_of(part) not in AUDIO_TYPES:
        raise RequestError("this wire takes audio as mp3 or wav only", path)
    if part.url is not None and not part.url.startswith(("http://", "https://", "data:")):
        raise RequestError("this upstream reads addresses of the web only", path)


def _audio(part: MediaPart) -> Document:
    kept = give(part.ext) if is_native(part.ext) else {"type": "input_audio"}
    return {**kept, "input_audio": {"data": part.data, "format": _format_of(part)}}


def _format_of(part: MediaPart) -> str:
    media_type = (part.media_type or "audio/wav").partition(";")[0]
    return AUDIO_FORMATS.get(media_type, media_type.removeprefix("audio/"))


def _url_of(part: MediaPart) -> str | None:
    media_type = part.media_type or "application/octet-stream"
    return part.url if part.data is None else f"data:{media_type};base64,{part.data}"


def _image(part: MediaPart) -> Document:
    kept = give(part.ext) if is_native(part.ext) else {"type": "input_image"}
    return {
        **kept,
        **_known(image_url=_url_of(part), file_id=part.file_id, detail=part.detail),
    }


def _file(part: MediaPart) -> Document:
    """A file; data without a name gets one, since upstream refuses it without."""
    inline = part.data is not None or residue_of(part.ext).get("@member") == "file_data"
    name = part.filename
    if name is None and part.data is not None and not is_native(part.ext):
        name = f"file.{(part.media_type or 'application/pdf').rpartition('/')[2]}"
    members = _known(filename=name, file_id=part.file_id)
    if _url_of(part) is not None:
        members["file_data" if inline else "file_url"] = _url_of(part)
    kept = give(part.ext) if is_native(part.ext) else {"type": "input_file"}
    return {**kept, **members}


def _known(**members: str | None) -> Document:
    return {key: value for key, value in members.items() if value is not None}
