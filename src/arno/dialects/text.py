"""Text of other parties made fit for an error message: short, one line, without secrets."""

from __future__ import annotations

import re

MAX_MESSAGE = 2048
"""Characters of an upstream's own text that may travel in a message."""

_MOST_READ = 8 * MAX_MESSAGE
"""Characters that are looked at: what is masked may be longer than what is left of it."""

_SECRET = re.compile(
    r"(?i)\b(?:sk|pk|rk|key|gsk|[a-z]ai|fw|r8|hf)[-_]"
    r"(?:[\w\-]{0,128}(?:\*+|•+|…|\.{3,})[\w\-*•….]{0,128}[\w\-*•…]|[A-Za-z0-9_\-]{8,})"
    r"|\b[\w\-]{1,64}\*{3,}[\w\-*]*"
    r"|\bAIza[A-Za-z0-9_\-]{10,}|\bAKIA[A-Z0-9]{8,}|\beyJ[A-Za-z0-9_\-.]{16,}"
    r"|(?:bearer|basic)\s+[A-Za-z0-9_\-.~+/=]{8,}"
    r"|\b(?:api[-_]?key|key|token|secret|signature|sig)=[^\s&\"'<>]+"
    r"|(?<=://)[^/\s@:]*:[^/\s@]+(?=@)"
)
"""Keys, whole or as hosts quote them with their middle masked; repeats are bounded so that no text
takes longer than its length."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def clean(text: str) -> str:
    """`text` on one line, cut at `MAX_MESSAGE` characters, anything key-like masked."""
    line = _CONTROL.sub(" ", text[:_MOST_READ]).strip()
    masked = _SECRET.sub("[redacted]", line)
    return masked if len(masked) <= MAX_MESSAGE else masked[: MAX_MESSAGE - 1] + "…"
