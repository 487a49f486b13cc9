"""Parts to items: which parts stand in one item, and the item that says them.

Parts of this dialect stand in the items that they came in. Of other dialects, texts that follow
each other make one message, and summaries or texts of reasoning with the artefact behind them one
reasoning item; everything else is an item of its own. Whole answers, streams and requests group
alike, so a stream's items are those of the whole answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from arno.canon.ext import Json, Loss
from arno.canon.ids import IdRule, is_reversible, to_wire
from arno.canon.parts import (
    Executor,
    Item,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects import tags
from arno.dialects.arguments import to_object
from arno.dialects.residue import Document, text
from arno.dialects.responses.artefacts import written
from arno.dialects.responses.content import INPUT, OUTPUT, encode_entry
from arno.dialects.responses.items import TEXTS
from arno.dialects.responses.kinds import (
    ASKED,
    CALLS,
    CUSTOM_CALL,
    FUNCTION_CALL,
    IMAGE_CALL,
    MESSAGE,
    PREFIXES,
    REASONING,
    RESULT_OF,
    RESULTS,
)
from arno.dialects.responses.residue import DIALECT, give, is_native, item_note, note, residue_of
from arno.dialects.tags import Tag
from arno.wire import json

CALL_IDS = IdRule(most=64)
"""Source: "string too long, expected a string with maximum length 64" of OpenAI's API."""

OPAQUE = "opaque"


class Draft:
    """An item while its parts are collected.

    kind: the wire's, OPAQUE for a document that is an item as it stands; place: the item that
    parts of this dialect came in; open: how many parts may still grow (streams).
    """

    __slots__ = ("kind", "native", "open", "parts", "place")

    def __init__(self, kind: str, part: Part, place: Item | None) -> None:
        self.kind = kind
        self.native = is_native(part.ext) and place is not None
        self.place = place
        self.parts: list[Part] = [part]
        self.open = 0

    def takes(self, part: Part, place: Item | None) -> bool:
        """True if `part`, which comes next, stands in this item too."""
        if self.native or is_native(part.ext):
            return self.native and is_native(part.ext) and _same(self.place, place)
        if self.open or kind_for(part, place) != self.kind:
            return False
        joins = _JOINS.get(self.kind)
        return joins is not None and joins(self.parts, part)


def _same(one: Item | None, other: Item | None) -> bool:
    if one is None or other is None or one.index is None:
        return False
    return one.index == other.index and one.kind == other.kind


def _joins_message(parts: Sequence[Part], part: Part) -> bool:
    return parts[-1].signature is None


def _joins_reasoning(parts: Sequence[Part], part: Part) -> bool:
    last = parts[-1]
    if not (isinstance(part, ReasoningPart) and isinstance(last, ReasoningPart)):
        return False
    if last.signature is not None or not is_text(last):
        return False
    if part.id and any(each.id not in (None, part.id) for each in parts):
        return False
    if not is_text(part):
        return part.form is ReasoningForm.SEALED
    return last.form is ReasoningForm.SUMMARY or part.form is last.form


_JOINS: dict[str, Callable[[Sequence[Part], Any], bool]] = {
    MESSAGE: _joins_message,
    REASONING: _joins_reasoning,
}
"""Kinds of items that hold several parts of another dialect, and which part may come next."""


def is_text(part: ReasoningPart) -> bool:
    """True for reasoning in words, as against an artefact."""
    return part.form in (ReasoningForm.FULL, ReasoningForm.SUMMARY) and part.sealed is None


