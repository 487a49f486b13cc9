"""One message, in a request or in an answer: parts to the wire's object.

Towards clients everything is told that has a name on this wire; upstreams get reasoning with the
format that says who can read it, and none that nobody is known to read (R18). What a message has
no place for is a Loss, and so is the order between reasoning, content and calls where it was
another than the wire's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from arno.canon.ext import Ext, Json, Loss, is_empty
from arno.canon.parts import (
    Executor,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.chat import signatures
from arno.dialects.chat.citations import encode_citations
from arno.dialects.chat.content import Placed, encode_content, encode_media
from arno.dialects.chat.reasoning import DETAILS, encode_reasoning
from arno.dialects.chat.residue import DIALECT, give, is_native, note
from arno.dialects.chat.tools import KINDS
from arno.dialects.chat.turn import LEGACY_CALL
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document, merge

RANKS: dict[type, int] = {ReasoningPart: 0, ToolCallPart: 2}
"""The wire's order of what a message holds; content of any kind is between."""

PROVIDERS = "a tool that the provider ran has no place in a chat message"
DISORDER = "a chat message keeps no order between its reasoning, its text and its calls"


def rank_of(part: Part) -> int:
    """Place of a part's kind in the wire's order; reasoning inside the content is content."""
    if isinstance(part, ReasoningPart) and note(part.ext, "member") == "content":
        return 1
    if isinstance(part, OpaquePart) and note(part.ext, "member") == DETAILS:
        return 0
    return RANKS.get(type(part), 1)


def unfit(part: Part, where: str, *, in_answer: bool) -> Loss | None:
    """The Loss of a part that a message (an answer's, or a request's) has no place for."""
    why: str | None = None
    if isinstance(part, ToolCallPart | ToolResultPart) and part.executor is Executor.PROVIDER:
        why = PROVIDERS
    elif isinstance(part, ToolResultPart):
        why = "a chat answer holds no tool results"
    elif isinstance(part, OpaquePart) and part.dialect != DIALECT:
        why = f"a document of {part.dialect} goes back to it only"
    elif in_answer and isinstance(part, MediaPart) and not is_native(part.ext):
        why = _unfit_media(part)
    return None if why is None else Loss(where, "dropped", why)


def _unfit_media(part: MediaPart) -> str | None:
    if part.kind is MediaKind.IMAGE:
        return "an image of a chat answer is inline or has a URL" if part.file_id else None
    if part.kind is MediaKind.AUDIO:
        linked = part.url is not None or part.file_id is not None
        return "audio of a chat answer is inline" if linked else None
    return f"a chat answer has no place for a {part.kind}"


def known_call(part: ToolCallPart, where: str) -> tuple[ToolCallPart, list[Loss]]:
    """A call as the wire can say it: a function's or a custom tool's, without a name space."""
    losses: list[Loss] = []
    if is_native(part.ext):
        return part, losses
    if part.kind not in KINDS:
        why = f"a call of kind {part.kind} is told as one of a function"
        losses.append(Loss(f"{where}/kind", "approximated", why))
        part = msgspec.structs.replace(part, kind="function")
    for name in ("namespace", "cache"):
        if getattr(part, name) is not None:
            losses.append(Loss(f"{where}/{name}", "dropped", f"a chat tool call has no {name}"))
    return part, losses


def encode_tool_call(part: ToolCallPart) -> Document:
    """One entry of `tool_calls`."""
    document: Document = give(part.ext) if is_native(part.ext) else {"type": part.kind}
    document["id"] = part.call_id
    key = "input" if part.kind == "custom" else "arguments"
    members: Document = {"name": part.name}
    kept = document.get(part.kind)
    if part.arguments or not isinstance(kept, dict) or key not in kept:
        members[key] = part.arguments
    merge(document, part.kind, members)
    return document


