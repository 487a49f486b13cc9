"""Blocks of a client's stream: how each kind of part begins, goes on and ends."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from arno.canon.events import PartDelta, Slot
from arno.canon.ext import Json, Loss
from arno.canon.parts import (
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects.messages.artefacts import TAG, written_sealed, written_signature
from arno.dialects.messages.citations import encode_citations
from arno.dialects.messages.content import encode_part, signature_block
from arno.dialects.messages.frames import frame
from arno.dialects.residue import Document

PIECES: dict[type, tuple[Slot, str, str]] = {
    TextPart: (Slot.TEXT, "text_delta", "text"),
    RefusalPart: (Slot.TEXT, "text_delta", "text"),
    ReasoningPart: (Slot.TEXT, "thinking_delta", "thinking"),
    ToolCallPart: (Slot.ARGUMENTS, "input_json_delta", "partial_json"),
}
"""Part to the slot that streams, the type of its deltas and their member."""

_SILENT = frozenset({ReasoningForm.SEALED, ReasoningForm.REDACTED})
_LOST: dict[Slot, str] = {
    Slot.LOGPROBS: "a messages answer tells no probabilities",
    Slot.MEDIA: "a messages answer holds no media",
    Slot.TRANSCRIPT: "a messages answer holds no media",
}


_MIXED = "a messages block of reasoning is either readable or sealed"


class Block:
    """One part on the wire, in one block or, if others came between, in several.

    number: the block's index on the wire; start: its document; initial: what its start held and
    the wire says as pieces; spoke: something of it was said.
    """

    __slots__ = (
        "_citations",
        "_prefix",
        "_sealed",
        "_signature",
        "_slot",
        "index",
        "initial",
        "number",
        "part",
        "spoke",
        "start",
    )

    def __init__(self, index: int, part: Part, start: Document, initial: str) -> None:
        self.index = index
        self.part = part
        self.start = start
        self.initial = initial
        self.number = -1
        self.spoke = False
        self._prefix = b""
        piece = PIECES.get(type(part))
        self._slot = piece[0] if piece else None
        self._signature = part.signature
        self._citations: Sequence[Json] = part.annotations if isinstance(part, TextPart) else ()
        self._sealed = part.sealed if isinstance(part, ReasoningPart) else None

    @property
    def keeps_the_wire(self) -> bool:
        """True for a call: its arguments cannot be told in two blocks."""
        return isinstance(self.part, ToolCallPart)

    @property
    def speaks_at_once(self) -> bool:
        """False for text and reasoning without content so far, which may never have any."""
        if isinstance(self.part, TextPart | RefusalPart | ReasoningPart):
            return bool(self.initial or self._sealed or self._signature or self._citations)
        return True

    @property
    def is_silent(self) -> bool:
        """True for sealed reasoning, whose block holds its artefact from the start."""
        return isinstance(self.part, ReasoningPart) and self.part.form in _SILENT

    def open(self, number: int) -> bytes:
        """The start of the block, with the pieces that its part began with."""
        self.number = number
        self.spoke = True
        if self.is_silent:
            return b""
        self._prefix = self._prefix_of(number)
        said = frame("content_block_start", index=number, content_block=self.start)
        citations, self._citations = self._citations, ()
        initial, self.initial = self.initial, ""
        said += b"".join(map(self._citation, citations))
        return said + self._piece(initial) if initial else said

    def _prefix_of(self, number: int) -> bytes:
        """What the frames of all pieces begin with: everything up to the piece itself."""
        found = PIECES.get(type(self.part))
        if found is None:
            return b""
        _, type_, member = found
        empty = frame("content_block_delta", index=number, delta={"type": type_, member: ""})
        return empty[: -len(_SUFFIX) - 2]

    def _piece(self, piece: str) -> bytes:
        return b"%b%b%b" % (self._prefix, msgspec.json.encode(piece), _SUFFIX)

    def quick(self, delta: PartDelta) -> bytes | None:
        """The frame of one more piece; None if it is anything else."""
        if delta.slot is not self._slot or not self._prefix:
            return None
        return self._piece(delta.value)

    def delta(self, delta: PartDelta) -> bytes:
        """What a delta of the open block says now."""
        if delta.slot is Slot.SIGNATURE:
            self._signature = delta.value
        elif delta.slot is Slot.SEALED:
            self._sealed = delta.value
        elif delta.slot is Slot.ANNOTATION:
            return self._citation(delta.value)
        elif delta.slot is self._slot:
            return self._piece(delta.value)
        return b""

    def lose(self, slot: Slot) -> list[Loss]:
        """What of such a delta the wire cannot say."""
        why = _LOST.get(slot)
        if isinstance(self.part, ReasoningPart) and slot is not Slot.SIGNATURE:
            why = _MIXED if self.is_silent is not (slot is Slot.SEALED) else None
        return [] if why is None else [Loss(f"/choices/0/parts/{self.index}", "dropped", why)]

    def _citation(self, annotation: Json) -> bytes:
        citations, _ = encode_citations([annotation], "", to_client=True)
        return b"".join(
            frame(
                "content_block_delta",
                index=self.number,
                delta={"type": "citations_delta", "citation": citation},
            )
            for citation in citations
        )

    def close(self, format_: str | None) -> bytes:
        """The end of the block; format_: who reads its signature, if that was told at the end."""
        stop = frame("content_block_stop", index=self.number)
        part = self.part
        if not isinstance(part, ReasoningPart):
            return stop
        if self.is_silent:
            return self._silent(part) + stop
        signature = written_signature(part, self._signature, format_ or part.format)
        if not signature:
            return stop
        self._signature = None
        delta = {"type": "signature_delta", "signature": signature}
        return frame("content_block_delta", index=self.number, delta=delta) + stop

    def _silent(self, part: ReasoningPart) -> bytes:
        block = {**self.start, "data": written_sealed(part, self._sealed)}
        return frame("content_block_start", index=self.number, content_block=block)

    def signature_behind(self, format_: str | None) -> Document | None:
        """The block behind this one that holds the signature of a part that is no reasoning."""
        if isinstance(self.part, ReasoningPart) or self._signature is None:
            return None
        signature, self._signature = self._signature, None
        return signature_block(self.part, signature, format_ or self.part.format)


_SUFFIX = b"}}\n\n"


def start_block(index: int, part: Part) -> tuple[Block | None, list[Loss]]:
    """The block for a part, None if there is none; and what it cannot say."""
    path = f"/choices/0/parts/{index}"
    if isinstance(part, OpaquePart) and not isinstance(part.document, dict):
        return None, [Loss(path, "dropped", "it is no block of a stream")]
    bare = msgspec.structs.replace(part, signature=None)
    if isinstance(bare, TextPart):
        bare = msgspec.structs.replace(bare, text="", annotations=())
    blocks, losses = encode_part(_emptied(bare), path, to_client=True)
    if not blocks:
        return None, losses
    start = _unsigned(blocks[-1]) if isinstance(part, ReasoningPart) else blocks[-1]
    return Block(index, part, start, _initial(part)), losses


def _unsigned(start: Document) -> Document:
    """The start of a block: the wire tells a signature at its end, and so a tag stands beside."""
    tag = start.get("signature")
    if not tag:
        return start
    return {**start, "signature": "", TAG: tag}


def _initial(part: Part) -> str:
    if isinstance(part, ToolCallPart):
        return part.arguments
    if isinstance(part, TextPart | RefusalPart | ReasoningPart):
        return part.text
    return ""


def _emptied(part: Part) -> Part:
    """The part without what the wire says as pieces."""
    if isinstance(part, ToolCallPart):
        return msgspec.structs.replace(part, arguments="")
    if isinstance(part, TextPart | RefusalPart | ReasoningPart):
        return msgspec.structs.replace(part, text="")
    return part