def kind_for(part: Part, place: Item | None) -> str | None:
    """The kind of the item that `part` stands in, None if this wire has none for it."""
    if is_native(part.ext) and place is not None and not isinstance(part, OpaquePart):
        return place.kind
    if isinstance(part, TextPart | RefusalPart):
        return MESSAGE
    if isinstance(part, ReasoningPart):
        return REASONING
    if isinstance(part, ToolCallPart):
        return _kind_for_call(part)
    if isinstance(part, ToolResultPart) and part.executor is Executor.CLIENT:
        return RESULT_OF["function"]
    if isinstance(part, MediaPart) and part.kind is MediaKind.IMAGE and part.url is None:
        return IMAGE_CALL if part.file_id is None else None
    if isinstance(part, OpaquePart) and isinstance(part.document, dict):
        return _kind_for_document(part, place) if part.dialect == DIALECT else None
    return None


def _kind_for_call(part: ToolCallPart) -> str | None:
    """A call for the client is always told as one it can run, whatever kind of tool it is of."""
    if part.executor is Executor.PROVIDER:
        return None
    return CUSTOM_CALL if part.kind == "custom" else FUNCTION_CALL


def _kind_for_document(part: OpaquePart, place: Item | None) -> str:
    """An entry of a message's content that is not known, or an item that is not."""
    in_message = place is not None and place.kind == MESSAGE and residue_of(place.ext)
    return MESSAGE if in_message else OPAQUE


def lost(part: Part, path: str) -> Loss:
    """The Loss of a part that no item can say."""
    if isinstance(part, OpaquePart):
        return Loss(path, "dropped", f"a document of {part.dialect} goes back to it only")
    if isinstance(part, ToolCallPart | ToolResultPart) and part.executor is Executor.PROVIDER:
        return Loss(path, "dropped", "a tool that the upstream ran is no item of this wire")
    return Loss(path, "dropped", f"a responses answer cannot hold this {type(part).__name__}")


def group(parts: Sequence[Part]) -> list[tuple[int, Draft | None]]:
    """Items for `parts`, each with the place of its first part; None for a part without an item."""
    drafts: list[tuple[int, Draft | None]] = []
    current: Draft | None = None
    for number, part in enumerate(parts):
        if current is not None and current.takes(part, part.item):
            current.parts.append(part)
            continue
        kind = kind_for(part, part.item)
        current = None if kind is None else Draft(kind, part, part.item)
        drafts.append((number, current))
    return drafts


def made_id(kind: str, response_id: str | None, index: int) -> str:
    """An id for an item that has none: the same for the same answer and place, on every way."""
    digest = hashlib.sha256(f"{response_id}:{index}".encode()).hexdigest()[:40]
    return f"{PREFIXES.get(kind, 'item')}_{digest}"


def item_id(draft: Draft, response_id: str | None, index: int) -> str | None:
    """The id that an item of an answer is told with; items of this dialect keep theirs, or none."""
    if draft.native and draft.place is not None:
        return draft.place.id
    wanted = draft.parts[0].id  # a stream must tell it when it knows no other part
    if draft.kind == REASONING and wanted and wanted.startswith("rs_") and len(wanted) <= 64:
        return wanted
    return made_id(draft.kind, response_id, index)


def is_cut(draft: Draft, *, is_last: bool) -> bool:
    """True for a call that an answer which ended before its time has not said to its end.

    Arguments of a function are whole if they are an object; nothing shows of other input whether it
    is, but only what was said last (`is_last`) can have been cut off.
    """
    part = draft.parts[-1]
    if draft.native or not isinstance(part, ToolCallPart):
        return False
    if draft.kind == FUNCTION_CALL:
        return not part.arguments or not to_object(part.arguments)[1]
    return draft.kind == CUSTOM_CALL and is_last


class Saying(msgspec.Struct, frozen=True):
    """How items are written. path: where the parts stand, for losses; id: of the item; to_client:
    an answer's items, which say everything, as against a request's; status: of a made item."""

    path: str
    id: str | None = None
    to_client: bool = True
    status: str | None = "completed"


