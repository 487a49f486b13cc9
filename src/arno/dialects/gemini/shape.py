"""What a generateContent request must look like where its decoder relies on it.

Every member may stand in camel or in snake case. Source: Gemini API reference, "generateContent".
"""

from __future__ import annotations

from collections.abc import Mapping

from arno.canon.ext import Json
from arno.dialects.bodies import MOST_MESSAGES, MOST_PARTS, MOST_TOOLS
from arno.dialects.gemini.pieces import CALL, is_piece
from arno.dialects.shapes import (
    FLAG,
    INTEGER,
    NUMBER,
    OBJECT,
    TEXT,
    Each,
    Either,
    Fields,
    Shape,
)


def _fields(shapes: Mapping[str, Shape], *needs: str) -> Fields:
    return Fields(shapes, needs=needs, snake=True)


class _Call(Fields):
    """A call of a tool; of one that came in pieces all but the first may name no tool."""

    def check(self, value: Json) -> None:
        """Raises RequestError naming the member."""
        if value != {} and not is_piece({CALL: value}):
            super().check(value)


PART = _fields(
    {
        "text": TEXT,
        "thought": FLAG,
        "thoughtSignature": TEXT,
        "inlineData": _fields({"mimeType": TEXT, "data": TEXT}, "data"),
        "fileData": _fields({"mimeType": TEXT, "fileUri": TEXT}, "fileUri"),
        "functionCall": _Call(
            {"id": TEXT, "name": TEXT, "args": OBJECT}, needs=("name",), snake=True
        ),
        "functionResponse": _fields({"id": TEXT, "name": TEXT, "response": OBJECT}, "name"),
    }
)

CONTENT = _fields({"role": TEXT, "parts": Each(PART, MOST_PARTS)})

DECLARATION = _fields(
    {"name": TEXT, "description": TEXT, "parameters": OBJECT, "parametersJsonSchema": OBJECT},
    "name",
)

TOOL = _fields({"functionDeclarations": Each(DECLARATION, MOST_TOOLS)})

CALLING = _fields({"mode": TEXT, "allowedFunctionNames": Each(TEXT, MOST_TOOLS)})

CONFIG = _fields(
    {
        "stopSequences": Each(TEXT, MOST_PARTS),
        "responseMimeType": TEXT,
        "responseSchema": OBJECT,
        "responseJsonSchema": OBJECT,
        "responseModalities": Each(TEXT, MOST_PARTS),
        "thinkingConfig": _fields(
            {"thinkingBudget": INTEGER, "includeThoughts": FLAG, "thinkingLevel": TEXT}
        ),
        "responseLogprobs": FLAG,
        **dict.fromkeys(("maxOutputTokens", "candidateCount", "seed", "logprobs"), INTEGER),
        **dict.fromkeys(("temperature", "topP", "topK"), NUMBER),
        **dict.fromkeys(("presencePenalty", "frequencyPenalty"), NUMBER),
    }
)

REQUEST = _fields(
    {
        "contents": Each(CONTENT, MOST_MESSAGES),
        "systemInstruction": Either(TEXT, CONTENT),
        "tools": Each(TOOL, MOST_TOOLS),
        "toolConfig": _fields({"functionCallingConfig": CALLING}),
        "generationConfig": CONFIG,
        "labels": OBJECT,
    }
)
