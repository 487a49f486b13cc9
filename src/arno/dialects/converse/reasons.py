"""Why an answer ended: `stopReason` and canonical reasons. Source: API reference."""

from __future__ import annotations

from arno.canon.response import FinishReason

CANONICAL: dict[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "tool_use": FinishReason.TOOL_CALLS,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "malformed_model_output": FinishReason.ERROR,
    "malformed_tool_use": FinishReason.ERROR,
}
"""The wire's word to the canonical reason; a word that is not here means OTHER."""

WORDS: dict[FinishReason, str] = {
    FinishReason.STOP: "end_turn",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.CONTENT_FILTER: "content_filtered",
    FinishReason.OTHER: "end_turn",
}
"""Canonical reason to the wire's word, where the upstream's own is none of this wire."""

WHOLE = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS})
"""Reasons after which nothing that was begun lacks its end; after any other it may."""


def canonical_reason(word: str, *, has_calls: bool) -> FinishReason:
    """The canonical reason for the wire's word; a turn that asks for tools ended for them (R4)."""
    reason = CANONICAL.get(word, FinishReason.OTHER)
    return FinishReason.TOOL_CALLS if has_calls and reason is FinishReason.STOP else reason


def wire_reason(reason: FinishReason, native: str | None) -> str:
    """The wire's word: the upstream's own where it is this wire's and means the same."""
    if native is not None and CANONICAL.get(native) is reason:
        return native
    return WORDS.get(reason, "end_turn")