def write_item(draft: Draft, saying: Saying) -> tuple[Document, list[Loss]]:
    """The item that says the parts of `draft`."""
    first = draft.parts[0]
    if draft.kind == OPAQUE and isinstance(first, OpaquePart):
        return first.document, []
    place = draft.place
    if draft.native and place is not None:
        document = give(place.ext)
        members = {"id": place.id, "status": place.status}
    else:
        document = {"type": draft.kind}
        members = {"id": saying.id, "status": saying.status}
    known = {key: value for key, value in members.items() if value is not None}
    losses = _WRITERS.get(draft.kind, _write_call)(draft, document, saying)
    return {**known, **document}, losses


def _write_message(draft: Draft, document: Document, saying: Saying) -> list[Loss]:
    if not draft.native:
        document["role"] = "assistant"
    first = draft.parts[0]
    if item_note(first, "content") == "text" and isinstance(first, TextPart):
        document["content"] = first.text
        return []
    entries: list[Json] = []
    losses: list[Loss] = []
    for number, part in enumerate(draft.parts):
        entry, dropped = encode_entry(part, OUTPUT, f"{saying.path}/{number}")
        losses += dropped
        if entry is None:
            continue
        if saying.to_client and isinstance(part, TextPart) and not is_native(part.ext):
            entry = {**entry, "annotations": entry.get("annotations", []), "logprobs": []}
        entries.append(entry)
    document["content"] = entries
    _write_signature(draft, document)
    return losses


def _write_signature(draft: Draft, document: Document) -> None:
    """The proof of something that is no reasoning, where streams tell it; `tag_behind` says the
    same where clients that drop members they do not know send it back."""
    last = draft.parts[-1]
    if last.signature is not None and "member" in signed_in(last):
        document["signature"] = tags.write(Tag(signature=last.signature, format=last.format))


def signed_in(part: Part) -> tuple[str, ...]:
    """Where a signature on something that is no reasoning stands: member, tag, or both."""
    if not is_native(part.ext):
        return ("member", "tag")
    return tuple(note(part.ext, "signed") or ())


def tag_behind(draft: Draft) -> str | None:
    """The `encrypted_content` of the reasoning item behind this one that holds its signature."""
    last = draft.parts[-1]
    if isinstance(last, ReasoningPart) or last.signature is None or "tag" not in signed_in(last):
        return None
    return tags.write(tags.of_signature(last, last.signature, last.format))


def write_tag(sealed: str, id_: str | None) -> Document:
    """That item."""
    known = {} if id_ is None else {"id": id_}
    return {**known, "type": REASONING, "summary": [], "encrypted_content": sealed}


def has_entry(part: ReasoningPart, number: int) -> bool:
    """True if a part has an entry of its own; a proof that stands alone in its item has none.

    number: its place among the parts of the item.
    """
    return is_text(part) and (bool(part.text) or part.signature is None or number > 0)


def _write_reasoning(draft: Draft, document: Document, saying: Saying) -> list[Loss]:
    texts: dict[str, list[Json]] = {"summary": [], "content": []}
    sealed: str | None = None
    if not draft.native:
        document["summary"] = []
    for number, part in enumerate(draft.parts):
        if not isinstance(part, ReasoningPart):
            continue
        if part.sealed is not None or _unsaid(part, document) is not None:
            sealed = written(part, text(document.get("format")))
        if has_entry(part, number):
            member = "summary" if part.form is ReasoningForm.SUMMARY else "content"
            texts[member].append(_write_text(part, TEXTS[member][0]))
    document.update({member: entries for member, entries in texts.items() if entries})
    if sealed is not None:
        document["encrypted_content"] = sealed
    return []


def _unsaid(part: ReasoningPart, document: Document) -> str | None:
    """A signature that no member of the item says already."""
    return None if document.get("signature") == part.signature else part.signature


def _write_text(part: ReasoningPart, type_: str) -> Document:
    kept = give(part.ext) if is_native(part.ext) else {"type": type_}
    return {**kept, "text": part.text}


