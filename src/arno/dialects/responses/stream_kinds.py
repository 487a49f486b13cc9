"""The kinds of documents in a stream, as tables; `stream_decode` reads them.

Source: OpenAI API reference, "Streaming events"; recorded streams.
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.dialects.residue import integer
from arno.dialects.responses import quick
from arno.dialects.responses.items import Key
from arno.dialects.responses.kinds import CALLS, MESSAGE, REASONING, STREAMED_CALLS

STARTS = frozenset({"response.created", "response.in_progress", "response.queued"})
ENDS = frozenset({"response.completed", "response.incomplete", "response.done"})
FAILS = frozenset({"response.failed", "response.cancelled"})
ERRORS = frozenset({"error", "response.error"})

CONTENT, SUMMARY = ("content", "content_index"), ("summary", "summary_index")
PARTS: dict[str, tuple[str, str]] = {
    "response.content_part.added": CONTENT,
    "response.content_part.done": CONTENT,
    "response.reasoning_summary_part.added": SUMMARY,
    "response.reasoning_summary_part.done": SUMMARY,
}
"""Documents that open a part or say it as a whole: the key's member, where its number stands."""

ENTRIES: dict[str, Json] = {
    "response.output_text.delta": {"type": "output_text", "text": ""},
    "response.refusal.delta": {"type": "refusal", "refusal": ""},
    "response.reasoning_text.delta": {"type": "reasoning_text", "text": ""},
    "response.reasoning_summary_text.delta": {"type": "summary_text", "text": ""},
}
"""What a piece opens where no document before it has."""

HOSTS: dict[str, str] = {
    "response.output_text.delta": MESSAGE,
    "response.refusal.delta": MESSAGE,
    "response.reasoning_text.delta": REASONING,
    "response.reasoning_summary_text.delta": REASONING,
    **{f"{event}.delta": kind for kind, event in STREAMED_CALLS.items()},
}
"""The kind of item that a piece belongs to."""

WHOLES: dict[str, tuple[str, str]] = {
    "response.output_text.done": ("response.output_text.delta", "text"),
    "response.refusal.done": ("response.refusal.delta", "refusal"),
    "response.reasoning_text.done": ("response.reasoning_text.delta", "text"),
    "response.reasoning_summary_text.done": ("response.reasoning_summary_text.delta", "text"),
    **{
        f"{event}.done": (f"{event}.delta", CALLS[kind].arguments)
        for kind, event in STREAMED_CALLS.items()
    },
}
"""Documents that say all pieces at once: how the pieces are called, and where the whole stands."""


def key_of(kind: str, document: Mapping[str, Json]) -> Key:
    """The part of its item that a piece of this kind belongs to."""
    content = integer(document.get("content_index")) or 0
    summary = integer(document.get("summary_index")) or 0
    place = quick.Piece(kind, "", 0, content, summary).place()
    assert place is not None
    return place[0]
