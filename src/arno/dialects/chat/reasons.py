"""Why an answer ended: the words on the wire and the canonical ones.

Source: finish and native finish reasons of recorded traffic (OpenRouter contract, section 4.3).
"""

from __future__ import annotations

from arno.canon.response import FinishReason

CANONICAL: dict[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "completed": FinishReason.STOP,
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "eos": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    "safety": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
}
"""Lower-cased wire word to canonical reason; a word that is not here means OTHER."""

CUT_SHORT = frozenset({FinishReason.LENGTH, FinishReason.CONTENT_FILTER})
"""Reasons after which what was said last may lack its end."""


def canonical_reason(word: str, *, has_calls: bool) -> FinishReason:
    """The canonical reason for a wire word.

    A turn that asks for tools ended for its tools, whatever word the upstream chose (R4).
    """
    reason = CANONICAL.get(word.lower(), FinishReason.OTHER)
    if has_calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    return reason


def wire_reason(reason: FinishReason, native: str | None) -> str:
    """The word for `finish_reason`; an unknown reason keeps the upstream's own word."""
    if reason is FinishReason.OTHER:
        return native or "stop"
    return reason.value