def _write_image(draft: Draft, document: Document, saying: Saying) -> list[Loss]:
    part = draft.parts[0]
    if not isinstance(part, MediaPart):
        return []
    document["result"] = part.data
    if not draft.native and part.media_type is not None:
        document["output_format"] = part.media_type.removeprefix("image/")
    _write_signature(draft, document)
    return []


def _write_call(draft: Draft, document: Document, saying: Saying) -> list[Loss]:
    """A call, and what came of it where the item holds that too; or a result on its own."""
    losses: list[Loss] = []
    for part in draft.parts:
        if isinstance(part, ToolCallPart):
            losses += _write_asked(part, draft, document, saying)
            _write_signature(Draft(draft.kind, part, draft.place), document)
        elif isinstance(part, ToolResultPart):
            losses += _write_result(part, draft, document, saying)
    return losses


def _write_asked(
    part: ToolCallPart, draft: Draft, document: Document, saying: Saying
) -> list[Loss]:
    call = CALLS[draft.kind]
    losses: list[Loss] = []
    if not item_note(part, "made"):
        document["call_id"] = part.call_id if saying.to_client else to_wire(part.call_id, CALL_IDS)
        if not saying.to_client and not is_reversible(part.call_id, CALL_IDS):
            why = "an id that is too long for the wire is replaced by its digest"
            losses.append(Loss(f"{saying.path}/call_id", "renamed", why))
    if not call.name:
        document["name"] = part.name
    if part.namespace is not None and draft.kind in ASKED:
        document["namespace"] = part.namespace
    if call.is_text:
        if part.arguments or call.arguments not in document:
            document[call.arguments] = part.arguments
        return losses
    return losses + _write_object(part, call.arguments, document, saying)


def _write_object(
    part: ToolCallPart, member: str, document: Document, saying: Saying
) -> list[Loss]:
    """Arguments of a tool of this wire, which are a document."""
    if not part.arguments:
        return []
    raw, exact = to_object(part.arguments)
    value: Json = json.loads(bytes(raw))
    wrapped = isinstance(value, dict) and value.keys() == {member}
    document[member] = value[member] if wrapped else value
    if exact:
        return []
    return [Loss(f"{saying.path}/arguments", "approximated", "the arguments are no object")]


def _write_result(
    part: ToolResultPart, draft: Draft, document: Document, saying: Saying
) -> list[Loss]:
    on_its_own = draft.kind in RESULTS
    member = RESULTS[draft.kind] if on_its_own else CALLS[draft.kind].result or "output"
    if on_its_own and not item_note(part, "made"):
        document["call_id"] = part.call_id if saying.to_client else to_wire(part.call_id, CALL_IDS)
    value, losses = _output(part, saying.path)
    if value is not None or member not in document:
        document[member] = "" if value is None else value
    if part.is_error and not draft.native:
        losses.append(Loss(f"{saying.path}/is_error", "dropped", "an output cannot say so"))
    return losses


def _output(part: ToolResultPart, path: str) -> tuple[Json, list[Loss]]:
    """What came of a call: the document it was, a string for one plain text, or entries."""
    if not part.parts:
        if part.value is None:
            return None, []
        native = is_native(part.ext)
        return part.value if native else json.dumps(part.value).decode(), []
    first = part.parts[0]
    if len(part.parts) == 1 and isinstance(first, TextPart) and _is_plain(first):
        return first.text, []
    entries: list[Json] = []
    losses: list[Loss] = []
    for number, each in enumerate(part.parts):
        entry, dropped = encode_entry(each, INPUT, f"{path}/parts/{number}")
        losses += dropped
        if entry is not None:
            entries.append(entry)
    return entries, losses


def _is_plain(part: TextPart) -> bool:
    return not (residue_of(part.ext) or part.annotations or part.cache)


_WRITERS: dict[str, Callable[[Draft, Document, Saying], list[Loss]]] = {
    MESSAGE: _write_message,
    REASONING: _write_reasoning,
    IMAGE_CALL: _write_image,
}
