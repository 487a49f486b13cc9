"""How blocks of a stream begin, and what of them is only read at their end."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from arno.canon.ext import NO_EXT, Json
from arno.canon.parts import (
    Executor,
    MediaKind,
    MediaPart,
    Part,
    ReasoningForm,
    ReasoningPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.dialects.converse.blocks_decode import STATUSES, call_id, executor_of
from arno.dialects.converse.media import FORMATS
from arno.dialects.converse.residue import keep
from arno.dialects.residue import Document, take, text

KINDS: dict[type, str] = {ToolCallPart: "call", ToolResultPart: "result", MediaPart: "image"}
"""The kind of a block that a start opens, by its part."""


def started_part(start: Mapping[str, Json]) -> Part | str | None:
    """The part that a block's start opens; text: what is wrong with it; None: not known."""
    for kind, inner in start.items():
        if kind in ("toolUse", "toolResult") and isinstance(inner, Mapping):
            values, residue = take(inner, "toolUseId", "name")
            id_, name = text(values.get("toolUseId")), text(values.get("name"))
            if id_ is None or (name is None and kind == "toolUse"):
                return "a call or result has no id or name"
            found = call_id(id_, residue)
            if kind == "toolResult":
                return _started_result(found, residue)
            residue.pop("input", None)
            executor = executor_of(inner.get("type"))
            return ToolCallPart(
                call_id=found, name=name or "", executor=executor, ext=keep(residue)
            )
        if kind == "image" and isinstance(inner, Mapping):
            media_type = FORMATS["image"].get(str(inner.get("format")))
            return MediaPart(kind=MediaKind.IMAGE, media_type=media_type, ext=keep({}))
    return None


def _started_result(id_: str, residue: Document) -> ToolResultPart:
    status = residue.get("status")
    is_error = STATUSES.get(status) if isinstance(status, str) else None
    if is_error is not None:
        del residue["status"]
    return ToolResultPart(
        call_id=id_, is_error=is_error, executor=Executor.PROVIDER, ext=keep(residue)
    )


def readable(document: Mapping[str, Json]) -> ReasoningPart:
    """The empty part for readable reasoning, with what the extension members say of it."""
    form, format_ = text(document.get("form")), text(document.get("format"))
    summary = form == ReasoningForm.SUMMARY.value
    return ReasoningPart(
        form=ReasoningForm.SUMMARY if summary else ReasoningForm.FULL,
        format=format_,
        ext=NO_EXT if summary or format_ else keep({}),
    )


def joined(pieces: list[str]) -> str:
    """Base64 of what several pieces of base64 hold together."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        whole = b"".join(base64.b64decode(piece, validate=True) for piece in pieces)
    except (binascii.Error, ValueError):
        return "".join(pieces)
    return base64.b64encode(whole).decode()
