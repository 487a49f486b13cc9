"""Content of a message: text, images, audio, video, files; a string or a list of blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from arno.canon.ext import Ext, Json, Loss
from arno.canon.parts import (
    CacheHint,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
)
from arno.dialects.chat.residue import (
    DIALECT,
    Document,
    all_text,
    give,
    is_native,
    keep,
    merge,
    residue_of,
    take,
)

_HINT = {"type", "ttl"}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=_-]*)\Z")

MEDIA_MEMBERS: dict[str, MediaKind] = {
    "image_url": MediaKind.IMAGE,
    "video_url": MediaKind.VIDEO,
    "input_audio": MediaKind.AUDIO,
    "file": MediaKind.FILE,
}
"""Block type (also the name of its inner member) to the kind of media."""

INNER_MEMBERS: dict[str, tuple[str, ...]] = {
    "image_url": ("url", "detail"),
    "video_url": ("url", "detail"),
    "input_audio": ("data", "format"),
    "file": ("file_data", "file_id", "filename"),
}
"""What of the inner member the canonical form has a field for; all of it is text."""

MEMBERS: dict[MediaKind, str] = {kind: member for member, kind in MEDIA_MEMBERS.items()}
MEMBERS[MediaKind.DOCUMENT] = "file"


def decode_content(content: str | list[Json]) -> tuple[Part, ...]:
    """Parts of a content member: a string, or a list of blocks."""
    if isinstance(content, str):
        return (TextPart(text=content),)
    return tuple(decode_block(block) for block in content)


def take_content(values: Mapping[str, Json], residue: Document) -> tuple[Part, ...]:
    """Parts of the content among `values`; what is neither text nor a list stays residue."""
    content = values.get("content")
    if isinstance(content, str | list):
        return decode_content(content)
    if content is not None:
        residue["content"] = content
    return ()


def decode_block(block: Json) -> Part:
    """One block; what is not known stays a document of this dialect."""
    if not isinstance(block, Mapping):
        return OpaquePart(dialect=DIALECT, document=block)
    decoder = _DECODERS.get(str(block.get("type")))
    part = decoder(block) if decoder else None
    return part if part is not None else OpaquePart(dialect=DIALECT, document=dict(block))


def _decode_text(block: Mapping[str, Json]) -> Part | None:
    values, residue = take(block, "text", "annotations")
    text, annotations = values.get("text", ""), values.get("annotations", [])
    if not isinstance(text, str) or not isinstance(annotations, list):
        return None
    cache = _take_cache(residue)
    return TextPart(text=text, annotations=tuple(annotations), cache=cache, ext=keep(residue))


def _take_cache(residue: dict[str, Json]) -> CacheHint | None:
    """A cache breakpoint in the one shape that says no more than a hint can hold."""
    mark = residue.get("cache_control")
    if not isinstance(mark, Mapping) or mark.get("type") != "ephemeral" or mark.keys() - _HINT:
        return None
    if not isinstance(mark.get("ttl", ""), str):
        return None
    del residue["cache_control"]
    return CacheHint(ttl=mark.get("ttl"))


def _decode_thinking(block: Mapping[str, Json]) -> Part | None:
    """Reasoning inside the content list, as one host family sends it."""
    inner = block.get("thinking")
    if not isinstance(inner, list) or len(inner) != 1:
        return None
    piece = inner[0]
    if not isinstance(piece, Mapping) or piece.keys() != {"type", "text"}:
        return None
    if piece["type"] != "text" or not isinstance(piece["text"], str):
        return None
    residue = {k: v for k, v in block.items() if k != "thinking"}
    return ReasoningPart(text=piece["text"], ext=keep({"@member": "content", **residue}))


def _decode_media(block: Mapping[str, Json]) -> Part | None:
    member = block["type"]
    inner = block.get(member)
    if not isinstance(inner, Mapping):
        return None
    outer = {k: v for k, v in block.items() if k != member}
    values, residue = take(inner, *INNER_MEMBERS[member])
    if not all_text(values):
        return None
    return _READERS[member](values, keep({**outer, member: residue}), MEDIA_MEMBERS[member])


def _decode_visual(values: Document, ext: Ext, kind: MediaKind) -> Part:
    media_type, data, url = _split_url(values.get("url"))
    return MediaPart(
        kind=kind,
        media_type=media_type,
        data=data,
        url=url,
        detail=values.get("detail"),
        ext=ext,
    )


def _decode_audio(values: Document, ext: Ext, kind: MediaKind) -> Part:
    return MediaPart(
        kind=kind,
        media_type=f"audio/{values['format']}" if "format" in values else None,
        data=values.get("data"),
        ext=ext,
    )


def _decode_file(values: Document, ext: Ext, kind: MediaKind) -> Part:
    media_type, data, url = _split_url(values.get("file_data"))
    return MediaPart(
        kind=kind,
        media_type=media_type,
        data=data,
        url=url,
        file_id=values.get("file_id"),
        filename=values.get("filename"),
        ext=ext,
    )


def _split_url(url: str | None) -> tuple[str | None, str | None, str | None]:
    """(media type, base64 data, url): data URLs are taken apart where that loses nothing."""
    if url is None:
        return None, None, None
    match = _DATA_URL.match(url)
    return (match[1], match[2], None) if match else (None, None, url)


_READERS: dict[str, Callable[[Document, Ext, MediaKind], Part]] = {
    "image_url": _decode_visual,
    "video_url": _decode_visual,
    "input_audio": _decode_audio,
    "file": _decode_file,
}

_DECODERS: dict[str, Callable[[Mapping[str, Json]], Part | None]] = {
    "text": _decode_text,
    "thinking": _decode_thinking,
    **dict.fromkeys(MEDIA_MEMBERS, _decode_media),
}


def encode_content(parts: Sequence[Part], path: str) -> tuple[Json, list[Loss]]:
    """The content member: None for no parts, a string for one plain text, else blocks."""
    if not parts:
        return None, []
    first = parts[0]
    if len(parts) == 1 and isinstance(first, TextPart) and _is_plain(first):
        return first.text, []
    blocks: list[Json] = []
    losses: list[Loss] = []
    for number, part in enumerate(parts):
        block = encode_block(part)
        if block is None:
            why = f"content of a chat message cannot hold a {type(part).__name__}"
            losses.append(Loss(f"{path}/{number}", "dropped", why))
        else:
            blocks.append(block)
    return blocks, losses


def _is_plain(part: TextPart) -> bool:
    return not (is_native(part.ext) or part.annotations or part.cache)


def encode_block(part: Part) -> Json:
    """One block, None if this dialect has no place for the part."""
    if isinstance(part, TextPart):
        document: Document = give(part.ext) if is_native(part.ext) else {"type": "text"}
        document["text"] = part.text or document.get("text", "")
        if part.annotations:
            document["annotations"] = list(part.annotations)
        if part.cache is not None:
            ttl = {} if part.cache.ttl is None else {"ttl": part.cache.ttl}
            document["cache_control"] = {"type": "ephemeral", **ttl}
        return document
    if isinstance(part, MediaPart):
        return encode_media(part)
    if isinstance(part, ReasoningPart) and residue_of(part.ext).get("type") == "thinking":
        return {**give(part.ext), "thinking": [{"type": "text", "text": part.text}]}
    if isinstance(part, OpaquePart) and part.dialect == DIALECT:
        return part.document
    return None


def encode_media(part: MediaPart) -> Json:
    """A media block, of the type it came with or the one for its kind."""
    document: Document = give(part.ext)
    member = str(document.get("type") or _member_for(part))
    document["type"] = member
    members = {k: v for k, v in _media_members(part, member).items() if v is not None}
    merge(document, member, members)
    return document


def _member_for(part: MediaPart) -> str:
    """Audio travels inline only; what is not inline goes as a file."""
    if part.kind is MediaKind.AUDIO and part.data is None:
        return "file"
    return MEMBERS[part.kind]


def _media_members(part: MediaPart, member: str) -> Document:
    media_type = part.media_type or "application/octet-stream"
    url = f"data:{media_type};base64,{part.data}" if part.data is not None else part.url
    if member == "input_audio":
        format_ = part.media_type.removeprefix("audio/") if part.media_type else None
        return {"data": part.data, "format": format_}
    if member == "file":
        return {"file_data": url, "file_id": part.file_id, "filename": part.filename}
    return {"url": url, "detail": part.detail}
