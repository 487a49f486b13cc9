"""Parts: one piece of content each. Source: the canonical form, decision 0001."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeGuard

import msgspec

from arno.canon.ext import NO_EXT, Ext, Json


class Item(msgspec.Struct, frozen=True):
    """The envelope that some dialects put around parts (an output item with its own id).

    index: the item's place in the answer: parts of one item share it, most items have no id.
    """

    id: str | None = None
    index: int | None = None
    kind: str | None = None
    status: str | None = None
    ext: Ext = NO_EXT


class Executor(StrEnum):
    """Who runs a tool: the client, or the provider inside its own answer."""

    CLIENT = "client"
    PROVIDER = "provider"


class ReasoningForm(StrEnum):
    """What a reasoning part shows: the text itself, a summary, or only a sealed artefact."""

    FULL = "full"
    SUMMARY = "summary"
    SEALED = "sealed"
    REDACTED = "redacted"


class CacheHint(msgspec.Struct, frozen=True):
    """ "Cache the prompt up to and including this": ttl as the wire says it, e.g. "5m" or "1h"."""

    ttl: str | None = None


class PartBase(msgspec.Struct, frozen=True, kw_only=True):
    """Fields of every part.

    origin: the endpoint that made it (a signature or sealed artefact goes back only there);
    signature: the provider's proof for this very part, opaque; format: who can read the signature
    or the sealed artefact, in the words of the contract's `reasoning_details`; cache: a breakpoint
    after the part.
    """

    id: str | None = None
    origin: str | None = None
    signature: str | None = None
    format: str | None = None
    item: Item | None = None
    cache: CacheHint | None = None
    ext: Ext = NO_EXT


class TextPart(PartBase, frozen=True, tag="text"):
    """Text; annotations are citations in order.

    One of the web is neutral: {"type": "url_citation", "url_citation": {"url", "title"?,
    "content"?, "start_index"?, "end_index"?}}; the wire's own document may stand beside, under
    "@" and the dialect's name. Any other is {"type": "@<dialect>", "@<dialect>": its document}
    and goes back to that dialect only.
    """

    text: str = ""
    annotations: tuple[Json, ...] = ()


class RefusalPart(PartBase, frozen=True, tag="refusal"):
    """The model's refusal in words."""

    text: str = ""


class ReasoningPart(PartBase, frozen=True, tag="reasoning"):
    """Reasoning; `sealed` is an opaque artefact."""

    text: str = ""
    form: ReasoningForm = ReasoningForm.FULL
    sealed: str | None = None


class ToolCallPart(PartBase, frozen=True, tag="tool_call"):
    """A call the model asks for. `arguments` is the raw text, never parsed in the core.

    call_id is opaque and not globally unique; wire_index is the index the wire gave, if any;
    namespace: the server or name space the tool lives in.
    """

    call_id: str
    name: str
    arguments: str = ""
    kind: str = "function"
    executor: Executor = Executor.CLIENT
    wire_index: int | None = None
    namespace: str | None = None


class MediaKind(StrEnum):
    """What a media part is, which the wire may know without knowing its media type."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"
    FILE = "file"


class MediaPart(PartBase, frozen=True, tag="media"):
    """An image, audio, video or file: at most one of data (base64 text), url, file_id."""

    kind: MediaKind = MediaKind.FILE
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    transcript: str | None = None
    detail: str | None = None


class OpaquePart(PartBase, frozen=True, tag="opaque"):
    """A document of one dialect that nothing else understands; goes back to that dialect only."""

    dialect: str
    document: Json


class ToolResultPart(PartBase, frozen=True, tag="tool_result"):
    """The answer to one tool call.

    value: the exact wire value where it is a document and not plain parts; is_error None: the
    wire has no place for it or did not say.
    """

    call_id: str
    name: str | None = None
    parts: tuple[Part, ...] = ()
    value: Json = None
    is_error: bool | None = None
    executor: Executor = Executor.CLIENT


Part = (
    TextPart | RefusalPart | ReasoningPart | ToolCallPart | ToolResultPart | MediaPart | OpaquePart
)


def is_client_call(part: object) -> TypeGuard[ToolCallPart]:
    """True for a call of a tool that the client runs."""
    return isinstance(part, ToolCallPart) and part.executor is Executor.CLIENT
