"""Proofs and sealed artefacts of reasoning on this wire: the member `encrypted_content`.

One of this wire's own stands there as it came. One of another wire is tagged, so that it is told
apart, comes back from any client that returns items as it got them, and is never taken for this
wire's own: `arno:` and a JSON object. Its members: `sealed` and `form` (an artefact that stands for
itself), `signature` (the proof of the item's last text), `format` (who can read it), `id`, and `on`
(a signature on something that is no reasoning: the id of a call, or "" for the text or image before
the item).
"""

from __future__ import annotations

import msgspec

from arno.canon.parts import ReasoningForm, ReasoningPart

OWN_FORMAT = "openai-responses-v1"
TAG = "arno:{"


class Artefact(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tag says; see the top of this file."""

    form: ReasoningForm | None = None
    sealed: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None
    on: str | None = None

    def write(self) -> str:
        """The text for `encrypted_content`."""
        return "arno:" + msgspec.json.encode(self).decode()


_DECODER = msgspec.json.Decoder(Artefact)


def read_artefact(text: str) -> Artefact | None:
    """What a tag of ours says, None for any other text."""
    if not text.startswith(TAG):
        return None
    try:
        return _DECODER.decode(text[len(TAG) - 1 :])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def written(part: ReasoningPart, format_: str | None) -> str | None:
    """The `encrypted_content` that carries what is sealed or signed in `part`, None for nothing.

    format_: what the item says of its format; an artefact of it stands there as it is.
    """
    if part.sealed is None and part.signature is None:
        return None
    plain = part.form is ReasoningForm.SEALED and part.signature is None
    said = part.format == (format_ or OWN_FORMAT)
    if plain and said and part.sealed and not part.sealed.startswith(TAG):
        return part.sealed
    return Artefact(
        form=part.form if part.sealed is not None else None,
        sealed=part.sealed,
        signature=part.signature,
        format=part.format,
        id=part.id,
    ).write()


def read_reasoning(text: str, format_: str | None, item_id: str | None) -> ReasoningPart | Artefact:
    """The part that an `encrypted_content` is, or the tag of something that stands elsewhere.

    format_: what the item says of its format.
    """
    artefact = read_artefact(text)
    if artefact is None:
        format_ = format_ or OWN_FORMAT
        return ReasoningPart(form=ReasoningForm.SEALED, sealed=text, format=format_, id=item_id)
    if artefact.sealed is None:
        return artefact
    return ReasoningPart(
        form=artefact.form or ReasoningForm.SEALED,
        sealed=artefact.sealed,
        signature=artefact.signature,
        format=artefact.format,
        id=artefact.id,
    )


def is_own(format_: str | None) -> bool:
    """True for artefacts that upstreams of this dialect made (R18)."""
    return format_ == OWN_FORMAT
