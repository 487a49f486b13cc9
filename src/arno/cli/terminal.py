"""What models say, made safe for a terminal, and a little colour where there is one."""

from __future__ import annotations

import os
import re
from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

BOLD, DIM, GREEN, CYAN, YELLOW, RED = "1", "2", "32", "36", "33", "31"


def inert(text: str) -> str:
    """`text` with control characters shown, so that no model output steers the terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


class Paint:
    """Colours text if the stream is a terminal that wants colours (NO_COLOR is respected)."""

    def __init__(self, stream: TextIO) -> None:
        self.is_terminal = stream.isatty()
        self._on = self.is_terminal and not os.environ.get("NO_COLOR")

    def __call__(self, text: str, *codes: str) -> str:
        """`text` in the styles named by `codes`."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self._on and codes else text
