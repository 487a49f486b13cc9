"""The whole answer. Shapes: `Response.choices` in choice order, usually one."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from arno.canon.ext import NO_EXT, Ext
from arno.canon.parts import Part
from arno.canon.usage import Usage


class FinishReason(StrEnum):
    """Canonical end reasons; the raw value travels beside it as native_finish_reason."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    OTHER = "other"


class Choice(msgspec.Struct, frozen=True):
    """One alternative answer. reason None: the wire never said why it ended."""

    index: int = 0
    parts: tuple[Part, ...] = ()
    reason: FinishReason | None = None
    native_reason: str | None = None
    ext: Ext = NO_EXT


class Response(msgspec.Struct, frozen=True):
    """One answer. id and model are as the upstream gave them, None where it gave none.

    served_by: who really served, when the endpoint is itself a gateway; created: Unix seconds.
    """

    id: str | None = None
    model: str | None = None
    served_by: str | None = None
    created: int | None = None
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    ext: Ext = NO_EXT
