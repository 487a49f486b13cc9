"""Tags: what an answer says of reasoning in a place that holds one opaque text.

Each wire has such a place, which clients store and send back unread: `signature` and `data`,
`encrypted_content`, `redactedContent`, `thoughtSignature`, details of `reasoning_details`. An
artefact that the wire's own models made stands there as it is. One of another wire's, and what else
the place's dialect cannot say of a part, stands there tagged, so that it is told apart and restored
on the way back:

    arno:{"form":"sealed","sealed":"...","format":"openai-responses-v1"}
    the same text in base64, where clients take what stands there for base64

Any dialect reads any tag, in either spelling: a client may go on at another endpoint than the one
that it was told the tag at. An artefact of a wire's own that begins as a tag does is tagged itself,
so what reads as a tag is one. No upstream is ever sent one (R18).
"""

from __future__ import annotations

import base64
from typing import Annotated, TypeVar

import msgspec

from arno.canon.parts import (
    Item,
    Part,
    PartBase,
    ReasoningForm,
    ReasoningPart,
    ToolCallPart,
)

MARK = "arno:{"
MARK64 = base64.b64encode(MARK.encode()).decode()
"""How the two spellings begin; six bytes are eight letters of base64 without a rest, and all eight
are in both of its alphabets."""

MAX_TAG = 16 * 1024 * 1024
"""Characters of the longest tag that is read; as long as an artefact that an answer may hold."""

_IN_BODY = (b'"' + MARK.encode(), b'"' + MARK64.encode())
_OTHER_ALPHABET = str.maketrans("-_", "+/")

P = TypeVar("P", bound=PartBase)


class Tag(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a tag says of a part; its text stands beside it, in the wire's own member.

    on: it only holds the signature of something else: of the tool call with this id, or, "", of
    the part before. ends: the artefact is that of the thought that is told before it, and closes
    it. refusal: the text beside it is one. All other fields as in `ReasoningPart` and `Item`.
    """

    form: ReasoningForm = ReasoningForm.FULL
    sealed: str | None = None
    signature: str | None = None
    format: str | None = None
    id: str | None = None
    item_id: str | None = None
    item_index: Annotated[int, msgspec.Meta(ge=0, lt=10**9)] | None = None
    on: str | None = None
    ends: bool = False
    refusal: bool = False

    def reasoning(self, text: str = "") -> ReasoningPart:
        """The reasoning part that was tagged."""
        has_item = self.item_id is not None or self.item_index is not None
        return ReasoningPart(
            text=text,
            form=self.form,
            sealed=self.sealed,
            signature=self.signature,
            format=self.format,
            id=self.id,
            item=Item(id=self.item_id, index=self.item_index) if has_item else None,
        )

    def sign(self, part: P) -> P:
        """`part` with the signature that the tag says."""
        return msgspec.structs.replace(part, signature=self.signature, format=self.format)


_DECODER = msgspec.json.Decoder(Tag)


def of_reasoning(part: ReasoningPart) -> Tag:
    """Everything of a reasoning part but its text."""
    item = part.item
    return Tag(
        form=part.form,
        sealed=part.sealed,
        signature=part.signature,
        format=part.format,
        id=part.id,
        item_id=None if item is None else item.id,
        item_index=None if item is None else item.index,
    )


def of_signature(part: Part, signature: str | None, format_: str | None) -> Tag:
    """The signature of a part that is no reasoning, told behind it."""
    on = part.call_id if isinstance(part, ToolCallPart) else ""
    return Tag(signature=signature, format=format_, on=on)


def write(tag: Tag) -> str:
    """The tag as text."""
    return "arno:" + msgspec.json.encode(tag).decode()


def write64(tag: Tag) -> str:
    """The tag in base64."""
    return base64.b64encode(b"arno:" + msgspec.json.encode(tag)).decode()


def is_like(text: str) -> bool:
    """True for what begins as a tag does: as an artefact of a wire's own it must be tagged."""
    return text.startswith((MARK, MARK64))


def read(text: str) -> Tag | None:
    """The tag that `text` is, in either spelling and either alphabet; None for anything else."""
    if not is_like(text) or len(text) > MAX_TAG:
        return None
    try:
        said = text.encode() if text.startswith(MARK) else _decoded(text)
        return _DECODER.decode(said[len(MARK) - 1 :])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _decoded(text: str) -> bytes:
    bare = text.rstrip("=").translate(_OTHER_ALPHABET)
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


def may_hold(body: bytes) -> bool:
    """True if a string of a JSON text begins as a tag does."""
    return any(body.find(mark) >= 0 for mark in _IN_BODY)