def encode_turn(
    parts: Iterable[tuple[int, Part]],
    ext: Ext,
    path: str,
    *,
    to_client: bool,
    of_model: bool = True,
) -> tuple[Document, list[Loss]]:
    """A message without its role, from its parts and their numbers.

    path: of the message in the canonical value; of_model: it is the model's own turn, which may
    hold media that the model made.
    """
    turn = _Turn(ext, path, to_client=to_client, of_model=of_model)
    for number, part in parts:
        turn.add(part, f"{path}/parts/{number}")
    return turn.write(), turn.losses


class _Turn:
    """A message while its parts are put in their places."""

    def __init__(self, ext: Ext, path: str, *, to_client: bool, of_model: bool) -> None:
        self.document: Document = give(ext)
        self.losses: list[Loss] = []
        self._native = is_native(ext)
        self._path = path
        self._to_client = to_client
        self._of_model = of_model
        self._content: list[Placed] = []
        self._reasoning: list[Part] = []
        self._signed: list[tuple[Part, str]] = []
        self._chars = 0
        self._rank = 0

    def add(self, part: Part, where: str) -> None:
        """Put one part under the name it belongs to."""
        lost = unfit(part, where, in_answer=self._to_client)
        if lost is not None:
            self.losses.append(lost)
            return
        self.losses.extend(foreign(part.ext, DIALECT, where))
        self._order(part)
        _PLACERS[type(part)](self, part, where)

    def _order(self, part: Part) -> None:
        rank = rank_of(part)
        if rank < self._rank:
            loss = Loss(self._path, "approximated", DISORDER)
            self.losses += [] if loss in self.losses else [loss]
        self._rank = max(rank, self._rank)

    def reasoning(self, part: ReasoningPart, where: str) -> None:
        """Reasoning has members of its own, or is a block of the content."""
        if note(part.ext, "member") == "content":
            self._content.append((where, part))
            return
        if not self._to_client and not is_native(part.ext) and part.format is None:
            if part.signature or part.sealed:
                why = "nobody is known to read this reasoning artefact"
                self.losses.append(Loss(where, "dropped", why))
            if not part.text:
                return
            part = msgspec.structs.replace(part, signature=None, sealed=None)
        self._reasoning.append(part)

    def text(self, part: TextPart, where: str) -> None:
        """Text stands in the content."""
        self._chars += len(part.text)
        self._sign(part, f"{signatures.CONTENT}:{self._chars}", where)
        self._content.append((where, part))

    def refusal(self, part: RefusalPart, where: str) -> None:
        """Refusals are one string."""
        self.document["refusal"] = (self.document.get("refusal") or "") + part.text
        self._sign(part, f"{signatures.REFUSAL}:0", where)

    def call(self, part: ToolCallPart, where: str) -> None:
        """Calls are a list, or one member in the older words."""
        if note(part.ext, "member") == LEGACY_CALL:
            arguments = {"arguments": part.arguments} if part.arguments else {}
            self.document[LEGACY_CALL] = {**give(part.ext), "name": part.name, **arguments}
            return
        part, losses = known_call(part, where)
        self.losses.extend(losses)
        self._list("tool_calls", encode_tool_call(part))
        self._sign(part, part.call_id, where)

    def opaque(self, part: OpaquePart, where: str) -> None:
        """What was not understood goes where it stood."""
        member = note(part.ext, "member")
        if member == DETAILS:
            self._reasoning.append(part)
        elif member == "audio":
            self.document["audio"] = part.document
        elif member in ("tool_calls", "images"):
            self._list(member, part.document)
        else:
            self._content.append((where, part))

    def media(self, part: MediaPart, where: str) -> None:
        """Media that the model made have members of their own, all others stand in the content."""
        member = note(part.ext, "member")
        if self._of_model and not is_native(part.ext):
            member = MADE.get(part.kind)
        if member == "audio":
            self._audio(part, where)
        elif member == "images":
            block, lost = encode_media(part, where)
            self.losses.extend(lost)
            self._list("images", block)
            place = len(self.document["images"]) - 1
            self._sign(part, f"{signatures.IMAGES}:{place}", where)
        else:
            self._content.append((where, part))

    def _audio(self, part: MediaPart, where: str) -> None:
        if not is_empty(self.document.get("audio")):
            why = "a chat message of the model holds one audio part"
            self.losses.append(Loss(where, "dropped", why))
            return
        self.document["audio"] = {**give(part.ext), **audio_members(part)}
        self._sign(part, f"{signatures.AUDIO}:0", where)
        if part.media_type is not None:
            why = "audio of a chat message of the model has no media type"
            self.losses.append(Loss(f"{where}/media_type", "dropped", why))

    def _list(self, member: str, document: Json) -> None:
        self.document[member] = [*(self.document.get(member) or ()), document]

    def _sign(self, part: Part, detail_id: str, where: str) -> None:
        if not part.signature:
            return
        read = part.format is not None or note(part.ext, signatures.DETAIL) is not None
        if self._to_client or read:
            self._signed.append((part, detail_id))
        else:
            why = "nobody is known to read this signature"
            self.losses.append(Loss(f"{where}/signature", "dropped", why))

    def write(self) -> Document:
        """The message."""
        self.document.update(encode_reasoning(self._reasoning, readable=self._to_client))
        if self._signed:
            details = self.document.get(DETAILS) or ()
            told = [
                signatures.detail_of(part, detail_id, len(details) + number)
                for number, (part, detail_id) in enumerate(self._signed)
            ]
            self.document[DETAILS] = signatures.insert(details, told)
        self._write_content()
        if self._native:
            return self.document
        known = {name: self.document[name] for name in MEMBERS if name in self.document}
        return {**known, **self.document}

    def _write_content(self) -> None:
        """Content; a single text's citations stand at message level."""
        joined = _rejoined(self._content)
        texts = [(where, part) for where, part in joined if isinstance(part, TextPart)]
        plain = len(texts) == len(joined) and not any(give(part.ext) for _, part in texts)
        if texts and plain and (self._to_client or len(texts) == 1):
            joined = self._lift(texts)
        value, losses = encode_content(joined)
        self.losses.extend(losses)
        if value is not None or not (self._native or "content" in self.document):
            self.document["content"] = value

    def _lift(self, texts: list[tuple[str, TextPart]]) -> list[Placed]:
        """Several texts as one, their citations written at message level."""
        words: list[str] = []
        citations: list[Json] = []
        for where, part in texts:
            behind = sum(map(len, words))
            found, lost = encode_citations(part.annotations, where, behind=behind)
            words.append(part.text)
            citations.extend(found)
            self.losses.extend(lost)
        if citations:
            self.document["annotations"] = citations
        where, first = texts[0]
        return [(where, msgspec.structs.replace(first, text="".join(words), annotations=()))]


