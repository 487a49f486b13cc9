"""One message, in a request or in an answer: the wire's object to parts.

The wire keeps reasoning, content, media and tool calls under separate names, so their order
between each other is not on the wire: decoded parts stand in the order reasoning, content,
refusal, media, tool calls. What `reasoning_details` tell of other parts than reasoning is put on
these parts (`arno.dialects.chat.signatures`).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.canon.ext import Json
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
from arno.dialects.chat.citations import decode_citations
from arno.dialects.chat.content import decode_block, take_content
from arno.dialects.chat.reasoning import DETAILS, decode_detail, is_readable, text_member
from arno.dialects.chat.residue import DIALECT, keep
from arno.dialects.chat.signatures import attach
from arno.dialects.chat.tool_calls import kind_of
from arno.dialects.residue import all_text, integer, take, text
from arno.wire import json

LISTS = ("tool_calls", "images", DETAILS)
AUDIO_MEMBERS = ("id", "data", "transcript")
LEGACY_CALL = "function_call"
TURN_MEMBERS = (
    "content",
    "refusal",
    "tool_calls",
    "annotations",
    "images",
    "audio",
    LEGACY_CALL,
    DETAILS,
)


def decode_turn(message: Mapping[str, Json]) -> tuple[tuple[Part, ...], dict[str, Json]]:
    """Parts of a message, and what no part carries (role, name, empty members, unknown keys)."""
    values, residue = take(message, *TURN_MEMBERS)
    parts: list[Part] = []
    for name in LISTS:
        if name in values and not isinstance(values[name], list):
            residue[name] = values.pop(name)
    parts.extend(_decode_body(values, residue))
    parts.extend(decode_tool_call(call, n) for n, call in enumerate(values.get("tool_calls", [])))
    parts.extend(_decode_legacy(values, residue, len(values.get("tool_calls", []))))
    details = [decode_detail(detail) for detail in values.get(DETAILS, [])]
    reasoning = attach(details, parts)
    member = text_member(message)
    if member is not None and not is_readable(details):
        residue.pop(member)
        reasoning.append(ReasoningPart(text=message[member], ext=keep({"@member": member})))
    return (*reasoning, *parts), residue


def _decode_legacy(
    values: Mapping[str, Json], residue: dict[str, Json], position: int
) -> list[Part]:
    """The one call of a message in the older words; it has no id, so one is made."""
    call = values.get(LEGACY_CALL)
    if call is None:
        return []
    inner, rest = take(call, "name", "arguments") if isinstance(call, Mapping) else ({}, {})
    if text(inner.get("name")) is None or not all_text(inner):
        residue[LEGACY_CALL] = call
        return []
    return [
        ToolCallPart(
            call_id=f"call_{position}",
            name=inner["name"],
            arguments=inner.get("arguments", ""),
            ext=keep({"@member": LEGACY_CALL, **rest}),
        )
    ]


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
            found = decode_citations(annotations)
            parts[number] = msgspec.structs.replace(part, annotations=found)
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
