"""Reasoning on the wire: `reasoning_details`, `reasoning`, `reasoning_content`.

Hosts send the same text under one, two or three names. The structured one wins, then the first
name below with text; an empty string never hides another name's text (R19).
Source: the gateway contract, section 4.4; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from arno.canon.events import Slot
from arno.canon.ext import Json
from arno.canon.parts import OpaquePart, Part, ReasoningForm, ReasoningPart
from arno.dialects import tags
from arno.dialects.chat.residue import DIALECT, give, is_native, keep, note, residue_of
from arno.dialects.residue import Document, take

TEXT_MEMBERS = ("reasoning_content", "reasoning")
DETAILS = "reasoning_details"

FORMS: dict[str, tuple[ReasoningForm, str]] = {
    "reasoning.text": (ReasoningForm.FULL, "text"),
    "reasoning.summary": (ReasoningForm.SUMMARY, "summary"),
    "reasoning.encrypted": (ReasoningForm.SEALED, "data"),
}
"""Type of a detail to its form and the key that holds its content."""

TYPES: dict[ReasoningForm, str] = {form: type_ for type_, (form, _) in FORMS.items()}
TYPES[ReasoningForm.REDACTED] = "reasoning.encrypted"

REDACTED_FORMATS = frozenset({"anthropic-claude-v1"})
"""Formats whose encrypted details are reasoning that was redacted: their sealed reasoning is signed
text."""

BEFORE = f"content:{10**9 - 1}"
"""The id of a detail that signs the last text of its message; see `signatures`."""

ITEM_FORMATS = "-responses-v1"
"""The end of the formats whose encrypted details are reasoning items and never sign a call."""


def text_member(message: Mapping[str, Json]) -> str | None:
    """The name under which this message or delta carries reasoning as a string."""
    for member in TEXT_MEMBERS:
        value = message.get(member)
        if isinstance(value, str) and value:
            return member
    return None


def decode_detail(detail: Json) -> Part:
    """One entry of `reasoning_details`; its index and unknown keys stay as residue."""
    if not isinstance(detail, Mapping) or str(detail.get("type")) not in FORMS:
        return OpaquePart(dialect=DIALECT, document=detail, ext=keep({"@member": DETAILS}))
    form, key = FORMS[detail["type"]]
    values, residue = take(detail, key, "signature", "format", "id")
    if not all(isinstance(value, str) for value in values.values()):
        return OpaquePart(dialect=DIALECT, document=detail, ext=keep({"@member": DETAILS}))
    content = values.get(key)
    tagged = _untagged(values)
    if tagged is not None:
        return tagged
    if key == "data" and values.get("format") in REDACTED_FORMATS:
        form = ReasoningForm.REDACTED
    return ReasoningPart(
        text=content if content and key != "data" else "",
        form=form,
        sealed=content if key == "data" else None,
        signature=values.get("signature"),
        format=values.get("format"),
        id=values.get("id"),
        ext=keep({"@member": DETAILS, "@keys": tuple(detail), **residue}),
    )


def _untagged(values: Mapping[str, str]) -> ReasoningPart | None:
    """What a detail says that a client was told as a tag by another dialect; None for others.

    A signature of something else is told by the id of what it signs (`signatures`).
    """
    tag = tags.read(values.get("data") or values.get("signature") or "")
    if tag is None:
        return None
    if tag.on is None:
        return tag.reasoning(values.get("text") or values.get("summary", ""))
    return ReasoningPart(
        form=ReasoningForm.SEALED,
        sealed=tag.signature,
        format=tag.format,
        id=tag.on or BEFORE,
        ext=keep({"@member": DETAILS}),
    )


def is_readable(details: Sequence[Part]) -> bool:
    """True if the details say in words what the string members would repeat."""
    return any(isinstance(part, ReasoningPart) and part.text for part in details)


def encode_detail(part: ReasoningPart, index: int) -> Document:
    """One entry of `reasoning_details`."""
    native = is_native(part.ext)
    type_ = TYPES[part.form]
    document: Document = {"type": type_}
    if native:
        document.update(give(part.ext))
    content = part.sealed if FORMS[type_][1] == "data" else part.text
    values = {
        FORMS[type_][1]: content,
        "signature": part.signature,
        "format": part.format,
        "id": part.id or (part.item.id if part.item is not None and not native else None),
    }
    document.update({key: value for key, value in values.items() if value})
    if not native:
        document.setdefault("format", None)
        document["index"] = index
    # An artefact may be checked byte by byte, so its keys keep their order too.
    order = [key for key in note(part.ext, "keys") or () if key in document]
    return {**{key: document[key] for key in order}, **document}


def encode_piece(part: ReasoningPart, slot: Slot, value: str, index: int) -> Document:
    """A delta with one piece of reasoning, under the name it came with or under both of the
    contract. index: the detail's, if it is made here.
    """
    member = note(part.ext, "member")
    if member in TEXT_MEMBERS:
        return {"content": "", member: value}
    if member == "content":
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": value}]}]}
    form = part.form
    if slot is Slot.SEALED and TYPES[form] != TYPES[ReasoningForm.SEALED]:
        form = ReasoningForm.SEALED
    piece = ReasoningPart(
        text=value if slot is Slot.TEXT else "",
        sealed=value if slot is Slot.SEALED else None,
        signature=value if slot is Slot.SIGNATURE else None,
        form=form,
        format=part.format,
        id=part.id,
        item=part.item,
        ext=part.ext,
    )
    detail = encode_detail(piece, index)
    if not (piece.text or piece.sealed):
        detail.pop(FORMS[TYPES[form]][1], None)
    if is_native(part.ext):
        detail.setdefault("index", residue_of(part.ext).get("index", 0))
    readable = {"reasoning": piece.text} if piece.text else {}
    return {"content": "", DETAILS: [detail], **readable}


def encode_reasoning(parts: Sequence[Part], *, readable: bool) -> Document:
    """The reasoning members of a message, each part under the name it came with.

    A part of another dialect stands in `reasoning_details`, and for clients (`readable`) its text
    in `reasoning` as well: both names of the contract.
    """
    members: Document = {}
    details: list[Json] = []
    texts: list[str] = []
    for part in parts:
        member = note(part.ext, "member")
        if isinstance(part, OpaquePart):
            details.append(part.document)
        elif isinstance(part, ReasoningPart) and member in TEXT_MEMBERS:
            members[member] = members.get(member, "") + part.text
        elif isinstance(part, ReasoningPart):
            details.extend(encode_detail(piece, len(details) + n) for n, piece in _whole(part))
            if not is_native(part.ext):
                texts.append(part.text)
    if details:
        members[DETAILS] = details
    if readable and any(texts):
        members["reasoning"] = "".join(texts)
    return members


def _whole(part: ReasoningPart) -> list[tuple[int, ReasoningPart]]:
    """The part as details say it: a sealed artefact beside a text is a detail of its own."""
    if not part.sealed or part.form in (ReasoningForm.SEALED, ReasoningForm.REDACTED):
        return [(0, part)]
    sealed = msgspec.structs.replace(part, text="", form=ReasoningForm.SEALED, signature=None)
    open_ = msgspec.structs.replace(part, sealed=None)
    return [(0, open_), (1, sealed)] if part.text or part.signature else [(0, sealed)]
