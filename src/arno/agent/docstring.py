"""Docstrings as a source of descriptions: the first paragraph and the parameter section.

The section is Google style: a line `Args:` (or `Arguments:`, `Parameters:`), then indented
`name: text` or `name (type): text`, continued on lines that are indented further.
"""

from __future__ import annotations

import inspect
import re

import msgspec

_SECTION = re.compile(r"(?:args|arguments|parameters):\s*", re.IGNORECASE)
_ENTRY = re.compile(r"\*{0,2}(?P<name>\w+)(?:\s*\([^)]*\))?\s*:\s*(?P<text>.*)")


class Docstring(msgspec.Struct, frozen=True):
    """summary: the first paragraph on one line, None if there is none; parameters by name."""

    summary: str | None = None
    parameters: dict[str, str] = {}


def parse_docstring(text: str | None) -> Docstring:
    """Read what a docstring says about a function; anything not understood is left out."""
    if not text:
        return Docstring()
    lines = inspect.cleandoc(text).splitlines()
    return Docstring(_summary(lines), _parameters(lines))


def _summary(lines: list[str]) -> str | None:
    paragraph: list[str] = []
    for line in lines:
        if not line.strip() or _SECTION.fullmatch(line):
            break
        paragraph.append(line.strip())
    return " ".join(paragraph) or None


def _parameters(lines: list[str]) -> dict[str, str]:
    start = next((i for i, line in enumerate(lines) if _SECTION.fullmatch(line)), None)
    if start is None:
        return {}
    found: dict[str, list[str]] = {}
    indent: int | None = None
    name = ""
    for line in lines[start + 1 :]:
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        if depth == 0 and start > 0:  # below a first line the margin is taken off (PEP 257)
            break
        indent = depth if indent is None else indent
        entry = _ENTRY.fullmatch(line.strip()) if depth <= indent else None
        if entry is not None:
            name = entry["name"]
            found[name] = [entry["text"]]
        elif name:
            found[name].append(line.strip())
    return {key: " ".join(filter(None, pieces)) for key, pieces in found.items() if any(pieces)}
