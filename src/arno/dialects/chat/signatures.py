"""Signatures on parts that are no reasoning, which the wire tells among `reasoning_details`.

They stand there as details of type reasoning.encrypted whose id names what they sign:

    the id of a call    the tool call (so the gateway contract has it)
    content:<n>         the text that ends at character n of the message's text
    images:<n>          image n of an answer, counted from 0
    refusal:0, audio:0  the refusal, the audio

A signature ends the text it signs: text behind it is another part. Ids are what clients send back
even where they drop members they do not know. Source: contract section 4.4 for calls; the other
ids are ours, since the contract leaves open which text a detail without an id belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from arno.canon.ext import Json
from arno.canon.parts import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects.chat.reasoning import encode_detail
from arno.dialects.chat.residue import DIALECT, give, keep, note
from arno.dialects.residue import Document

CONTENT, IMAGES, REFUSAL, AUDIO = "content", "images", "refusal", "audio"
_PLACE = re.compile(r"(content|images|refusal|audio):([0-9]{1,9})")

DETAIL, JOINS = "detail", "joins"
"""Notes: the detail that a signature stood in; that a text goes on in the text before it."""


def place_of(detail_id: str) -> tuple[str, int] | None:
    """Member and number that an id names, None for any other id."""
    match = _PLACE.fullmatch(detail_id)
    return None if match is None else (match[1], int(match[2]))


def is_artefact(detail: Part) -> bool:
    """True for a sealed detail with an id, which may be the signature of another part."""
    return isinstance(detail, ReasoningPart) and bool(detail.sealed) and bool(detail.id)


def attach(details: Sequence[Part], parts: list[Part]) -> list[Part]:
    """Puts signatures on `parts`, in place; gives the details that are reasoning of their own."""
    return [
        detail
        for at, detail in enumerate(details)
        if not (isinstance(detail, ReasoningPart) and is_artefact(detail))
        or not _sign(parts, detail, at)
    ]


def _sign(parts: list[Part], detail: ReasoningPart, at: int) -> bool:
    for number, part in enumerate(parts):
        named = isinstance(part, ToolCallPart) and part.call_id == detail.id
        if named and part.signature is None:
            parts[number] = _signed(part, detail, at)
            return True
    place = place_of(detail.id or "")
    return place is not None and _SIGNERS[place[0]](parts, place[1], detail, at)


def _signed(part: Part, detail: ReasoningPart, at: int) -> Part:
    """`part` with the signature, noting the detail's place, id and residue."""
    kept = {**part.ext.get(DIALECT, {}), "@" + DETAIL: (at, detail.id, detail.ext)}
    return msgspec.structs.replace(
        part, signature=detail.sealed, format=detail.format, ext=keep(kept)
    )


def _sign_text(parts: list[Part], end: int, detail: ReasoningPart, at: int) -> bool:
    """The first unsigned text that reaches up to character `end`; the last one if none does."""
    start, last, behind = 0, None, 0
    for number, part in enumerate(parts):
        if not isinstance(part, TextPart):
            continue
        if part.signature is None:
            last, behind = number, start
            if end <= start + len(part.text):
                break
        start += len(part.text)
    if last is None:
        place = max((n + 1 for n, p in enumerate(parts) if isinstance(p, TextPart)), default=0)
        parts.insert(place, _signed(TextPart(ext=keep({"@" + JOINS: True})), detail, at))
        return True
    _split(parts, last, end - behind)
    parts[last] = _signed(parts[last], detail, at)
    return True


def _split(parts: list[Part], number: int, length: int) -> None:
    """The text of a string content in two, if it is longer than `length`."""
    part = parts[number]
    if not isinstance(part, TextPart) or give(part.ext) or not 0 <= length < len(part.text):
        return
    parts[number] = msgspec.structs.replace(part, text=part.text[:length])
    parts.insert(number + 1, TextPart(text=part.text[length:], ext=keep({"@" + JOINS: True})))


def _sign_image(parts: list[Part], number: int, detail: ReasoningPart, at: int) -> bool:
    places = [
        place
        for place, part in enumerate(parts)
        if isinstance(part, MediaPart | OpaquePart) and note(part.ext, "member") == IMAGES
    ]
    if number >= len(places) or not isinstance(parts[places[number]], MediaPart):
        return False
    parts[places[number]] = _signed(parts[places[number]], detail, at)
    return True


def _sign_first(belongs: Callable[[Part], bool]) -> Callable[..., bool]:
    def sign(parts: list[Part], number: int, detail: ReasoningPart, at: int) -> bool:
        for place, part in enumerate(parts):
            if belongs(part):
                parts[place] = _signed(part, detail, at)
                return True
        return False

    return sign


def _is_audio(part: Part) -> bool:
    return isinstance(part, MediaPart) and bool(note(part.ext, "member") == AUDIO)


_SIGNERS: dict[str, Callable[..., bool]] = {
    CONTENT: _sign_text,
    IMAGES: _sign_image,
    REFUSAL: _sign_first(lambda part: isinstance(part, RefusalPart)),
    AUDIO: _sign_first(_is_audio),
}


def detail_of(part: Part, detail_id: str, index: int) -> tuple[int | None, Document]:
    """The detail that tells the signature of `part`, and its place among details if it had one."""
    at, known_id, ext = note(part.ext, DETAIL) or (None, None, {})
    told = ReasoningPart(
        form=ReasoningForm.SEALED,
        sealed=part.signature,
        format=part.format,
        id=known_id or detail_id,
        ext=ext,
    )
    return at, encode_detail(told, index)


def insert(details: Json, told: Sequence[tuple[int | None, Document]]) -> list[Json]:
    """`details` with these among them, each where it stood."""
    result = list(details or ())
    for at, document in sorted(told, key=lambda entry: 1 << 30 if entry[0] is None else entry[0]):
        result.insert(len(result) if at is None else at, document)
    return result
