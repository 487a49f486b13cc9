"""The table of dialects: one line each; and the operations beside them that clients may ask for.

An operation beside a dialect has its own request and answer, and all the rest of the dialect whose
package it stands in (failures, headers, framing). There are two kinds:

completions  a request that is wrapped as one of its dialect, so that endpoints of any can serve it;
embeddings   a request that only endpoints of its dialect serve, as it is (`NATIVE_AT`).
"""

from __future__ import annotations

from arno.dialects.base import Dialect
from arno.dialects.chat import ChatDialect
from arno.dialects.chat.completions import CompletionsDialect
from arno.dialects.chat.embeddings import EmbeddingsOperation
from arno.dialects.converse import ConverseDialect
from arno.dialects.gemini import GeminiDialect
from arno.dialects.messages import MessagesDialect
from arno.dialects.responses import ResponsesDialect

DIALECTS: dict[str, Dialect] = {
    "chat": ChatDialect(),
    "messages": MessagesDialect(),
    "converse": ConverseDialect(),
    "responses": ResponsesDialect(),
    "gemini": GeminiDialect(),
}

CLIENTS: dict[str, Dialect] = {
    **DIALECTS,
    "completions": CompletionsDialect(),
    "embeddings": EmbeddingsOperation(),
}
"""What a client may speak: every dialect, and operations that are asked in their own shape."""

NATIVE_AT: dict[str, str] = {"embeddings": "chat"}
"""Operations that endpoints of a dialect serve as they are asked: name to dialect."""


def is_native(client: str, upstream: str) -> bool:
    """True if endpoints of dialect `upstream` read what `client` (of `CLIENTS`) asks."""
    return upstream == NATIVE_AT.get(client, client)


def can_serve(client: str, upstream: str) -> bool:
    """True if endpoints of dialect `upstream` can serve `client`, translated where they must."""
    return is_native(client, upstream) or client not in NATIVE_AT
