"""What a messages request must look like where its decoder relies on it.

Source: Anthropic API reference, "Create a Message".
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.dialects.bodies import MOST_MESSAGES, MOST_PARTS, MOST_TOOLS
from arno.dialects.shapes import (
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Each,
    Either,
    Fields,
    Kinds,
    Shape,
)

SOURCE = Kinds(
    "type",
    {
        "base64": Fields({"data": TEXT, "media_type": TEXT}, needs=("data",)),
        "text": Fields({"data": TEXT, "media_type": TEXT}, needs=("data",)),
        "url": Fields({"url": TEXT}, needs=("url",)),
        "file": Fields({"file_id": TEXT}, needs=("file_id",)),
    },
)

_SAID: Mapping[str, Shape] = {
    "text": Fields({"text": TEXT}, needs=("text",)),
    "image": Fields({"source": SOURCE}, needs=("source",)),
    "document": Fields({"source": SOURCE, "title": TEXT, "context": TEXT}, needs=("source",)),
}
"""Blocks that a tool's result may hold as well."""

_RESULT = Fields(
    {
        "tool_use_id": TEXT,
        "content": Either(TEXT, Each(Kinds("type", _SAID), MOST_PARTS)),
        "is_error": FLAG,
    },
    needs=("tool_use_id",),
)

BLOCK = Kinds(
    "type",
    {
        **_SAID,
        "tool_use": Fields({"id": TEXT, "name": TEXT, "input": OBJECT}, needs=("id", "name")),
        "tool_result": _RESULT,
        "thinking": Fields({"thinking": TEXT, "signature": TEXT}, needs=("thinking",)),
        "redacted_thinking": Fields({"data": TEXT}, needs=("data",)),
    },
)

CONTENT = Either(TEXT, Each(BLOCK, MOST_PARTS))
TURN = Fields({"content": CONTENT})

MESSAGE = Kinds("role", dict.fromkeys(("user", "assistant", "system"), TURN), closed=True)

_OWN = Fields(
    {"name": TEXT, "description": TEXT, "input_schema": OBJECT, "strict": FLAG}, needs=("name",)
)

TOOL = Kinds("type", {"custom": _OWN, "": _OWN}, default="custom")

_ANY = Fields({"disable_parallel_tool_use": FLAG})

CHOICE = Kinds(
    "type",
    {
        "auto": _ANY,
        "any": _ANY,
        "none": Fields({}),
        "tool": Fields({"name": TEXT, "disable_parallel_tool_use": FLAG}, needs=("name",)),
    },
)

THINKING = Kinds(
    "type",
    {
        "enabled": Fields({"budget_tokens": INTEGER}),
        "adaptive": Fields({"budget_tokens": INTEGER}),
        "disabled": Fields({}),
    },
)

FORMAT = Kinds("type", {"json_schema": Fields({"schema": OBJECT})})

REQUEST = Fields(
    {
        "messages": Each(MESSAGE, MOST_MESSAGES),
        "system": Either(TEXT, Each(Kinds("type", _SAID), MOST_PARTS)),
        "tools": Each(TOOL, MOST_TOOLS),
        "tool_choice": CHOICE,
        "thinking": THINKING,
        "output_config": Fields({"format": FORMAT, "effort": TEXT}),
        "output_format": FORMAT,
        "stop_sequences": Each(TEXT, MOST_PARTS),
        "max_tokens": INTEGER,
        "stream": FLAG,
        "metadata": Fields({"user_id": TEXT}),
        **dict.fromkeys(("temperature", "top_p", "top_k"), NUMBER),
    }
)
