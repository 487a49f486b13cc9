"""Why an answer ended: its status, and what it says of being incomplete.

Source: OpenAI API reference, "Responses", `status` and `incomplete_details`; recorded answers (one
host writes `complete`).
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.canon.response import FinishReason
from arno.dialects.residue import Document, text

GOOD = frozenset({"completed", "complete"})
INCOMPLETE = "incomplete"
BAD = frozenset({"failed", "cancelled"})
PENDING = frozenset({"queued", "in_progress"})
"""An answer that is made in the background and not there yet; it says no reason."""

INCOMPLETE_REASONS: dict[str, FinishReason] = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}
"""A reason that is not here means OTHER."""

WORDS: dict[FinishReason, str] = {reason: word for word, reason in INCOMPLETE_REASONS.items()}

WHOLE = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS})
"""Reasons after which nothing that was begun lacks its end."""


def decode_ending(
    document: Mapping[str, Json], *, has_calls: bool
) -> tuple[FinishReason | None, str | None]:
    """(canonical reason, the wire's own word) of a response object; (None, None) while it is made.

    A turn that asks for tools is told as completed here: it ended for its tools (R4).
    """
    status = text(document.get("status"))
    if status in PENDING:
        return None, None
    if status == INCOMPLETE:
        details = document.get("incomplete_details")
        word = text(details.get("reason")) if isinstance(details, Mapping) else None
        return INCOMPLETE_REASONS.get(word or "", FinishReason.OTHER), word or INCOMPLETE
    reason = FinishReason.TOOL_CALLS if has_calls else FinishReason.STOP
    return reason, status or "completed"


def encode_ending(reason: FinishReason | None) -> Document:
    """The members `status` and `incomplete_details`.

    This wire has no word for an unknown end: it reads as a good one. An answer that never said
    why it ended is incomplete for no reason that is known.
    """
    word = None if reason is None else WORDS.get(reason)
    if word is not None:
        return {"status": INCOMPLETE, "incomplete_details": {"reason": word}}
    status = INCOMPLETE if reason is None else "completed"
    return {"status": status, "incomplete_details": None}
