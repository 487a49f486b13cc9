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
    "recitation": FinishReason.CONTENT_FILTER,
    "blocklist": FinishReason.CONTENT_FILTER,
    "prohibited_content": FinishReason.CONTENT_FILTER,
    "spii": FinishReason.CONTENT_FILTER,
    "error": FinishReason.ERROR,
    "network_error": FinishReason.ERROR,
    "malformed_function_call": FinishReason.ERROR,
}
"""Lower-cased wire word to canonical reason; a word that is not here means OTHER."""

WORDS = frozenset(reason.value for reason in FinishReason) - {FinishReason.OTHER.value}
"""The contract's words for `finish_reason`."""

WHOLE = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS})
"""Reasons after which nothing that was begun lacks its end; after any other it may."""


def canonical_reason(
    word: str | None, native: str | None, *, has_calls: bool
) -> FinishReason | None:
    """The canonical reason for a wire word and the native word beside it; None if neither tells.

    A native word for an error counts whatever stands beside it: hosts call a broken upstream
    "stop". A turn that asks for tools ended for its tools, whatever word was chosen (R4).
    """
    if native and CANONICAL.get(native.lower()) is FinishReason.ERROR:
        return FinishReason.ERROR
    if not word:
        return None
    reason = CANONICAL.get(word.lower(), FinishReason.OTHER)
    if has_calls and reason is FinishReason.STOP:
        return FinishReason.TOOL_CALLS
    return reason


LEGACY_REASON = "function_call"
"""What an answer says that ended for a call in the older words."""


def wire_reason(reason: FinishReason, *, legacy: bool = False) -> str:
    """The word for `finish_reason`, always one of the contract's.

    The contract has none for an unknown end, and a client waits for one: it reads "stop", with
    the upstream's own word beside it as native_finish_reason. Words for an error never come so
    far: they are ERROR. legacy: the call stands in the older words, and so does the reason.
    """
    if legacy and reason is FinishReason.TOOL_CALLS:
        return LEGACY_REASON
    return "stop" if reason is FinishReason.OTHER else reason.value
