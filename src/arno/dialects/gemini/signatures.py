"""Proofs on the wire: `thoughtSignature`, the one place of this dialect for a reasoning artefact.

A signature of this dialect's own models stands there as it is. An artefact of another wire's (a
signature, sealed reasoning) and what else a part says that the wire has no member for (that it is a
summary or a refusal, its id) travel to clients in the same place, as base64 text like any
signature, since clients decode and send back what stands there: a tag (`arno.dialects.tags`).
Reading gives the same canonical part back. A tag never goes to an upstream of this dialect: what it
holds is of another wire.
"""

from __future__ import annotations

import re

import msgspec

from arno.canon.parts import Part, ReasoningPart, RefusalPart
from arno.dialects import tags
from arno.dialects.gemini.residue import is_native, note
from arno.dialects.residue import Document
from arno.dialects.tags import Tag

FORMAT = "google-gemini-v1"
"""Who can read this dialect's own signatures."""

UNSIGNED = "skip_thought_signature_validator"
"""What the vendor has clients send where a call was not made by its model and so has no signature,
which newer models else refuse. Source: Gemini API, "Thought signatures", FAQ on other models."""

_OTHER_ALPHABET = re.compile(r"[A-Za-z0-9_-]+={0,2}")


class Proof(msgspec.Struct, frozen=True):
    """A `thoughtSignature` as it was read. kept: notes for writing it back as it stood."""

    tag: Tag
    tagged: bool = False
    kept: Document = {}


NONE = Proof(Tag())


def read(signature: object) -> Proof:
    """What a `thoughtSignature` says; `NONE` for none."""
    if not isinstance(signature, str) or not signature:
        return NONE
    if signature == UNSIGNED:
        return Proof(Tag(), kept={"@unsigned": True})
    text = _standard(signature)
    kept = {} if text == signature else {"@signature": signature}
    tag = tags.read(text)
    if tag is not None:
        return Proof(tag, tagged=True, kept=kept)
    return Proof(Tag(signature=text, format=FORMAT), kept=kept)


def _standard(signature: str) -> str:
    """The artefact in the alphabet that upstreams use: some clients send it back in the other one.

    The origin of an artefact is found by its text, so one artefact must have one text.
    """
    if ("-" in signature or "_" in signature) and _OTHER_ALPHABET.fullmatch(signature):
        return signature.replace("-", "+").replace("_", "/")
    return signature


def is_own(part: Part) -> bool:
    """True if the part's artefact is one that this dialect's upstreams can read."""
    return part.format == FORMAT or (part.format is None and is_native(part.ext))


def own_signature(part: Part) -> str | None:
    """The part's signature as this wire writes it, None if it has none that is its own."""
    if part.signature is None or not is_own(part):
        return UNSIGNED if note(part.ext, "unsigned") else None
    return note(part.ext, "signature") or part.signature


def tag_of(part: Part) -> Tag:
    """Everything of a part that only a tag can say."""
    if isinstance(part, RefusalPart):
        return Tag(format=part.format, signature=part.signature, refusal=True)
    if isinstance(part, ReasoningPart):
        return msgspec.structs.replace(tags.of_reasoning(part), item_id=None, item_index=None)
    if part.signature is not None:
        return Tag(format=part.format, signature=part.signature)
    return Tag()


def for_client(part: Part) -> str | None:
    """What stands as `thoughtSignature` of a part in an answer, None for nothing."""
    tag = tag_of(part)
    plain = is_own(part) and not tags.is_like(part.signature or "")
    if tag == Tag() or (plain and tag == Tag(format=tag.format, signature=part.signature)):
        return own_signature(part) if part.signature else None
    return tags.write64(tag)
