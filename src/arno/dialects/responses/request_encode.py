"""Requests of this dialect, encoded.

What the canonical request asks for and this wire has not is a Loss, unless dropping it would break
a promise (words to stop at, several answers): then the request is refused. Artefacts of reasoning
go back to their origin only (R18), and words of reasoning with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from arno.canon.ext import Json, Loss, is_empty
from arno.canon.failure import RequestError
from arno.canon.parts import (
    Executor,
    Item,
    OpaquePart,
    Part,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import Message, Reasoning, Request, Role, Sampling
from arno.dialects.disclosure import foreign
from arno.dialects.residue import Document
from arno.dialects.responses.artefacts import is_own
from arno.dialects.responses.content import INPUT, encode_entry
from arno.dialects.responses.kinds import RESULT_OF
from arno.dialects.responses.request import (
    ARTEFACTS,
    DEFAULTS,
    INSTRUCTIONS,
    LOGPROBS,
    SAMPLING,
    SCALARS,
)
from arno.dialects.responses.residue import DIALECT, give, is_native, note, residue_of
from arno.dialects.responses.tools import encode_choice, encode_text, encode_tools
from arno.dialects.responses.writing import Draft, Saying, group, write_item
from arno.wire import json

Pieces = list[tuple[str, Part]]
"""Parts, each with its path in the canonical request."""


def encode_request(request: Request) -> tuple[bytes, tuple[Loss, ...]]:
    """The request as JSON text, and what this dialect has no place for."""
    _refuse(request)
    document: Document = give(request.ext)
    losses = foreign(request.ext, DIALECT, "")
    losses += _Conversation(request).write(document)
    for field, member in ((field, member) for member, field in SCALARS.items()):
        value = getattr(request, field)
        if not is_empty(value) and value != DEFAULTS.get(member):
            document[member] = value
    document.update(request.routing or {})
    losses += _sampling(request.sampling, document)
    losses += _shape(request, document)
    if request.cache is not None:
        losses.append(Loss("/cache", "dropped", "this wire caches long prompts by itself"))
    if request.reasoning is not None:
        losses += _reasoning(request.reasoning, document)
    _include(request, document)
    return json.dumps(document), tuple(losses)


def _refuse(request: Request) -> None:
    if request.stop:
        raise RequestError("this wire cannot name words to stop at", "/stop")
    if request.n not in (None, 1):
        raise RequestError("this wire gives one answer only", "/n")


def _sampling(sampling: Sampling, document: Document) -> list[Loss]:
    losses = []
    for name in Sampling.__struct_fields__:
        value = getattr(sampling, name)
        if value is None or name == "logprobs":
            continue
        if name in SAMPLING:
            document[name] = value
        else:
            why = f"a responses request has no {name}"
            losses.append(Loss(f"/sampling/{name}", "dropped", why))
    return losses


def _shape(request: Request, document: Document) -> list[Loss]:
    """Tools, the choice between them, the output's shape."""
    losses: list[Loss] = []
    if request.tools:
        document["tools"], losses = encode_tools(request.tools)
    if request.tool_choice is not None:
        noted = note(request.ext, "tool_choice")
        document["tool_choice"] = encode_choice(request.tool_choice, request.tools, noted)
    if request.output is not None or request.verbosity is not None:
        kept = document.get("text")
        document["text"], dropped = encode_text(request.output, request.verbosity, kept)
        losses += dropped
    return losses


def _reasoning(reasoning: Reasoning, document: Document) -> list[Loss]:
    """Effort and summary. Another dialect's "show it" asks for summaries, its "off" for no effort,
    its bare "on" for nothing, since models that reason here do so unasked; the members of the
    gateway contract are written back to their own dialect only."""
    native = is_native(reasoning.ext)
    members: dict[str, Any] = {"effort": reasoning.effort, "summary": reasoning.summary}
    losses = foreign(reasoning.ext, DIALECT, "/reasoning")
    if native:
        members |= {
            "max_tokens": reasoning.budget,
            "exclude": reasoning.exclude,
            "enabled": reasoning.enabled,
        }
    else:
        if reasoning.enabled is False and reasoning.effort is None:
            members["effort"] = "none"
        elif reasoning.enabled and reasoning.effort is None and reasoning.budget is None:
            # The contract of the gateway, section 3.5: to think, without more, is a medium effort.
            members["effort"] = "medium"
        if reasoning.exclude is False and reasoning.summary is None:
            members["summary"] = "auto"
        if reasoning.budget is not None:
            why = "a responses request counts no tokens of reasoning"
            losses.append(Loss("/reasoning/budget", "dropped", why))
    known = {key: value for key, value in members.items() if value is not None}
    if native or known:
        document["reasoning"] = {**give(reasoning.ext), **known}
    return losses


