"""What a chat request must look like where its decoder relies on it.

Source: OpenAI API reference, "Create chat completion"; the gateway contract, section 3.
"""

from __future__ import annotations

from arno.dialects.bodies import MOST_MESSAGES, MOST_PARTS, MOST_TOOLS
from arno.dialects.shapes import (
    ARRAY,
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Each,
    Either,
    Fields,
    Kinds,
)

_VISUAL = Fields({"url": TEXT, "detail": TEXT}, needs=("url",))
_AUDIO = Fields({"data": TEXT, "format": TEXT}, needs=("data",))
_FILE = Fields(
    {"file_data": TEXT, "file_id": TEXT, "filename": TEXT}, needs=(("file_data", "file_id"),)
)

BLOCK = Kinds(
    "type",
    {
        "text": Fields({"text": TEXT}, needs=("text",)),
        "image_url": Fields({"image_url": _VISUAL}, needs=("image_url",)),
        "video_url": Fields({"video_url": _VISUAL}, needs=("video_url",)),
        "input_audio": Fields({"input_audio": _AUDIO}, needs=("input_audio",)),
        "file": Fields({"file": _FILE}, needs=("file",)),
    },
)

CONTENT = Either(TEXT, Each(BLOCK, MOST_PARTS))

_CALLED = Fields({"name": TEXT, "arguments": Either(TEXT, OBJECT)}, needs=("name",))
_ASKED = Fields({"name": TEXT, "input": Either(TEXT, OBJECT)}, needs=("name",))

CALL = Kinds(
    "type",
    {
        "function": Fields({"id": TEXT, "function": _CALLED}, needs=("id", "function")),
        "custom": Fields({"id": TEXT, "custom": _ASKED}, needs=("id", "custom")),
    },
    default="function",
)

_SPOKEN = Fields({"content": CONTENT})

MESSAGE = Kinds(
    "role",
    {
        "assistant": Fields(
            {
                "content": CONTENT,
                "tool_calls": Each(CALL, MOST_PARTS),
                "function_call": _CALLED,
                "reasoning_details": ARRAY,
                "refusal": TEXT,
            }
        ),
        "tool": Fields({"content": CONTENT, "tool_call_id": TEXT}, needs=("tool_call_id",)),
        "function": Fields({"content": CONTENT, "name": TEXT}),
        "user": _SPOKEN,
        "system": _SPOKEN,
        "developer": _SPOKEN,
    },
    closed=True,
)

_FUNCTION = Fields(
    {"name": TEXT, "description": TEXT, "parameters": OBJECT, "strict": FLAG}, needs=("name",)
)
_CUSTOM = Fields({"name": TEXT, "description": TEXT}, needs=("name",))

TOOL = Kinds(
    "type",
    {
        "function": Fields({"function": _FUNCTION}, needs=("function",)),
        "custom": Fields({"custom": _CUSTOM}, needs=("custom",)),
    },
    default="function",
)

_SCHEMA = Fields({"schema": OBJECT, "name": TEXT, "strict": FLAG})

FORMAT = Kinds("type", {"json_schema": Fields({"json_schema": _SCHEMA}, needs=("json_schema",))})

REASONING = Fields(
    {"effort": TEXT, "max_tokens": INTEGER, "summary": TEXT, "exclude": FLAG, "enabled": FLAG}
)

REQUEST = Fields(
    {
        "messages": Each(MESSAGE, MOST_MESSAGES),
        "tools": Each(TOOL, MOST_TOOLS),
        "functions": Each(_FUNCTION, MOST_TOOLS),
        "tool_choice": Either(TEXT, Kinds("type", {})),
        "function_call": Either(TEXT, Fields({"name": TEXT}, needs=("name",))),
        "parallel_tool_calls": FLAG,
        "response_format": FORMAT,
        "stop": Either(TEXT, Each(TEXT, MOST_PARTS)),
        "reasoning": REASONING,
        "reasoning_effort": TEXT,
        "max_tokens": INTEGER,
        "max_completion_tokens": INTEGER,
        "stream_options": Fields({"include_usage": FLAG}),
        "stream": FLAG,
        "n": INTEGER,
        "metadata": OBJECT,
        "user": TEXT,
        "seed": INTEGER,
        "logprobs": FLAG,
        "top_logprobs": INTEGER,
        "logit_bias": OBJECT,
        **dict.fromkeys(("temperature", "top_p", "top_k", "min_p"), NUMBER),
        **dict.fromkeys(("frequency_penalty", "presence_penalty", "repetition_penalty"), NUMBER),
    }
)
