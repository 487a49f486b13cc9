"""Why an answer ended: the words of `stop_reason` and the canonical ones.

Source: Anthropic, "Handling stop reasons"; the SDK's type `StopReason`.
"""

from __future__ import annotations

from arno.canon.response import FinishReason

CANONICAL: dict[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.CONTENT_FILTER,
    "pause_turn": FinishReason.OTHER,
    "compaction": FinishReason.OTHER,
}
"""Wire word to canonical reason; a word that is not here means OTHER."""

WORDS: dict[FinishReason, str] = {
    FinishReason.STOP: "end_turn",
    FinishReason.LENGTH: "max_tokens",
    FinishReason.TOOL_CALLS: "tool_use",
    FinishReason.CONTENT_FILTER: "refusal",
    FinishReason.OTHER: "end_turn",
    FinishReason.ERROR: "end_turn",
}
"""Canonical reason to the word that says it where the upstream's own word does not.

The wire has no word for an unknown end, and clients wait for one: it reads as the plain good end.
Errors never come so far: they are failures.
"""

WHOLE = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS})
"""Reasons after which nothing that was begun lacks its end; after any other it may."""


def canonical_reason(word: str | None, *, has_calls: bool) -> FinishReason | None:
    """The canonical reason for a wire word, None for none.

    A turn that asks the client for tools ended for its tools, whatever word was chosen (R4).
    """
    if word is None:
        return None
    reason = CANONICAL.get(word, FinishReason.OTHER)
    return FinishReason.TOOL_CALLS if has_calls and reason is FinishReason.STOP else reason


def wire_reason(reason: FinishReason, native: str | None, *, has_calls: bool) -> str:
    """The word for `stop_reason`: the upstream's own where it is this wire's and says the same.

    A client that is asked to run tools is never told of a plain good end (R4).
    """
    if native is not None and CANONICAL.get(native) is reason:
        return native
    word = WORDS[reason]
    return "tool_use" if has_calls and CANONICAL[word] is FinishReason.STOP else word