def _include(request: Request, document: Document) -> None:
    """What an answer shall hold besides. Of another dialect's request, which keeps no answers
    upstream, artefacts of reasoning must come along, or the next turn loses them."""
    include = note(request.ext, "include")
    if include is not None:
        document["include"] = include
    if is_native(request.ext):
        return
    document.setdefault("store", False)
    wanted = [ARTEFACTS] if document["store"] is False else []
    wanted += [LOGPROBS] if request.sampling.logprobs else []
    if wanted:
        document["include"] = wanted


class _Conversation:
    """The messages of a request as `instructions` and `input`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._kinds = {
            part.call_id: part.kind
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolCallPart)
        }
        self._losses: list[Loss] = []
        self._items: list[Json] = []

    def write(self, document: Document) -> list[Loss]:
        """Write both members into `document`."""
        messages = list(enumerate(self._request.messages))
        if messages and self._is_instructions(messages[0][1]):
            document[INSTRUCTIONS] = _only_text(messages.pop(0)[1])
        if len(messages) == 1 and self._is_input_text(messages[0][1]):
            document["input"] = _only_text(messages[0][1])
            return []
        for number, message in messages:
            self._message(message, f"/messages/{number}")
        if self._items or not is_native(self._request.ext):
            document["input"] = self._items
        return self._losses

    def _is_instructions(self, message: Message) -> bool:
        """A leading message of the system that is one plain text."""
        if is_native(message.ext):
            return note(message.ext, "member") == INSTRUCTIONS and _only_text(message) is not None
        native = is_native(self._request.ext)
        return not native and message.role is Role.SYSTEM and _only_text(message) is not None

    def _is_input_text(self, message: Message) -> bool:
        return note(message.ext, "member") == "input" and _only_text(message) is not None

    def _message(self, message: Message, path: str) -> None:
        """One message: results first, then what else it says (R16)."""
        pieces: Pieces = [(f"{path}/parts/{n}", part) for n, part in enumerate(message.parts)]
        results = [piece for piece in pieces if _is_answer(piece[1])]
        others = [piece for piece in pieces if not _is_answer(piece[1])]
        self._losses += foreign(message.ext, DIALECT, path)
        if message.name is not None:
            why = "messages of this wire name nobody"
            self._losses.append(Loss(f"{path}/name", "dropped", why))
        for where, part in results:
            self._result(part, where)
        if message.role is Role.ASSISTANT or note(message.ext, "item"):
            self._turn(others)
        elif others or not results:
            spoken = self._spoken(message, others)
            if spoken.get("content") or not others or is_native(message.ext):
                self._items.append(spoken)

    def _result(self, part: Part, path: str) -> None:
        self._losses += foreign(part.ext, DIALECT, path)
        kind = RESULT_OF["function"]
        if is_native(part.ext) and part.item is not None and part.item.kind is not None:
            kind = part.item.kind
        elif isinstance(part, ToolResultPart):
            kind = RESULT_OF.get(self._kinds.get(part.call_id, ""), kind)
        self._item(Draft(kind, part, part.item), path)

    def _item(self, draft: Draft, path: str) -> None:
        item, losses = write_item(draft, Saying(path=path, to_client=False, status=None))
        self._items.append(item)
        self._losses += losses

    def _turn(self, pieces: Pieces) -> None:
        """The assistant's items, without what goes back to its origin only."""
        kept = self._without_foreign(pieces)
        for number, draft in group([part for _, part in kept]):
            path, part = kept[number]
            if draft is None:
                self._losses.append(Loss(path, "dropped", _why(part)))
            else:
                self._item(draft, path)

    def _without_foreign(self, pieces: Pieces) -> Pieces:
        """R18: artefacts of other origins stay behind, and words of reasoning without one."""
        kept: Pieces = []
        for number, (path, part) in enumerate(pieces):
            self._losses += foreign(part.ext, DIALECT, path)
            if isinstance(part, ReasoningPart):
                if not _may_return(pieces, number):
                    why = "reasoning goes back to its origin only"
                    self._losses.append(Loss(path, "dropped", why))
                    continue
            elif part.signature is not None:
                why = "a proof goes back to its origin only"
                self._losses.append(Loss(f"{path}/signature", "dropped", why))
                part = msgspec.structs.replace(part, signature=None)
            if part.format is not None and not is_native(part.ext) and not _is_artefact(part):
                part = msgspec.structs.replace(part, format=None)
            if part.cache is not None and not is_native(part.ext):
                why = "this wire caches long prompts by itself"
                self._losses.append(Loss(f"{path}/cache", "dropped", why))
                part = msgspec.structs.replace(part, cache=None)
            kept.append((path, part))
        return kept

    def _spoken(self, message: Message, pieces: Pieces) -> Document:
        document = give(message.ext)
        document["role"] = message.role.value if message.role is not Role.TOOL else "user"
        only = _only_text(message)
        plain = only is not None and (
            note(message.ext, "content") == "text" or not is_native(message.ext)
        )
        if plain and len(pieces) == 1:
            document["content"] = only
        elif pieces or "content" not in document:
            document["content"] = self._entries(pieces)
        return document

    def _entries(self, pieces: Pieces) -> list[Json]:
        entries: list[Json] = []
        for path, part in pieces:
            self._losses += foreign(part.ext, DIALECT, path)
            entry, losses = encode_entry(part, INPUT, path)
            self._losses += losses
            if entry is not None:
                entries.append(entry)
        return entries


