"""One message, in a request or in an answer.

The wire keeps reasoning, content, media and tool calls under separate names, so their order
between each other is not on the wire: decoded parts stand in the order reasoning, content,
refusal, media, tool calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from arno.canon.ext import Ext, Json, Loss, is_empty
from arno.canon.parts import (
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.dialects.chat.content import decode_block, encode_content, encode_media, take_content
from arno.dialects.chat.reasoning import (
    DETAILS,
    decode_detail,
    encode_reasoning,
    is_readable,
    text_member,
)
from arno.dialects.chat.residue import (
    DIALECT,
    Document,
    all_text,
    give,
    integer,
    is_native,
    keep,
    merge,
    note,
    take,
)
from arno.dialects.chat.tool_calls import kind_of
from arno.wire import json

LISTS = ("tool_calls", "images", DETAILS)
AUDIO_MEMBERS = ("id", "data", "transcript")
TURN_MEMBERS = ("content", "refusal", "tool_calls", "annotations", "images", "audio", DETAILS)


def decode_turn(message: Mapping[str, Json]) -> tuple[tuple[Part, ...], dict[str, Json]]:
    """Parts of a message, and what no part carries (role, name, empty members, unknown keys)."""
    values, residue = take(message, *TURN_MEMBERS)
    parts: list[Part] = []
    for name in LISTS:
        if name in values and not isinstance(values[name], list):
            residue[name] = values.pop(name)
    parts.extend(decode_detail(detail) for detail in values.get(DETAILS, []))
    member = text_member(message)
    if member is not None and not is_readable(parts):
        residue.pop(member)
        parts.append(ReasoningPart(text=message[member], ext=keep({"@member": member})))
    parts.extend(_decode_body(values, residue))
    parts.extend(decode_tool_call(call, n) for n, call in enumerate(values.get("tool_calls", [])))
    return tuple(parts), residue


def _decode_body(values: Mapping[str, Json], residue: dict[str, Json]) -> list[Part]:
    parts: list[Part] = list(take_content(values, residue))
    if "annotations" in values:
        _annotate(parts, values["annotations"], residue)
    if isinstance(values.get("refusal"), str):
        parts.append(RefusalPart(text=values["refusal"]))
    elif "refusal" in values:
        residue["refusal"] = values["refusal"]
    for image in values.get("images", []):
        parts.append(with_member(decode_block(image), "images"))
    if "audio" in values and says_nothing(values["audio"]):
        residue["audio"] = values["audio"]
    elif "audio" in values:
        parts.append(decode_audio_answer(values["audio"]))
    return parts


def _annotate(parts: list[Part], annotations: Json, residue: dict[str, Json]) -> None:
    """Message-level annotations belong to the text; without one they stay where they were."""
    for number, part in enumerate(parts):
        if isinstance(part, TextPart) and isinstance(annotations, list):
            parts[number] = msgspec.structs.replace(part, annotations=tuple(annotations))
            return
    residue["annotations"] = annotations


def with_member(part: Part, member: str) -> Part:
    """`part`, noting the message member it stood in."""
    kept = {**part.ext.get(DIALECT, {}), "@member": member}
    return msgspec.structs.replace(part, ext=keep(kept))


def says_nothing(audio: Json) -> bool:
    """True for the empty form of an audio member that some hosts put on every answer."""
    return isinstance(audio, Mapping) and not take(audio, *AUDIO_MEMBERS)[0]


def decode_audio_answer(audio: Json) -> Part:
    """The audio member of an answer, or a piece of it."""
    values, residue = take(audio, *AUDIO_MEMBERS) if isinstance(audio, Mapping) else ({}, {})
    if not isinstance(audio, Mapping) or not all_text(values):
        return OpaquePart(dialect=DIALECT, document=audio, ext=keep({"@member": "audio"}))
    kept = keep({"@member": "audio", **residue})
    return MediaPart(kind=MediaKind.AUDIO, ext=kept, **values)


def decode_tool_call(call: Json, position: int) -> Part:
    """One entry of `tool_calls`. An id that the wire left out is made from its position."""
    kind = kind_of(call) if isinstance(call, Mapping) else ""
    body = call.get(kind) if isinstance(call, Mapping) else None
    if not isinstance(body, Mapping):
        return OpaquePart(dialect=DIALECT, document=call, ext=keep({"@member": "tool_calls"}))
    key = "input" if kind == "custom" else "arguments"
    values, residue = take(call, "id", kind)
    inner, rest = take(body, "name", key)
    arguments = inner.get(key, "")
    return ToolCallPart(
        call_id=str(values.get("id") or f"call_{position}"),
        name=str(inner.get("name", "")),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments).decode(),
        kind=kind,
        wire_index=integer(call.get("index")),
        ext=keep({**residue, kind: rest}),
    )


def encode_tool_call(part: ToolCallPart) -> Document:
    """One entry of `tool_calls`."""
    document = give(part.ext) if is_native(part.ext) else {"type": part.kind}
    document["id"] = part.call_id
    key = "input" if part.kind == "custom" else "arguments"
    members: Document = {"name": part.name}
    kept = document.get(part.kind)
    if part.arguments or not isinstance(kept, Mapping) or key not in kept:
        members[key] = part.arguments
    merge(document, part.kind, members)
    return document


def encode_turn(
    parts: Sequence[Part], ext: Ext, path: str, *, to_client: bool
) -> tuple[Document, list[Loss]]:
    """A message without its role. Reasoning of another dialect goes to clients only (R18)."""
    document: Document = give(ext)
    losses: list[Loss] = []
    content: list[Part] = []
    reasoning: list[Part] = []
    for number, part in enumerate(parts):
        where = f"{path}/parts/{number}"
        if isinstance(part, ReasoningPart) and not _may_carry(part, to_client):
            losses.append(Loss(where, "dropped", "reasoning goes back to its origin only"))
        elif _is_reasoning(part):
            reasoning.append(part)
        else:
            losses.extend(
                _place(_for_client(part) if to_client else part, document, content, where)
            )
    document.update(encode_reasoning(reasoning))
    losses.extend(_write_content(document, content, path, native=is_native(ext)))
    return document, losses


def _for_client(part: Part) -> Part:
    """Media of another dialect in an answer stand in members of their own, not in the content."""
    if not isinstance(part, MediaPart) or is_native(part.ext):
        return part
    return with_member(part, "audio" if part.kind is MediaKind.AUDIO else "images")


def _may_carry(part: ReasoningPart, to_client: bool) -> bool:
    return to_client or is_native(part.ext)


def _is_reasoning(part: Part) -> bool:
    """Reasoning that has a member of its own (not a block inside the content list)."""
    if isinstance(part, OpaquePart):
        return bool(note(part.ext, "member") == DETAILS)
    return isinstance(part, ReasoningPart) and bool(note(part.ext, "member") != "content")


def _place(part: Part, document: Document, content: list[Part], where: str) -> list[Loss]:
    """Put one part under the name it belongs to; what goes into content is collected."""
    member = note(part.ext, "member")
    if isinstance(part, ToolCallPart):
        document.setdefault("tool_calls", [])
        document["tool_calls"].append(encode_tool_call(part))
    elif isinstance(part, RefusalPart):
        document["refusal"] = part.text
    elif isinstance(part, OpaquePart) and part.dialect != DIALECT:
        return [Loss(where, "dropped", f"a document of {part.dialect} goes back to it only")]
    elif isinstance(part, OpaquePart) and member == "tool_calls":
        document.setdefault("tool_calls", [])
        document["tool_calls"].append(part.document)
    elif isinstance(part, OpaquePart) and member == "audio":
        document["audio"] = part.document
    elif isinstance(part, MediaPart) and member == "audio":
        return _place_audio(part, document, where)
    elif member == "images":
        document.setdefault("images", [])
        document["images"].append(_encode_image(part))
    else:
        content.append(part)
    return []


def _place_audio(part: MediaPart, document: Document, where: str) -> list[Loss]:
    if not is_empty(document.get("audio")):
        return [Loss(where, "dropped", "a chat answer holds one audio part")]
    document["audio"] = {**give(part.ext), **_audio_members(part)}
    if part.media_type is None:
        return []
    return [Loss(f"{where}/media_type", "dropped", "audio of a chat answer has no media type")]


def _audio_members(part: MediaPart) -> Document:
    members = {"id": part.id, "data": part.data, "transcript": part.transcript}
    return {key: value for key, value in members.items() if value is not None}


def _encode_image(part: Part) -> Json:
    return encode_media(part) if isinstance(part, MediaPart) else getattr(part, "document", None)


def _write_content(
    document: Document, content: list[Part], path: str, *, native: bool
) -> list[Loss]:
    """Content, with the text's annotations at message level where that is where they came from."""
    lifted: list[Part] = []
    for part in content:
        if isinstance(part, TextPart) and part.annotations and not is_native(part.ext):
            document["annotations"] = [*(document.get("annotations") or ()), *part.annotations]
            part = msgspec.structs.replace(part, annotations=())
        lifted.append(part)
    value, losses = encode_content(lifted, f"{path}/content")
    if value is not None or not (native or "content" in document):
        document["content"] = value
    return losses
