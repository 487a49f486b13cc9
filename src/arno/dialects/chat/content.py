"""Content of a message: text, images, audio, video, files; a string or a list of blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from arno.canon.ext import Json, Loss
from arno.canon.parts import (
    CacheHint,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    TextPart,
)
from arno.dialects.chat.citations import decode_citations, encode_citations
from arno.dialects.chat.residue import DIALECT, give, is_native, keep, note, residue_of
from arno.dialects.residue import Document, all_text, merge, take

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
    return TextPart(
        text=text,
        annotations=decode_citations(annotations),
        cache=take_cache(residue),
        ext=keep(residue),
    )


def take_cache(residue: dict[str, Json]) -> CacheHint | None:
    """A cache breakpoint in the one shape that says no more than a hint can hold."""
    mark = residue.get("cache_control")
    if not isinstance(mark, Mapping) or mark.get("type") != "ephemeral" or mark.keys() - _HINT:
        return None
    if not isinstance(mark.get("ttl", ""), str):
        return None
    del residue["cache_control"]
    return CacheHint(ttl=mark.get("ttl"))


def cache_mark(hint: CacheHint) -> Document:
    """A cache breakpoint."""
    return {"type": "ephemeral", **({} if hint.ttl is None else {"ttl": hint.ttl})}


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
    cache = take_cache(outer)
    fields, notes = _READERS[member](values)
    ext = keep({**notes, **outer, member: residue})
    return MediaPart(kind=MEDIA_MEMBERS[member], cache=cache, ext=ext, **fields)


def _decode_visual(values: Document) -> tuple[Document, Document]:
    media_type, data, url = _split_url(values.get("url"))
    return {
        "media_type": media_type,
        "data": data,
        "url": url,
        "detail": values.get("detail"),
    }, {}


def _decode_audio(values: Document) -> tuple[Document, Document]:
    word = values.get("format")
    if word is None:
        return {"data": values.get("data")}, {}
    media_type = audio_type(word)
    exact = audio_format(media_type) == word
    fields = {"media_type": media_type, "data": values.get("data")}
    return fields, {} if exact else {"@format": word}


def _decode_file(values: Document) -> tuple[Document, Document]:
    media_type, data, url = _split_url(values.get("file_data"))
    return {
        "media_type": media_type,
        "data": data,
        "url": url,
        "file_id": values.get("file_id"),
        "filename": values.get("filename"),
    }, {}


AUDIO_FORMATS = {"mp3": "audio/mpeg"}
"""Formats of audio whose media type has another name; all others have their own."""
_AUDIO_WORDS = {type_: word for word, type_ in AUDIO_FORMATS.items()} | {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
}


def audio_type(word: str) -> str:
    """The media type of a format."""
    return AUDIO_FORMATS.get(word, f"audio/{word}")


def audio_format(media_type: str) -> str:
    """The format of a media type."""
    return _AUDIO_WORDS.get(media_type, media_type.removeprefix("audio/"))


def _split_url(url: str | None) -> tuple[str | None, str | None, str | None]:
    """(media type, base64 data, url): data URLs are taken apart where that loses nothing."""
    if url is None:
        return None, None, None
    match = _DATA_URL.match(url)
    return (match[1], match[2], None) if match else (None, None, url)


_READERS: dict[str, Callable[[Document], tuple[Document, Document]]] = {
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


Placed = tuple[str, Part]
"""A part and where it stands in the canonical value."""


def encode_content(parts: Sequence[Placed]) -> tuple[Json, list[Loss]]:
    """The content member: None for no parts, a string for one plain text, else blocks."""
    if not parts:
        return None, []
    first = parts[0][1]
    if len(parts) == 1 and isinstance(first, TextPart) and _is_plain(first):
        return first.text, []
    blocks: list[Json] = []
    losses: list[Loss] = []
    for where, part in parts:
        block, lost = _encode_block(part, where)
        losses.extend(lost)
        if block is not None:
            blocks.append(block)
    return blocks, losses


def _is_plain(part: TextPart) -> bool:
    return not (give(part.ext) or part.annotations or part.cache)


def _encode_block(part: Part, where: str) -> tuple[Json, list[Loss]]:
    """One block, None if this dialect has no place for the part."""
    if isinstance(part, TextPart):
        return _encode_text(part, where)
    if isinstance(part, MediaPart):
        return encode_media(part, where)
    if isinstance(part, ReasoningPart) and residue_of(part.ext).get("type") == "thinking":
        return {**give(part.ext), "thinking": [{"type": "text", "text": part.text}]}, []
    if isinstance(part, OpaquePart) and part.dialect == DIALECT:
        return part.document, []
    why = f"content of a chat message cannot hold a {type(part).__name__}"
    return None, [Loss(where, "dropped", why)]


def _encode_text(part: TextPart, where: str) -> tuple[Json, list[Loss]]:
    document: Document = give(part.ext) or {"type": "text"}
    document["text"] = part.text or document.get("text", "")
    annotations, losses = encode_citations(part.annotations, where)
    if annotations:
        document["annotations"] = annotations
    if part.cache is not None:
        document["cache_control"] = cache_mark(part.cache)
    return document, losses


def encode_media(part: MediaPart, where: str) -> tuple[Json, list[Loss]]:
    """A media block, of the type it came with or the one for its kind."""
    document: Document = give(part.ext)
    member = str(document.get("type") or _member_for(part))
    document["type"] = member
    members = {k: v for k, v in _media_members(part, member).items() if v is not None}
    merge(document, member, members)
    if part.cache is not None:
        document["cache_control"] = cache_mark(part.cache)
    return document, [] if is_native(part.ext) else _media_losses(part, member, where)


def _member_for(part: MediaPart) -> str:
    """Audio travels inline only, and only a file has an id; what does not fit goes as a file."""
    if part.kind is MediaKind.AUDIO and part.data is None:
        return "file"
    return "file" if part.data is None and part.url is None else MEMBERS[part.kind]


def _media_members(part: MediaPart, member: str) -> Document:
    media_type = part.media_type or "application/octet-stream"
    url = f"data:{media_type};base64,{part.data}" if part.data is not None else part.url
    if member == "input_audio":
        kept = note(part.ext, "format")
        word = None if part.media_type is None else audio_format(part.media_type)
        return {"data": part.data, "format": kept or word}
    if member == "file":
        return {"file_data": url, "file_id": part.file_id, "filename": part.filename}
    return {"url": url, "detail": part.detail}


CARRIED: dict[str, frozenset[str]] = {
    "image_url": frozenset({"detail"}),
    "video_url": frozenset({"detail"}),
    "input_audio": frozenset(),
    "file": frozenset({"file_id", "filename"}),
}
"""Fields that a block tells beside the data or the address."""


def _media_losses(part: MediaPart, member: str, where: str) -> list[Loss]:
    """What a block does not say, or says as something else."""
    losses = [
        Loss(f"{where}/{name}", "dropped", f"a chat {member} has no member for it")
        for name in ("file_id", "filename", "detail", "transcript")
        if getattr(part, name) is not None and name not in CARRIED[member]
    ]
    if MEDIA_MEMBERS[member] is not part.kind:
        losses.append(Loss(where, "renamed", f"a chat message carries a {part.kind} as a file"))
    inline = part.data is not None
    if inline and part.media_type is None:
        why = "inline media without a type are sent as application/octet-stream"
        if member != "input_audio":
            losses.append(Loss(f"{where}/media_type", "approximated", why))
    elif not inline and part.media_type is not None:
        why = "the type of what an address leads to is left to the upstream"
        losses.append(Loss(f"{where}/media_type", "approximated", why))
    elif inline and member == "input_audio" and _retyped(part.media_type):
        why = "a chat request tells the format of audio by one word"
        losses.append(Loss(f"{where}/media_type", "approximated", why))
    return losses


def _retyped(media_type: str | None) -> bool:
    """True if the format word for a media type means another type."""
    return media_type is not None and audio_type(audio_format(media_type)) != media_type
