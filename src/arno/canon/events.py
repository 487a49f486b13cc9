"""Events: what a stream means, keyed by part index. Legal sequences: `canon.order`."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from arno.canon.ext import NO_EXT, Ext, Json
from arno.canon.failure import Failure
from arno.canon.parts import Item, Part
from arno.canon.response import FinishReason
from arno.canon.usage import Usage


class Slot(StrEnum):
    """Which field of an open part a delta extends (text-like) or adds to (lists)."""

    TEXT = "text"
    ARGUMENTS = "arguments"
    SIGNATURE = "signature"
    SEALED = "sealed"
    MEDIA = "media"
    TRANSCRIPT = "transcript"
    ANNOTATION = "annotation"
    LOGPROBS = "logprobs"


class ResponseStart(msgspec.Struct, frozen=True, tag="response_start"):
    """The answer begins; fields as in `Response`."""

    id: str | None = None
    model: str | None = None
    served_by: str | None = None
    created: int | None = None
    ext: Ext = NO_EXT


class PartStart(msgspec.Struct, frozen=True, tag="part_start"):
    """A part opens; withheld until a tool call's id and name are known or the part ends."""

    index: int
    part: Part
    choice: int = 0
    item: Item | None = None


class PartDelta(msgspec.Struct, frozen=True, tag="part_delta"):
    """More of an open part: text for text-like slots, a JSON document for the others."""

    index: int
    slot: Slot
    value: Json


class PartEnd(msgspec.Struct, frozen=True, tag="part_end"):
    """A part is complete.

    format: who can read a signature that came as a delta, where the start could not tell.
    """

    index: int
    item: Item | None = None
    ext: Ext = NO_EXT
    format: str | None = None


class UsageUpdate(msgspec.Struct, frozen=True, tag="usage"):
    """Usage so far, complete and cumulative: the last one counts."""

    usage: Usage


class ChoiceEnd(msgspec.Struct, frozen=True, tag="choice_end"):
    """A choice says why it ends; any number, repeats allowed, the first reason counts."""

    choice: int
    reason: FinishReason
    native_reason: str | None = None
    ext: Ext = NO_EXT


class ResponseEnd(msgspec.Struct, frozen=True, tag="response_end"):
    """The answer is complete: the dialect's terminal evidence was seen.

    ext: what the wire said after the last choice had ended (timings, metrics).
    """

    ext: Ext = NO_EXT


class StreamError(msgspec.Struct, frozen=True, tag="stream_error"):
    """The answer ended without being complete."""

    failure: Failure


class KeepAlive(msgspec.Struct, frozen=True, tag="keep_alive"):
    """A sign of life without content, with its text if it had one."""

    note: str | None = None


class Opaque(msgspec.Struct, frozen=True, tag="opaque"):
    """A document that means something in its own dialect only."""

    dialect: str
    document: Json


Event = (
    ResponseStart
    | PartStart
    | PartDelta
    | PartEnd
    | UsageUpdate
    | ChoiceEnd
    | ResponseEnd
    | StreamError
    | KeepAlive
    | Opaque
)

TERMINAL = (ResponseEnd, StreamError)
"""Exactly one of these ends every sequence."""
