"""Reasoning of another dialect, and signatures on parts that are no reasoning, told to clients.

The wire has two places for what a client must send back unread: the signature of a `thinking` block
and the data of a `redacted_thinking` block. What those of this wire's own format hold is written as
it is. Anything else is tagged, so that it can be told apart and restored on the way back:

    arno:<what>:<format>:<id>:<item id>:<item index>:<artefact>

what: the reasoning's form, or "signature" for a `redacted_thinking` block that holds the signature
of the block before it. Each field is percent-encoded, the artefact is not; empty means none.
A stream tells a signature at the end of its block; what kind of reasoning it will be stands in the
extension member `tag` of the block's start, without the artefact.
No upstream ever sees a tag: requests carry artefacts of this wire's own format only (R18).
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import msgspec

from arno.canon.parts import Item, PartBase, ReasoningForm, ReasoningPart
from arno.dialects.messages.residue import FORMAT

MARK = "arno:"
TAG = "tag"
SIGNATURE = "signature"
_FIELDS = 5
_WHATS = frozenset({*(form.value for form in ReasoningForm), SIGNATURE})


class Tag(msgspec.Struct, frozen=True):
    """What a tag says; artefact None: there is none."""

    what: str
    format: str | None
    id: str | None
    item: Item | None
    artefact: str | None

    def reasoning(self, **fields: str | None) -> ReasoningPart:
        """The reasoning part that was tagged, with its `text`, `sealed` and `signature`."""
        known = {key: value for key, value in fields.items() if value is not None}
        part = ReasoningPart(
            form=ReasoningForm(self.what), format=self.format, id=self.id, item=self.item
        )
        return msgspec.structs.replace(part, **known)


def tag_of(what: str, part: PartBase, format_: str | None, artefact: str | None) -> str:
    """The tagged artefact of a part; "" as the artefact if it has none."""
    item = part.item
    fields = (
        what,
        format_,
        part.id,
        item.id if item else None,
        None if item is None or item.index is None else str(item.index),
    )
    return MARK + ":".join([*(quote(field or "", safe="") for field in fields), artefact or ""])


def read_tag(text: str) -> Tag | None:
    """The tag that `text` is, None for an artefact of this wire's own."""
    if not text.startswith(MARK):
        return None
    pieces = text[len(MARK) :].split(":", _FIELDS)
    if len(pieces) != _FIELDS + 1 or pieces[0] not in _WHATS:
        return None
    what, format_, id_, item_id, index = (unquote(piece) or None for piece in pieces[:_FIELDS])
    if index is not None and not (index.isascii() and index.isdigit() and len(index) < 10):
        return None
    number = None if index is None else int(index)
    item = Item(id=item_id, index=number) if item_id or index else None
    return Tag(what or "", format_, id_, item, pieces[_FIELDS] or None)


def is_own(part: ReasoningPart) -> bool:
    """True if the part is one that this wire says without a tag."""
    form = part.form in (ReasoningForm.FULL, ReasoningForm.REDACTED)
    return form and part.format == FORMAT and part.id is None and part.item is None


def written(part: ReasoningPart, artefact: str | None, format_: str | None = None) -> str:
    """A signature or sealed artefact of reasoning as it stands on the wire, tagged if need be.

    format_: that of the artefact, where it is not the part's own.
    """
    format_ = format_ or part.format
    if is_own(msgspec.structs.replace(part, format=format_)):
        return artefact or ""
    return tag_of(part.form.value, part, format_, artefact)