def _is_answer(part: Part) -> bool:
    """A result that the client gives; one of a tool that the upstream ran is part of its turn."""
    return isinstance(part, ToolResultPart) and part.executor is Executor.CLIENT


def _only_text(message: Message) -> str | None:
    """The text of a message that holds one plain text and nothing else, else None."""
    part = message.parts[0] if len(message.parts) == 1 else None
    if not isinstance(part, TextPart) or part.annotations or part.cache or message.name:
        return None
    return None if residue_of(part.ext) or foreign(part.ext, DIALECT, "") else part.text


def _is_artefact(part: Part) -> bool:
    """True for what is sealed: its format says that it stands on this wire as it is, untagged."""
    return isinstance(part, ReasoningPart) and part.sealed is not None


def _may_return(pieces: Sequence[tuple[str, Part]], number: int) -> bool:
    """Whether a part of reasoning goes upstream: as it came from there, or with its artefact."""
    part = pieces[number][1]
    if not isinstance(part, ReasoningPart):
        return False
    if is_native(part.ext):
        return _came_from_here(pieces, part)
    if part.sealed is not None:
        return part.form is ReasoningForm.SEALED and is_own(part.format) and not part.signature
    return part.form is ReasoningForm.SUMMARY and _is_sealed(pieces, number)


def _came_from_here(pieces: Sequence[tuple[str, Part]], part: ReasoningPart) -> bool:
    """True if no part of the same item holds an artefact of another wire.

    An upstream that says itself who reads its artefacts has the member `format` for it.
    """
    place = part.item
    said = None if place is None else residue_of(place.ext).get("format")
    mates = [part] if place is None else [other for _, other in pieces if _in_item(other, place)]
    proofs = [each for each in mates if each.signature or getattr(each, "sealed", None)]
    return all(is_own(each.format) or (said and each.format == said) for each in proofs)


def _in_item(part: Part, place: Item) -> bool:
    return part.item is not None and part.item.index == place.index


def _is_sealed(pieces: Sequence[tuple[str, Part]], number: int) -> bool:
    """True for a summary with an artefact of this wire's behind it, in the same item."""
    for _, part in pieces[number + 1 :]:
        if not isinstance(part, ReasoningPart) or part.signature is not None:
            return False
        if part.sealed is not None:
            same = part.id is None or pieces[number][1].id in (None, part.id)
            return same and part.form is ReasoningForm.SEALED and is_own(part.format)
        if part.form is not ReasoningForm.SUMMARY:
            return False
    return False


def _why(part: Part) -> str:
    if isinstance(part, OpaquePart):
        return f"a document of {part.dialect} goes back to it only"
    if isinstance(part, ToolCallPart | ToolResultPart) and part.executor is Executor.PROVIDER:
        return "a tool that another upstream ran is no item of this wire"
    return f"the assistant's items cannot hold this {type(part).__name__}"
