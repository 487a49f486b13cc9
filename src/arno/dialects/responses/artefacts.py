"""Proofs and sealed artefacts of reasoning on this wire: the member `encrypted_content`.

One of this wire's own stands there as it came. One of another wire is tagged (`dialects/tags.py`),
so that it comes back from any client that returns items as it got them, and is never taken for this
wire's own. A tag without anything sealed is the proof of its item's last text, or, with `on`, the
signature of something that is no reasoning and stands before the item.
"""

from __future__ import annotations

from arno.canon.parts import ReasoningForm, ReasoningPart
from arno.dialects import tags
from arno.dialects.tags import Tag

OWN_FORMAT = "openai-responses-v1"


def written(part: ReasoningPart, format_: str | None) -> str | None:
    """The `encrypted_content` that carries what is sealed or signed in `part`, None for nothing.

    format_: what the item says of its format; an artefact of it stands there as it is.
    """
    if part.sealed is None and part.signature is None:
        return None
    plain = part.form is ReasoningForm.SEALED and part.signature is None
    said = part.format == (format_ or OWN_FORMAT)
    if plain and said and part.sealed and not tags.is_like(part.sealed):
        return part.sealed
    return tags.write(
        Tag(
            form=part.form if part.sealed is not None else ReasoningForm.FULL,
            sealed=part.sealed,
            signature=part.signature,
            format=part.format,
            id=part.id,
        )
    )


def read_reasoning(text: str, format_: str | None, item_id: str | None) -> ReasoningPart | Tag:
    """The part that an `encrypted_content` is, or the tag of something that stands elsewhere.

    format_: what the item says of its format.
    """
    tag = tags.read(text)
    if tag is None:
        format_ = format_ or OWN_FORMAT
        return ReasoningPart(form=ReasoningForm.SEALED, sealed=text, format=format_, id=item_id)
    return tag if tag.sealed is None else tag.reasoning()


def is_own(format_: str | None) -> bool:
    """True for artefacts that upstreams of this dialect made (R18)."""
    return format_ == OWN_FORMAT
