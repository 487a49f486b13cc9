"""Proofs on the wire: `thoughtSignature`, the one place of this dialect for a reasoning artefact.

A signature of this dialect's own models stands there as it is. An artefact of another wire's (a
signature, sealed reasoning) and what else a part says that the wire has no member for (that it is a
summary or a refusal, its id) travel to clients in the same place, as base64 text like any
signature, since clients decode and send back what stands there:

    base64(b"arno1:" + JSON of a `Tag`)

Reading gives the same canonical part back. A tag never goes to an upstream of this dialect: what it
holds is of another wire.
"""

from __future__ import annotations

import base64
import binascii
import re

import msgspec

from arno.canon.parts import Part, ReasoningForm, ReasoningPart, RefusalPart
from arno.dialects.gemini.residue import Document, is_native, note

FORMAT = "google-gemini-v1"
"""Who can read this dialect's own signatures."""

UNSIGNED = "skip_thought_signature_validator"
"""What the vendor has clients send where a call was not made by its model and so has no signature,
which newer models else refuse. Source: Gemini API, "Thought signatures", FAQ on other models."""

_MAGIC = b"arno1:"
MARK = base64.b64encode(_MAGIC).decode()
"""How a tag begins."""
_OTHER_ALPHABET = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_MOST_TAGGED = 16 * 1024 * 1024


class Tag(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tag holds.

    ends: the artefact belongs to the thought that is open, and closes it; refusal: the text is one.
    """

    form: ReasoningForm = ReasoningForm.FULL
    id: str | None = None
    format: str | None = None
    signature: str | None = None
    sealed: str | None = None
    ends: bool = False
    refusal: bool = False


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
    if text.startswith(MARK):
        tag = _untagged(text)
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


def _untagged(text: str) -> Tag | None:
    if len(text) > _MOST_TAGGED:
        return None
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        return msgspec.json.decode(base64.b64decode(padded)[len(_MAGIC) :], type=Tag)
    except (binascii.Error, ValueError):
        return None


def write(tag: Tag) -> str:
    """The text of a tag."""
    return base64.b64encode(_MAGIC + msgspec.json.encode(tag)).decode()


def is_tag(signature: object) -> bool:
    """True for what `write` wrote, in either alphabet: all of its letters are in both."""
    return isinstance(signature, str) and signature.startswith(MARK)


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
        return Tag(part.form, part.id, part.format, part.signature, part.sealed)
    if part.signature is not None:
        return Tag(format=part.format, signature=part.signature)
    return Tag()


def for_client(part: Part) -> str | None:
    """What stands as `thoughtSignature` of a part in an answer, None for nothing."""
    tag = tag_of(part)
    if tag == Tag() or (is_own(part) and tag == Tag(format=tag.format, signature=part.signature)):
        return own_signature(part) if part.signature else None
    return write(tag)
