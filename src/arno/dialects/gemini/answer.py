"""Whole answers of the generateContent dialect, both directions.

A prompt that was refused is answered with `promptFeedback` and no candidate. It is told as one
empty choice that ended by a content filter, not as a failure: the host has done what was asked and
counts its tokens, no other upstream of the same model would answer, and a client of this dialect
expects that document with a good status. Words for a broken answer (a call the model could not
write down) are failures.
Source: Gemini API reference, "GenerateContentResponse"; recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from arno.canon.ext import Json, Loss
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import Part, TextPart, ToolCallPart, is_client_call
from arno.canon.response import Choice, FinishReason, Response
from arno.dialects import tags
from arno.dialects.base import Headers
from arno.dialects.bounds import MAX_HELD, Budget
from arno.dialects.failures import invalid
from arno.dialects.gemini import documents
from arno.dialects.gemini.citations import CITATIONS, GROUNDING, Grounding
from arno.dialects.gemini.failures import decode_error
from arno.dialects.gemini.ids import AnswerIds
from arno.dialects.gemini.merging import Merged, is_plain_thought, split
from arno.dialects.gemini.part_encode import Told, encode_part
from arno.dialects.gemini.parts import decode_part, is_unreadable_call
from arno.dialects.gemini.pieces import BadPieces, Pieces
from arno.dialects.gemini.reasons import CUT, canonical_reason, wire_reason
from arno.dialects.gemini.residue import give, is_native, keep, note
from arno.dialects.gemini.usage import decode_usage, encode_usage
from arno.dialects.residue import Document, integer, take, text
from arno.dialects.text import clean
from arno.wire.errors import MalformedJSON

FEEDBACK = "promptFeedback"
BLOCKED = "@blocked"
"""The note of a choice that stands for a refused prompt."""

UNREADABLE = "candidate {} holds a tool call that cannot be read"

_APART = tags.write64(tags.Tag())
"""A proof that proves nothing: it tells a thought from the one before it."""


def decode_response(body: bytes, headers: Headers = ()) -> Response | Failure:
    """A whole answer."""
    try:
        document = documents.loads(body)
    except MalformedJSON:
        what = "an empty body" if not body.strip() else "no JSON"
        return invalid(f"upstream answered with {what}")
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, Mapping):
        return invalid("upstream answered with JSON that is no object")
    if document.get("error"):
        return decode_error(document["error"], Stage.BEFORE_OUTPUT, headers=headers)
    return _decode_document(document)


def _decode_document(document: Mapping[str, Json]) -> Response | Failure:
    values, residue = take(document, "candidates", "usageMetadata", "modelVersion", "responseId")
    candidates = values.get("candidates")
    response_id = text(values.get("responseId"))
    choices: list[Choice] = []
    if isinstance(candidates, list):
        for position, candidate in enumerate(candidates):
            choice = _decode_candidate(candidate, position, response_id)
            if isinstance(choice, Failure):
                return choice
            choices.append(choice)
    elif (reason := block_reason(document)) is not None:
        ext = keep({BLOCKED: True})
        choices.append(Choice(reason=FinishReason.CONTENT_FILTER, native_reason=reason, ext=ext))
    else:
        return invalid("upstream answered without candidates")
    return Response(
        id=response_id,
        model=text(values.get("modelVersion")),
        created=created_of(document),
        choices=tuple(choices),
        usage=decode_usage(values.get("usageMetadata"), final=True),
        ext=keep(residue | _kept_usage(values)),
    )


def _kept_usage(values: Document) -> Document:
    """A usage object that counts nothing stays as it is."""
    usage = values.get("usageMetadata")
    return {} if usage is None or decode_usage(usage, final=True) else {"usageMetadata": usage}


def block_reason(document: Mapping[str, Json]) -> str | None:
    """Why the prompt was refused, None if it was not."""
    feedback = document.get(FEEDBACK)
    return text(feedback.get("blockReason")) if isinstance(feedback, Mapping) else None


def created_of(document: Mapping[str, Json]) -> int | None:
    """`createTime` in Unix seconds."""
    stamp = document.get("createTime")
    if not isinstance(stamp, str) or not 20 <= len(stamp) <= 40:
        return None
    try:
        return int(datetime.fromisoformat(stamp).timestamp())
    except (ValueError, OverflowError):
        return None


def time_of(created: int) -> str | None:
    """Unix seconds as the wire writes times, None for one it cannot write."""
    try:
        return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def has_calls(parts: list[Part]) -> bool:
    """True if a tool of the client's is asked for."""
    return any(map(is_client_call, parts))


def broken(word: str, message: Json, stage: Stage) -> Failure:
    """The failure of an answer that ended with a word for an error."""
    why = f": {clean(message)}" if isinstance(message, str) and message else ""
    text_ = f"upstream ended the answer with an error ({clean(word)}){why}"
    return Failure(FailureKind.SERVER, text_, code=clean(word), retryable=True, stage=stage)


