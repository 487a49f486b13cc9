"""What a request of this dialect must look like where its decoder relies on it.

Source: OpenAI API reference, "Create a model response"; recorded requests.
"""

from __future__ import annotations

from arno.dialects.bodies import MOST_MESSAGES, MOST_PARTS, MOST_TOOLS
from arno.dialects.shapes import FLAG, INTEGER, NUMBER, OBJECT, TEXT, Each, Either, Fields, Kinds

_TEXT = Fields({"text": TEXT}, needs=("text",))

ENTRY = Kinds(
    "type",
    {
        "input_text": _TEXT,
        "output_text": _TEXT,
        "text": _TEXT,
        "summary_text": _TEXT,
        "reasoning_text": _TEXT,
        "refusal": Fields({"refusal": TEXT}, needs=("refusal",)),
        "input_image": Fields(
            {"image_url": TEXT, "file_id": TEXT, "detail": TEXT}, needs=(("image_url", "file_id"),)
        ),
        "input_file": Fields(
            {"file_data": TEXT, "file_id": TEXT, "file_url": TEXT, "filename": TEXT},
            needs=(("file_data", "file_id", "file_url"),),
        ),
        "input_audio": Fields({"input_audio": Fields({"data": TEXT, "format": TEXT})}),
    },
)

CONTENT = Either(TEXT, Each(ENTRY, MOST_PARTS))

_OUTPUT = Fields({"call_id": TEXT, "output": CONTENT}, needs=("call_id",))

ITEM = Kinds(
    "type",
    {
        "message": Fields({"role": TEXT, "content": CONTENT}, needs=("role", "content")),
        "function_call": Fields(
            {"call_id": TEXT, "name": TEXT, "arguments": Either(TEXT, OBJECT)},
            needs=("call_id", "name"),
        ),
        "function_call_output": _OUTPUT,
        "custom_tool_call": Fields(
            {"call_id": TEXT, "name": TEXT, "input": TEXT}, needs=("call_id", "name")
        ),
        "custom_tool_call_output": _OUTPUT,
        "reasoning": Fields(
            {
                "summary": Each(ENTRY, MOST_PARTS),
                "content": Each(ENTRY, MOST_PARTS),
                "encrypted_content": TEXT,
            }
        ),
    },
    default="message",
)

TOOL = Kinds(
    "type",
    {
        "function": Fields(
            {"name": TEXT, "description": TEXT, "parameters": OBJECT, "strict": FLAG},
            needs=("name",),
        ),
        "custom": Fields({"name": TEXT, "description": TEXT, "format": OBJECT}, needs=("name",)),
    },
)

FORMAT = Kinds("type", {"json_schema": Fields({"schema": OBJECT, "name": TEXT, "strict": FLAG})})

REASONING = Fields(
    {"effort": TEXT, "summary": TEXT, "max_tokens": INTEGER, "exclude": FLAG, "enabled": FLAG}
)

REQUEST = Fields(
    {
        "input": Either(TEXT, Each(ITEM, MOST_MESSAGES)),
        "instructions": Either(TEXT, Each(ITEM, MOST_MESSAGES)),
        "tools": Each(TOOL, MOST_TOOLS),
        "tool_choice": Either(TEXT, Kinds("type", {})),
        "parallel_tool_calls": FLAG,
        "text": Fields({"format": FORMAT, "verbosity": TEXT}),
        "reasoning": REASONING,
        "max_output_tokens": INTEGER,
        "stream": FLAG,
        "store": FLAG,
        "metadata": OBJECT,
        "user": TEXT,
        "include": Each(TEXT, MOST_PARTS),
        "top_logprobs": INTEGER,
        **dict.fromkeys(("temperature", "top_p"), NUMBER),
    }
)
