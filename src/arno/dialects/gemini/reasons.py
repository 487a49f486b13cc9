"""Why an answer ended: `finishReason` and the canonical reasons.

Source: Gemini API reference, "FinishReason" and "BlockReason"; recorded traffic.
"""

from __future__ import annotations

from arno.canon.response import FinishReason

R = FinishReason

CANONICAL: dict[str, FinishReason] = {
    "STOP": R.STOP,
    "MAX_TOKENS": R.LENGTH,
    "SAFETY": R.CONTENT_FILTER,
    "RECITATION": R.CONTENT_FILTER,
    "BLOCKLIST": R.CONTENT_FILTER,
    "PROHIBITED_CONTENT": R.CONTENT_FILTER,
    "SPII": R.CONTENT_FILTER,
    "MODEL_ARMOR": R.CONTENT_FILTER,
    "IMAGE_SAFETY": R.CONTENT_FILTER,
    "IMAGE_PROHIBITED_CONTENT": R.CONTENT_FILTER,
    "IMAGE_RECITATION": R.CONTENT_FILTER,
    "LANGUAGE": R.OTHER,
    "OTHER": R.OTHER,
    "IMAGE_OTHER": R.OTHER,
    "NO_IMAGE": R.OTHER,
    "CONTINUATION": R.OTHER,
    "MALFORMED_FUNCTION_CALL": R.ERROR,
    "MALFORMED_RESPONSE": R.ERROR,
    "MISSING_THOUGHT_SIGNATURE": R.ERROR,
    "UNEXPECTED_TOOL_CALL": R.ERROR,
    "TOO_MANY_TOOL_CALLS": R.ERROR,
}
"""The wire's word to the canonical reason; a word that is not here means OTHER."""

CALLED = frozenset({"STOP", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})
"""Words of a turn that asks for tools when calls stand in it, even if the model should not have:
whoever runs the tools can tell it so, which is how such an answer is mended."""

CUT = frozenset({R.LENGTH, R.CONTENT_FILTER})
"""Reasons of an answer that stopped before it had said all: its last call may not be whole."""

WORDS: dict[FinishReason, str] = {
    R.STOP: "STOP",
    R.TOOL_CALLS: "STOP",
    R.LENGTH: "MAX_TOKENS",
    R.CONTENT_FILTER: "SAFETY",
    R.ERROR: "OTHER",
    R.OTHER: "STOP",
}
"""Canonical reason to the word for it, where the upstream's own is another wire's."""


def canonical_reason(word: str, *, has_calls: bool) -> FinishReason:
    """The canonical reason for a wire word; a turn of calls that ended well ended for them (R4)."""
    if has_calls and word in CALLED:
        return R.TOOL_CALLS
    return CANONICAL.get(word, R.OTHER)


def wire_reason(reason: FinishReason, native: str | None, *, has_calls: bool) -> str:
    """The word for `finishReason`: the upstream's own if it is one of this wire's and says so."""
    if native in CANONICAL and canonical_reason(native, has_calls=has_calls) is reason:
        return native
    return WORDS[reason]