def _decode_candidate(candidate: Json, position: int, response_id: str | None) -> Choice | Failure:
    if not isinstance(candidate, Mapping):
        return invalid(f"candidate {position} is no object")
    index = integer(candidate.get("index"))
    number = position if index is None else index
    content = candidate.get("content")
    wire = content.get("parts") if isinstance(content, Mapping) else None
    ids = AnswerIds(response_id, number)
    word = text(candidate.get("finishReason"))
    cut = word is not None and canonical_reason(word, has_calls=False) in CUT
    try:
        pieces = _decode_parts(wire if isinstance(wire, list) else [], ids, cut=cut)
    except BadPieces as error:
        return invalid(str(error))
    if any(map(is_unreadable_call, pieces)):
        return invalid(UNREADABLE.format(number))
    calls = has_calls(pieces)
    reason = None if word is None else canonical_reason(word, has_calls=calls)
    if reason is FinishReason.ERROR:
        return broken(word or "", candidate.get("finishMessage"), Stage.BEFORE_OUTPUT)
    merged = Merged(pieces)
    merged.cite(candidate)
    residue = {k: v for k, v in candidate.items() if k != "finishReason" or word is None}
    if isinstance(content, Mapping) and isinstance(wire, list) and wire:
        residue["content"] = {k: v for k, v in content.items() if k != "parts"}
    return Choice(
        index=number,
        parts=tuple(merged.parts),
        reason=reason,
        native_reason=word,
        ext=keep(residue),
    )


def _decode_parts(wire: list[Json], ids: AnswerIds, *, cut: bool) -> list[Part]:
    """Raises BadPieces for a call that is not whole. cut: the last one need not be."""
    split = Pieces(Budget(MAX_HELD))
    pieces = [decode_part(whole, ids) for part in wire for whole in split.feed(part)]
    if split.is_open:
        if not cut:
            raise BadPieces("a tool call of the answer is not whole")
        part, arguments = split.cut()
        call = decode_part(part, ids)
        if isinstance(call, ToolCallPart):
            call = msgspec.structs.replace(call, arguments=arguments)
        pieces.append(call)
    return pieces


def encode_response(response: Response) -> tuple[Document, tuple[Loss, ...]]:
    """The whole answer as a document, and what this dialect has no place for."""
    native = is_native(response.ext)
    document: Document = {}
    losses: list[Loss] = []
    choices = [choice for choice in response.choices if not note(choice.ext, BLOCKED[1:])]
    if choices:
        document["candidates"] = [_encode_choice(choice, response.id, losses) for choice in choices]
    document.update(give(response.ext))
    if not native and len(choices) < len(response.choices):
        document.setdefault(FEEDBACK, {"blockReason": response.choices[0].native_reason})
    if response.usage is not None:
        document["usageMetadata"] = encode_usage(response.usage)
    if response.model is not None:
        document["modelVersion"] = response.model
    if response.created is not None and "createTime" not in document:
        created = time_of(response.created)
        document |= {} if created is None else {"createTime": created}
    if response.id is not None:
        document["responseId"] = response.id
    return document, tuple(losses)


def _encode_choice(choice: Choice, response_id: str | None, losses: list[Loss]) -> Document:
    native = is_native(choice.ext)
    document = give(choice.ext)
    grounding = None if document.keys() & {GROUNDING, CITATIONS} else Grounding()
    parts: list[Document] = []
    ids = AnswerIds(response_id, choice.index)
    for number, part in enumerate(choice.parts):
        path = f"/choices/{choice.index}/parts/{number}"
        told = Told(path, to_client=True, cut=choice.reason in CUT)
        if isinstance(part, TextPart) and part.annotations and grounding is not None:
            _ground(part, grounding, len(parts), told)
        apart = number > 0 and _must_part(choice.parts[number - 1], part)
        for piece in split(part):
            wire = encode_part(piece, told, with_id=not _is_bare(piece, ids))
            if wire is not None:
                parts.append({**wire, "thoughtSignature": _APART} if apart else wire)
        losses += told.losses
    if grounding is not None and grounding.document is not None:
        document[GROUNDING] = grounding.document
    if parts or not native:
        role = {} if native else {"role": "model"}
        document["content"] = {"parts": parts, **role, **(document.get("content") or {})}
    if native and choice.native_reason is not None:
        document["finishReason"] = choice.native_reason
    elif choice.reason is not None and not native:
        calls = has_calls(list(choice.parts))
        document["finishReason"] = wire_reason(choice.reason, choice.native_reason, has_calls=calls)
    if not native:
        document["index"] = choice.index
    return document


def _must_part(first: Part, second: Part) -> bool:
    """True for thoughts of another wire that a reader of this one would take for one."""
    plain = is_plain_thought(first) and is_plain_thought(second)
    return plain and bool(note(second.ext, "tagged") or not is_native(second.ext))


def _ground(part: TextPart, grounding: Grounding, place: int, told: Told) -> None:
    for annotation in part.annotations:
        if not grounding.add(annotation, 0, part.text, place):
            told.lose("dropped", "only citations of an address have a place", "/annotations")


def _is_bare(part: Part, ids: AnswerIds) -> bool:
    """True for a call whose id the wire never had, and will be made again by whoever reads it."""
    if not isinstance(part, ToolCallPart) or note(part.ext, ".id") != "made":
        return False
    if part.call_id != ids.expected(part.name, part.arguments):
        return False
    ids.call(part.name, part.arguments)
    return True
