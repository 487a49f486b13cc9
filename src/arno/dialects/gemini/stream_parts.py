"""One part of a client's stream while it is told.

Text and thoughts go on piece by piece, the frame around a piece made once for each part. Whatever
the wire has in one piece only (a call with its arguments, media) is collected until it ends.
"""

from __future__ import annotations

import msgspec

from arno.canon.events import PartDelta, PartEnd, PartStart, Slot
from arno.canon.ext import Loss
from arno.canon.fold import Fold
from arno.canon.parts import (
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    is_client_call,
)
from arno.dialects import tags
from arno.dialects.gemini import signatures
from arno.dialects.gemini.chunks import candidate, chunk
from arno.dialects.gemini.citations import MOST_CITED
from arno.dialects.gemini.part_encode import Told, encode_part
from arno.dialects.gemini.residue import is_native
from arno.dialects.residue import Document
from arno.dialects.tags import Tag
from arno.wire import json

MARK = "\0"
"""The text of a chunk that is cut where its text stands."""


class Text:
    """A text, a refusal or a thought. is_told: a piece of it was; length: characters so far.

    said: what it says, kept only where citations may come, of a text that is not too long;
    apart: a thought must be told from the one before it, which nothing has closed.
    """

    __slots__ = (
        "_apart",
        "_beside",
        "_choice",
        "_end",
        "_frame",
        "_tag",
        "_tail",
        "is_told",
        "length",
        "part",
        "said",
    )

    def __init__(self, part: Part, choice: int, tail: Document, *, apart: bool) -> None:
        self.part = part
        self.said: list[str] = []
        self.length = 0
        self.is_told = False
        self._choice = choice
        self._tail = tail
        self._end = Tag()
        self._beside: Document = {}
        self._apart = apart
        self._tag: Tag | None = None
        if isinstance(part, ReasoningPart):
            self._beside["thought"] = True
            self._end = Tag(signature=part.signature, sealed=part.sealed)
        elif part.signature is not None or isinstance(part, RefusalPart):
            self._beside["thoughtSignature"] = signatures.for_client(part)
        self._frame = self._cut()

    def _cut(self) -> tuple[bytes, bytes]:
        """The frame of a piece, before its text and behind it."""
        head, _, tail = self._chunk({"text": MARK, **self._beside}).partition(json.dumps(MARK))
        return head, tail

    def _chunk(self, part: Document) -> bytes:
        return chunk({"candidates": [candidate(self._choice, part)], **self._tail})

    def initial(self) -> bytes:
        """What the start of the part already says."""
        part = self.part
        text = part.text if isinstance(part, TextPart | RefusalPart | ReasoningPart) else ""
        return self.piece(text) if text else b""

    def piece(self, text: str) -> bytes:
        """The chunk of one more piece."""
        self._keep(text)
        if not self.is_told:
            self.is_told = True
            self._tag = self._opening()
            if self._tag is not None:
                proof = tags.write64(self._tag)
                return self._chunk({"text": text, **self._beside, "thoughtSignature": proof})
        head, tail = self._frame
        return b"%b%b%b" % (head, msgspec.json.encode(text), tail)

    def _keep(self, text: str) -> None:
        self.length += len(text)
        if self.length > MOST_CITED:
            self.said.clear()
        elif text and isinstance(self.part, TextPart):
            self.said.append(text)

    def _opening(self) -> Tag | None:
        """What a thought's first piece says of it beside its text."""
        part = self.part
        if not isinstance(part, ReasoningPart):
            return None
        own = self._is_own(part.format)
        tag = Tag() if own else Tag(form=part.form, id=part.id, format=part.format)
        return tag if self._apart or tag != Tag() else None

    def _is_own(self, format_: str | None) -> bool:
        """True if it is told in the wire's own words, its signature behind it."""
        part = self.part
        if not isinstance(part, ReasoningPart):
            return False
        plain = Tag(form=part.form, id=part.id, sealed=self._end.sealed) == Tag()
        signature = self._end.signature
        signed = format_ == signatures.FORMAT and signature is not None
        signed = signed and not tags.is_like(signature or "")
        return plain and (signed or format_ is None)

    def artefact(self, slot: Slot, value: str) -> bytes:
        """A signature or sealed reasoning; the last one counts and is told at the end."""
        changed = {"signature": value} if slot is Slot.SIGNATURE else {"sealed": value}
        self._end = msgspec.structs.replace(self._end, **changed)
        return b""

    def close(self, format_: str | None) -> bytes:
        """What is still to be said at the end of the part."""
        if isinstance(self.part, ReasoningPart):
            return self._close_thought(self.part, format_)
        signature = self._end.signature
        whole = self.part
        if signature is not None:
            readable = format_ or whole.format
            whole = msgspec.structs.replace(whole, signature=signature, format=readable)
        elif self.is_told:
            return b""
        proof = signatures.for_client(whole)
        return b"" if proof is None else self._chunk({"text": "", "thoughtSignature": proof})

    def _close_thought(self, part: ReasoningPart, format_: str | None) -> bytes:
        """The artefact: of a thought that was told, or all there is to tell of it."""
        readable = format_ or part.format
        end = msgspec.structs.replace(self._end, format=readable)
        silent = end.signature is None and end.sealed is None
        if silent:
            return b"" if self._tag is None else self._thought(Tag(ends=True))
        if self.is_told and not self._is_own(readable):
            return self._thought(msgspec.structs.replace(end, ends=True))
        whole = msgspec.structs.replace(
            part, text="", format=readable, signature=end.signature, sealed=end.sealed
        )
        if self._apart and not self.is_told:
            return self._thought(signatures.tag_of(whole))
        proof = signatures.for_client(whole)
        return b"" if proof is None else self._thought(proof)

    def _thought(self, proof: Tag | str) -> bytes:
        """A chunk that says nothing but a thought's artefact."""
        text = proof if isinstance(proof, str) else tags.write64(proof)
        return self._chunk({"text": "", "thought": True, "thoughtSignature": text})

    @property
    def is_open(self) -> bool:
        """True for a thought that was told and that nothing closes for a reader."""
        return self.is_told and self._tag is None and self._end == Tag(format=self._end.format)


