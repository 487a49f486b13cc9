"""Proofs and sealed artefacts of reasoning on this wire: `signature` and `redactedContent`.

The one family of models that signs here is Anthropic's, and its documentation says that signatures
hold on every platform, so they have that family's format and may come from its own wire. What
`redactedContent` holds, once its base64 is undone, is the text that family's own wire calls `data`.

Anything else stands there as a tag (`arno.dialects.tags`). Towards upstreams no tag is sent.
"""

from __future__ import annotations

import base64
import binascii

from arno.canon.parts import Part, ReasoningForm, ReasoningPart
from arno.dialects import tags
from arno.dialects.converse.residue import keep
from arno.dialects.tags import Tag

OWN_FORMAT = "anthropic-claude-v1"


def written_signature(signature: str, format_: str | None) -> str:
    """A signature as it stands on the wire."""
    if format_ == OWN_FORMAT and not tags.is_like(signature):
        return signature
    return tags.write(Tag(signature=signature, format=format_))


def read_signature(text: str) -> Tag:
    """What a signature says: tagged, or one of this wire's own."""
    tag = tags.read(text)
    return Tag(signature=text, format=OWN_FORMAT) if tag is None or tag.on is not None else tag


def written_sealed(sealed: str, form: ReasoningForm, format_: str | None) -> str:
    """A sealed artefact as `redactedContent`."""
    own = format_ == OWN_FORMAT and form is ReasoningForm.REDACTED
    if own and not tags.is_like(sealed):
        return to_base64(sealed)
    return tags.write64(Tag(form=form, sealed=sealed, format=format_))


def written_behind(part: Part, signature: str | None, format_: str | None) -> str:
    """The signature of a part that has no place for one, as `redactedContent` of the next block."""
    return tags.write64(tags.of_signature(part, signature, format_))


def read_redacted(wire: str) -> ReasoningPart | Tag | None:
    """The part that a `redactedContent` is, or the tag with a signature of the block before it.

    None if it is no base64 of a text: such a block is kept as it is.
    """
    try:
        text = base64.b64decode(wire, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    tag = tags.read(text)
    if tag is None:
        if to_base64(text) != wire or not text:
            return None
        return ReasoningPart(
            form=ReasoningForm.REDACTED, sealed=text, format=OWN_FORMAT, ext=keep({})
        )
    if tag.on is None:
        return tag.reasoning()
    return None if tag.signature is None else tag


def to_base64(text: str) -> str:
    """Base64 of a text in UTF-8."""
    return base64.b64encode(text.encode(errors="surrogatepass")).decode()
