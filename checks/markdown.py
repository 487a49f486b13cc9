"""The fenced code blocks of a Markdown file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^ {0,3}(`{3,})(.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block: its language (the first word after the fence), text and first line."""

    language: str
    text: str
    line: int


def blocks(markdown: str) -> Iterator[Block]:
    """The fenced blocks in order; an unclosed one ends with the file, as CommonMark has it."""
    fence, language, start = "", "", 0
    collected: list[str] = []
    for number, line in enumerate(markdown.splitlines(), 1):
        found = FENCE.match(line)
        if not fence:
            if found:
                fence, language, start = found[1], (found[2].split() or [""])[0], number
                collected = []
        elif found and found[1].startswith(fence) and not found[2].strip():
            yield Block(language, "\n".join(collected), start)
            fence = ""
        else:
            collected.append(line)
    if fence:
        yield Block(language, "\n".join(collected), start)