def _rejoined(content: list[Placed]) -> list[Placed]:
    """Texts that one string was cut into, whole again."""
    result: list[Placed] = []
    for where, part in content:
        if not isinstance(part, TextPart) or not note(part.ext, signatures.JOINS):
            result.append((where, part))
            continue
        at, before = result[-1] if result else (where, None)
        if isinstance(before, TextPart):
            text = before.text + part.text
            result[-1] = (at, msgspec.structs.replace(before, text=text))
        elif part.text:
            result.append((where, part))
    return result


MEMBERS = ("content", "refusal", "reasoning", DETAILS, "annotations", "images", "audio")
"""The order of members that we write first; calls stand last."""

MADE: dict[MediaKind, str] = {MediaKind.IMAGE: "images", MediaKind.AUDIO: "audio"}
"""Members for media that the model made."""


def audio_members(part: MediaPart) -> Document:
    """What the audio of the model's turn says."""
    members = {"id": part.id, "data": part.data, "transcript": part.transcript}
    return {key: value for key, value in members.items() if value is not None}


_PLACERS: dict[type, Callable[..., None]] = {
    ReasoningPart: _Turn.reasoning,
    TextPart: _Turn.text,
    RefusalPart: _Turn.refusal,
    ToolCallPart: _Turn.call,
    OpaquePart: _Turn.opaque,
    MediaPart: _Turn.media,
}
