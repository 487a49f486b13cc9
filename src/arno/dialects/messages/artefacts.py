"""Artefacts of reasoning on this wire: the signature of a `thinking` block, the data of a
`redacted_thinking` block.

What those of this wire's own format hold is written as it is; anything else is tagged
(`arno.dialects.tags`). A `redacted_thinking` block may also hold nothing but the tagged signature
of the block before it, where that is no reasoning. A stream tells a signature at the end of its
block; what kind of reasoning it will be stands in the extension member `tag` of the block's start,
a tag without the artefact.
No upstream ever sees a tag: requests carry artefacts of this wire's own format only (R18).
"""

from __future__ import annotations

import msgspec

from arno.canon.parts import ReasoningForm, ReasoningPart
from arno.dialects import tags
from arno.dialects.messages.residue import FORMAT

TAG = "tag"


def written_signature(part: ReasoningPart, signature: str | None, format_: str | None) -> str:
    """A signature of reasoning as it stands on the wire, tagged if need be, "" for none.

    format_: that of the signature.
    """
    told = msgspec.structs.replace(part, signature=signature, sealed=None, format=format_)
    return signature or "" if _is_own(told, signature) else tags.write(tags.of_reasoning(told))


def written_sealed(part: ReasoningPart, sealed: str | None) -> str:
    """A sealed artefact as it stands on the wire, tagged if need be, "" for none."""
    told = msgspec.structs.replace(part, signature=None, sealed=sealed)
    return sealed or "" if _is_own(told, sealed) else tags.write(tags.of_reasoning(told))


def _is_own(part: ReasoningPart, artefact: str | None) -> bool:
    """True if this wire says without a tag what the part is and who can read its artefact."""
    form = part.form in (ReasoningForm.FULL, ReasoningForm.REDACTED)
    own = form and part.format == FORMAT and part.id is None and part.item is None
    return own and not tags.is_like(artefact or "")