class Whole:
    """A part that is told at its end. size: what of it waits, as far as it was counted.

    is_bare: a call whose arguments have not come; those of a call that was cut short never do, so
    it waits for the end of its choice.
    """

    __slots__ = ("_fold", "_path", "choice", "ended", "is_bare", "size")

    def __init__(self, event: PartStart, path: str) -> None:
        part = event.part
        self.choice = event.choice
        self.ended = False
        self.is_bare = is_client_call(part) and not is_native(part.ext) and _is_blank(part)
        self.size = 0
        self._path = path
        self._fold = Fold()
        self._fold.feed(event)

    def feed(self, event: PartDelta | PartEnd) -> None:
        """More of it, or its end."""
        if isinstance(event, PartEnd):
            self.ended = True
        elif event.slot is Slot.ARGUMENTS and event.value.strip():
            self.is_bare = False
        self._fold.feed(event)

    def encode(self, losses: list[Loss], *, cut: bool) -> Document | None:
        """Its wire part, None if there is none for it. cut: its choice stopped before its end."""
        (part,) = self._fold.partial.choices[0].parts
        told = Told(self._path, to_client=True, cut=cut)
        document = encode_part(part, told)
        losses += told.losses
        return document


def _is_blank(part: Part) -> bool:
    return isinstance(part, ToolCallPart) and not part.arguments.strip()


def is_text(part: Part) -> bool:
    """True for parts that go on piece by piece."""
    return isinstance(part, TextPart | RefusalPart | ReasoningPart)


def is_hidden(part: Part) -> bool:
    """True for a tool that another wire's provider ran: a client would take it for its own."""
    if is_client_call(part):
        return False
    return isinstance(part, ToolCallPart | ToolResultPart) and not is_native(part.ext)
