"""What models say, made safe for a terminal, and a little colour where there is one."""

from __future__ import annotations

import os
import re
from typing import TextIO

# Control characters but tab and line feed, and the marks that turn the direction of text.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

BOLD, DIM, GREEN, CYAN, YELLOW, RED = "1", "2", "32", "36", "33", "31"


def inert(text: str) -> str:
    """`text` with control characters shown, so that no model output steers the terminal."""
    return _CONTROL.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class Paint:
    """Colours text if the stream is a terminal that wants colours (NO_COLOR is respected)."""

    def __init__(self, stream: TextIO) -> None:
        dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
        self._on = stream.isatty() and not dumb

    def __call__(self, text: str, *codes: str) -> str:
        """`text` in the styles named by `codes`."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._on and codes else text
