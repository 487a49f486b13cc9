"""Proofs and sealed artefacts of reasoning on this wire: `signature` and `redactedContent`.

The one family of models that signs here is Anthropic's, and its documentation says that signatures
hold on every platform, so they have that family's format and may come from its own wire. What
`redactedContent` holds, once its base64 is undone, is the text that family's own wire calls `data`.

An artefact of another wire is tagged, so that a client can send it back and it is told apart: the
text is `arno:` and a JSON object with the members of `Artefact`. Towards upstreams no tag is sent.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from arno.canon.parts import Part, ReasoningForm, ReasoningPart
from arno.dialects.converse.residue import keep

OWN_FORMAT = "anthropic-claude-v1"
TAG = "arno:{"


class Artefact(msgspec.Struct, frozen=True, omit_defaults=True):
    """sealed and form: an artefact that stands for itself; signature: the proof of a part;
    format: who can read it; before: the signature is that of the block before.
    """

    form: ReasoningForm | None = None
    sealed: str | None = None
    signature: str | None = None
    format: str | None = None
    before: bool = False

    def write(self) -> str:
        """The text that says it."""
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


def written_signature(signature: str, format_: str | None) -> str:
    """A signature as it stands on the wire."""
    if format_ == OWN_FORMAT and not signature.startswith(TAG):
        return signature
    return Artefact(signature=signature, format=format_).write()


def read_signature(text: str) -> tuple[str, str | None]:
    """A signature and its format."""
    artefact = read_artefact(text)
    if artefact is None or artefact.signature is None:
        return text, OWN_FORMAT
    return artefact.signature, artefact.format


def written_sealed(sealed: str, form: ReasoningForm, format_: str | None) -> str:
    """A sealed artefact as `redactedContent`."""
    plain = format_ == OWN_FORMAT and form is ReasoningForm.REDACTED and not sealed.startswith(TAG)
    text = sealed if plain else Artefact(form=form, sealed=sealed, format=format_).write()
    return to_base64(text)


def written_before(signature: str, format_: str | None) -> str:
    """The signature of a part that has no place for one, as `redactedContent` of the next block."""
    return to_base64(Artefact(signature=signature, format=format_, before=True).write())


def read_redacted(wire: str) -> ReasoningPart | Artefact | None:
    """The part that a `redactedContent` is, or the tag with a signature of the block before it.

    None if it is no base64 of a text: such a block is kept as it is.
    """
    try:
        text = base64.b64decode(wire, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    artefact = read_artefact(text)
    if artefact is None:
        if to_base64(text) != wire or not text:
            return None
        return ReasoningPart(
            form=ReasoningForm.REDACTED, sealed=text, format=OWN_FORMAT, ext=keep({})
        )
    if artefact.sealed is None:
        return artefact if artefact.signature is not None and artefact.before else None
    form = artefact.form or ReasoningForm.SEALED
    return ReasoningPart(form=form, sealed=artefact.sealed, format=artefact.format)


def signed(part: Part, artefact: Artefact) -> Part:
    """`part` with the signature that a tag behind it says."""
    return msgspec.structs.replace(part, signature=artefact.signature, format=artefact.format)


def to_base64(text: str) -> str:
    """Base64 of a text in UTF-8."""
    return base64.b64encode(text.encode(errors="surrogatepass")).decode()
