"""Results of tools: `functionResponse`, both directions.

`response` is always an object. By the vendor's convention its member `output` holds what the tool
gave and `error` what went wrong; any other object is a result as it stands. Media stand beside it
in `parts`. Source: Gemini API reference, "FunctionResponse".
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.canon.ext import Json, Loss
from arno.canon.failure import RequestError
from arno.canon.parts import MediaPart, OpaquePart, Part, TextPart, ToolResultPart
from arno.dialects.gemini.ids import Ids
from arno.dialects.gemini.media import (
    CONTENT_OF,
    decode_media,
    encode_media,
    media_losses,
    media_member,
)
from arno.dialects.gemini.residue import DIALECT, give, is_native, keep, nest, note, respell, spell
from arno.dialects.residue import Document, items, take
from arno.wire import json

OUTPUT, ERROR = "output", "error"
FIELDS = ("id", "name", "response", "parts")


def decode_result(value: Mapping[str, Json], outer: Document, ids: Ids) -> ToolResultPart:
    """The result in a part; outer: the part's other members, which stay residue."""
    values, rest = take(value, *FIELDS)
    name, call_id = values.get("name"), values.get("id")
    notes: Document = {}
    if isinstance(call_id, str):
        ids.answered(call_id)
    else:
        rest["@id"] = "made"
    content, document, failed = _decode_response(values, rest, notes)
    media = [_decode_piece(piece) for piece in items(values.get("parts"))]
    if media and document is not None:
        # Readers of a result take its parts or its document, so the document is told as text.
        content = [TextPart(text=json.dumps(document).decode(), ext=keep({}))]
        notes["@document"] = True
        document = None
    return ToolResultPart(
        call_id=call_id if isinstance(call_id, str) else ids.result(str(name or "")),
        name=name if isinstance(name, str) else None,
        parts=(*content, *media),
        value=document,
        is_error=failed,
        ext=keep(nest({**outer, **notes}, "functionResponse", rest)),
    )


def _decode_response(
    values: Document, rest: Document, notes: Document
) -> tuple[list[Part], Json, bool | None]:
    """Text, document and whether the tool failed."""
    response = values.get("response")
    if not isinstance(response, Mapping):
        if response is not None:
            rest["response"] = response
        return [], None, None
    key = next(iter(response), "") if len(response) == 1 else ""
    if key not in (OUTPUT, ERROR):
        return [], dict(response), None
    inner = response[key]
    notes["@key"] = key
    failed = True if key == ERROR else None
    if isinstance(inner, str):
        return [TextPart(text=inner, ext=keep({}))] if inner else [], None, failed
    return [], inner, failed


def _decode_piece(wire: Json) -> Part:
    """Media beside a result."""
    if isinstance(wire, Mapping):
        members = spell(wire, CONTENT_OF)
        member = next((name for name in CONTENT_OF if name in members), None)
        read = None if member is None else decode_media(member, members.pop(member))
        if member is not None and read is not None:
            part, inner = read
            return msgspec.structs.replace(part, ext=keep(nest(members, member, inner)))
    return OpaquePart(dialect=DIALECT, document=wire)


def encode_result(
    part: ToolResultPart, name: str | None, *, with_id: bool, path: str
) -> tuple[Document, list[Loss]]:
    """The part that tells a result; name: of the tool, if the result does not say it."""
    outer = give(part.ext)
    inner: Document = dict(outer.pop("functionResponse", {}))
    if with_id:
        inner["id"] = part.call_id
    if part.name is not None or not is_native(part.ext):
        inner["name"] = part.name or name or part.call_id
    losses: list[Loss] = []
    if "response" not in inner or not is_native(part.ext):
        response = _encode_response(part, losses, path)
        if response is not None:
            inner["response"] = response
    media = [
        _encode_piece(piece, losses, f"{path}/parts/{number}")
        for number, piece in enumerate(part.parts)
        if not isinstance(piece, TextPart)
    ]
    told = [piece for piece in media if piece is not None]
    if told:
        inner["parts"] = told
    return respell({**outer, "functionResponse": inner}, note(part.ext, "snake")), losses


def _encode_response(part: ToolResultPart, losses: list[Loss], path: str) -> Json:
    texts = [piece.text for piece in part.parts if isinstance(piece, TextPart)]
    key = note(part.ext, "key") or (ERROR if part.is_error else OUTPUT)
    if len(texts) > 1:
        losses.append(Loss(f"{path}/parts", "approximated", "the texts of a result are joined"))
    if texts and note(part.ext, "document"):
        return json.loads("".join(texts))
    if texts:
        return {key: "\n".join(texts)}
    if part.value is None and is_native(part.ext) and note(part.ext, "key") is None:
        return None  # it had no response
    if part.value is None:
        return {key: ""}
    plain = note(part.ext, "key") is None and not part.is_error
    if plain and isinstance(part.value, Mapping) and not _reads_as_key(part.value):
        return part.value
    return {key: part.value}


def _reads_as_key(value: Mapping[str, Json]) -> bool:
    """True for an object that would be taken for the vendor's convention."""
    return len(value) == 1 and next(iter(value)) in (OUTPUT, ERROR)


def _encode_piece(part: Part, losses: list[Loss], path: str) -> Json:
    """Media beside a result, None for what cannot stand there. Raises RequestError for media that
    the upstream cannot read."""
    if isinstance(part, OpaquePart) and part.dialect == DIALECT:
        return part.document
    if not isinstance(part, MediaPart):
        losses.append(Loss(path, "dropped", "a result holds text and media alone"))
        return None
    member = media_member(part)
    if member is None:
        raise RequestError("a file of another vendor's store cannot be read here", path)
    losses += media_losses(part, path)
    native = is_native(part.ext)
    outer = give(part.ext)
    inner = {**outer.pop(member, {}), **encode_media(part, native=native)}
    outer[member] = respell(inner, note(part.ext, ".snake"))
    return respell(outer, note(part.ext, "snake"))
