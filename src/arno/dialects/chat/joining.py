"""Messages of another dialect's request in the order that the wire wants.

Nothing may stand between a message with calls and its results, and no message may say nothing.
Elsewhere the model may say two turns in a row, and a turn may hold only what this wire has not.
Source: OpenAI API, "An assistant message with 'tool_calls' must be followed by tool messages".
"""

from __future__ import annotations

from collections.abc import Sequence

from arno.canon.ext import Json, Loss, is_empty
from arno.dialects.residue import Document

CALLS, CONTENT = "tool_calls", "content"
LISTS = (CALLS, "reasoning_details")
STRUCTURE = frozenset({"role", "name", CONTENT})


def add(messages: list[Document], more: Sequence[Document], path: str) -> list[Loss]:
    """Put the documents of one message behind the others; path: of the canonical message."""
    losses: list[Loss] = []
    for document in more:
        last = messages[-1] if messages else {}
        if _says_nothing(document):
            continue
        if last.get(CALLS) and document["role"] == last["role"]:
            if not is_empty(document.get(CONTENT)):
                why = "turns of the model that follow each other are one message here"
                losses.append(Loss(path, "approximated", why))
            messages[-1] = _joined(last, document)
        else:
            messages.append(document)
    return losses


def _says_nothing(document: Document) -> bool:
    """True for a message of which nothing is left."""
    return document.get(CONTENT, "") is None and not document.keys() - STRUCTURE


def _joined(first: Document, second: Document) -> Document:
    document: Document = {**first, **{k: v for k, v in second.items() if k != CONTENT}}
    for member in LISTS:
        both = [*first.get(member, []), *second.get(member, [])]
        if both:
            document[member] = both
    contents = [first.get(CONTENT), second.get(CONTENT)]
    said = [content for content in contents if not is_empty(content)]
    if len(said) == 2:
        document[CONTENT] = [entry for content in said for entry in _entries(content)]
    elif said:
        document[CONTENT] = said[0]
    return document


def _entries(content: Json) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]
