"""Reasoning on the wire: `reasoning_details`, `reasoning`, `reasoning_content`.

Hosts send the same text under one, two or three names. The structured one wins, then the first
name below with text; an empty string never hides another name's text (R19).
Source: the gateway contract, section 4.4; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from arno.canon.ext import Json
from arno.canon.parts import OpaquePart, Part, ReasoningForm, ReasoningPart
from arno.dialects.chat.residue import (
    DIALECT,
    Document,
    give,
    is_native,
    keep,
    note,
    take,
)

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
    return ReasoningPart(
        text=content if content and key != "data" else "",
        form=form,
        sealed=content if key == "data" else None,
        signature=values.get("signature"),
        format=values.get("format"),
        id=values.get("id"),
        ext=keep({"@member": DETAILS, "@keys": tuple(detail), **residue}),
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
        "id": part.id,
    }
    document.update({key: value for key, value in values.items() if value})
    if not native:
        document.setdefault("format", "unknown")
        document["index"] = index
    # An artefact may be checked byte by byte, so its keys keep their order too.
    order = [key for key in note(part.ext, "keys") or () if key in document]
    return {**{key: document[key] for key in order}, **document}


def encode_reasoning(parts: Sequence[Part]) -> Document:
    """The reasoning members of a message, each part under the name it came with.

    A part of another dialect is written under both names of the contract: the readable text as
    `reasoning`, the part itself in `reasoning_details`.
    """
    members: Document = {}
    details: list[Json] = []
    readable: list[str] = []
    for part in parts:
        member = note(part.ext, "member")
        if isinstance(part, OpaquePart):
            details.append(part.document)
        elif isinstance(part, ReasoningPart) and member in TEXT_MEMBERS:
            members[member] = members.get(member, "") + part.text
        elif isinstance(part, ReasoningPart):
            details.append(encode_detail(part, len(details)))
            if not is_native(part.ext):
                readable.append(part.text)
    if details:
        members[DETAILS] = details
    if any(readable):
        members["reasoning"] = "".join(readable)
    return members
