"""Bad requests in every client dialect, as data: part D of the behaviour spec, rows about bodies.

A face is one operation as its clients ask it: a good request that holds every kind of member, and
what may be wrong with it. A row changes one member of the good request.

    for row in FACES["messages"].rows: row.body(FACES["messages"].good("some/model"))
"""

import copy
import re
from dataclasses import dataclass
from typing import Any

from arno.wire import json

ABSENT = object()
"""The member is left out."""

NEAR, FAR = "near", "far"
"""Judged whoever serves the request; judged only where it is told in another dialect."""

STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def steps(path):
    """`a.b[0]` as ["a", "b", 0]."""
    return [name or int(index) for name, index in STEP.findall(path)]


def changed(document, path, value):
    """A copy with another value at `path`."""
    document = copy.deepcopy(document)
    *way, last = steps(path)
    place = document
    for step in way:
        place = place[step]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return document


@dataclass(frozen=True)
class Row:
    """One member with a wrong value. judged: NEAR or FAR; named: what the complaint names."""

    path: str
    value: Any
    judged: str = FAR
    named: str = ""

    @property
    def name(self):
        """Short, for a test's id."""
        value = "absent" if self.value is ABSENT else repr(self.value)
        return f"{self.path}={value[:24]}"

    def body(self, good):
        """The request as bytes."""
        return json.dumps(changed(good, self.path, self.value))


def rows(judged, table, named=""):
    """Rows of a table: path to wrong values."""
    return [Row(path, value, judged, named) for path, values in table.items() for value in values]


Values = dict[str, tuple[Any, ...]]
LIMITS: tuple[Any, ...] = (-1, 0, 10**18, "5", True, [], {})
MODELS: tuple[Any, ...] = ({"a": 1}, "", "x" * 2**20, "a\n\x1b[31m", 5, [], True, None, ABSENT)
NO_TEXT: tuple[Any, ...] = (5, True, {}, [])
NO_NUMBER: tuple[Any, ...] = ("hot", True, {}, [])
NO_OBJECT: tuple[Any, ...] = (5, True, "x", [])
NO_SCHEMA: tuple[Any, ...] = (5, True, "x", [5])
"""An empty array passes for an empty object, which PHP cannot write otherwise."""

NO_ARRAY: tuple[Any, ...] = (5, True, "x", {})
NO_FLAG: tuple[Any, ...] = ("yes", 5, {}, [])
NO_LIST: tuple[Any, ...] = ([], {}, 5, "x", None, ABSENT)
OPERATORS: Values = {name: ("http://10.0.0.1/v1",) for name in ("api_base", "base_url", "api_key")}
ROUTING: Values = {
    "provider": (5, "x", []),
    "models": (5, "x", {}, [5], ["x" * 300]),
    "session_id": (5,),
}

SCHEMA = {"type": "object", "properties": {"port": {"type": "string"}}}
PICTURE = "data:image/png;base64,aWNo"


@dataclass(frozen=True)
class Face:
    """One operation. path: with `{model}` where the model stands in it; upstreams: the provider
    dialect that reads it as it is (None: none does) and one that does not.
    """

    path: str
    document: Any
    rows: tuple
    near: str | None
    far: str | None
    dialect: str
    text: str
    limit: str | None = None
    number: str | None = None
    many: tuple = ()

    def good(self, model):
        """A request that nothing is wrong with."""
        return self.document if "{model}" in self.path else {**self.document, "model": model}

    def target(self, model):
        """The path for a model."""
        return self.path.replace("{model}", model)


CHAT = {
    "messages": [
        {"role": "system", "content": "You keep a harbour."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {"type": "image_url", "image_url": {"url": PICTURE}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "tide", "arguments": "{}"},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rising"},
        {"role": "user", "content": "And now?"},
    ],
    "max_tokens": 50,
    "temperature": 0.5,
    "top_p": 0.5,
    "stop": ["END"],
    "stream": False,
    "tools": [{"type": "function", "function": {"name": "tide", "parameters": SCHEMA}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "berth", "schema": SCHEMA}},
    "reasoning_effort": "low",
}
CALL, FUNCTION = "messages[2].tool_calls[0]", "tools[0].function"
CHAT_ROWS = (
    *rows(NEAR, {"model": MODELS, "messages": NO_LIST, "max_tokens": LIMITS}),
    *rows(NEAR, {"max_completion_tokens": LIMITS, "n": (0, -1, 1_000_000, "5", 10**18)}),
    *rows(NEAR, {"stream": NO_FLAG, "user": NO_TEXT, **OPERATORS, **ROUTING}),
    *rows(
        FAR,
        {
            "messages[1]": (5, "x", [], None),
            "messages[1].role": ("nobody", 5, {}, ABSENT, None, ""),
            "messages[1].content": (5, {}, True),
            "messages[1].content[0]": (5, "x", []),
            "messages[1].content[0].type": (5, ABSENT),
            "messages[1].content[0].text": (*NO_TEXT, ABSENT),
            "messages[1].content[1].image_url": (5, [], {}, ABSENT),
            "messages[1].content[1].image_url.url": (*NO_TEXT, ABSENT),
            "messages[2].tool_calls": (5, "x", {}),
            CALL: (5, "x", []),
            f"{CALL}.id": (5, {}, [], ABSENT),
            f"{CALL}.function": (5, "x", [], ABSENT),
            f"{CALL}.function.name": (*NO_TEXT, ABSENT),
            f"{CALL}.function.arguments": (5, [5], True),
            "messages[3].tool_call_id": (5, {}, [], ABSENT),
            "messages[3].content": (5, {}),
            "tools": NO_ARRAY,
            "tools[0]": (5, "x", []),
            FUNCTION: (5, "x", [], ABSENT),
            f"{FUNCTION}.name": (*NO_TEXT, ABSENT),
            f"{FUNCTION}.description": NO_TEXT,
            f"{FUNCTION}.parameters": NO_SCHEMA,
            f"{FUNCTION}.strict": NO_FLAG,
            "tool_choice": (5, True, [], "whatever", {}, {"type": "function"}),
            "parallel_tool_calls": NO_FLAG,
            "response_format": (5, True, [], "json", {"type": "shape"}),
            "response_format.json_schema": (5, "x", []),
            "response_format.json_schema.schema": NO_SCHEMA,
            "stop": (5, True, {}, [5], [["END"]]),
            "temperature": NO_NUMBER,
            "top_p": NO_NUMBER,
            "reasoning": (5, True, [], "high"),
            "reasoning_effort": NO_TEXT,
            "seed": ("5", {}, []),
        },
    ),
    *(
        Row("reasoning", {name: word}, FAR, f"reasoning.{name}")
        for name, word in (("effort", 5), ("max_tokens", "5"), ("enabled", "yes"), ("summary", 5))
    ),
)

RESPONSES = {
    "instructions": "You keep a harbour.",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Hi"},
                {"type": "input_image", "image_url": PICTURE},
            ],
        },
        {"type": "function_call", "call_id": "c1", "name": "tide", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "rising"},
        {"role": "user", "content": "And now?"},
    ],
    "max_output_tokens": 50,
    "temperature": 0.5,
    "stream": False,
    "tools": [{"type": "function", "name": "tide", "parameters": SCHEMA, "strict": False}],
    "tool_choice": "auto",
    "text": {"format": {"type": "json_schema", "name": "berth", "schema": SCHEMA}},
    "reasoning": {"effort": "low"},
    "store": False,
}
RESPONSES_ROWS = (
    *rows(NEAR, {"model": MODELS, "max_output_tokens": LIMITS}),
    *rows(NEAR, {"input": ([], {}, 5, True, "", None, ABSENT)}),
    *rows(NEAR, {"stream": NO_FLAG, "user": NO_TEXT, **OPERATORS, **ROUTING}),
    *rows(NEAR, {"background": ("yes", 5)}),
    *rows(
        FAR,
        {
            "input[0]": (5, "x", [], None),
            "input[0].role": ("nobody", 5, {}, None),
            "input[0].content": (5, {}, True, ABSENT),
            "input[0].content[0]": (5, "x", []),
            "input[0].content[0].type": (5, ABSENT),
            "input[0].content[0].text": (*NO_TEXT, ABSENT),
            "input[0].content[1].image_url": (*NO_TEXT, ABSENT),
            "input[1].type": (5,),
            "input[1].call_id": (5, {}, [], ABSENT),
            "input[1].name": (*NO_TEXT, ABSENT, ""),
            "input[1].arguments": (5, [5], True),
            "input[2].call_id": (5, {}, [], ABSENT),
            "input[2].output": (5, {}, True),
            "instructions": (5, True, {}),
            "tools": (5, True, "x", {"a": 1}),
            "tools[0]": (5, "x", []),
            "tools[0].type": (5, ABSENT),
            "tools[0].name": (*NO_TEXT, ABSENT),
            "tools[0].description": NO_TEXT,
            "tools[0].parameters": NO_SCHEMA,
            "tools[0].strict": NO_FLAG,
            "tool_choice": (5, True, [], "whatever", {}, {"type": "function"}),
            "parallel_tool_calls": NO_FLAG,
            "text": (5, True, [], "json"),
            "text.format": (5, True, [], "json", {"type": "shape"}),
            "text.format.schema": NO_SCHEMA,
            "temperature": NO_NUMBER,
            "top_p": NO_NUMBER,
            "reasoning": (5, True, [], "high"),
            "reasoning.effort": NO_TEXT,
            "reasoning.summary": NO_TEXT,
        },
    ),
)

MESSAGES = {
    "system": "You keep a harbour.",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Hi"},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "aWNo"},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c1", "name": "tide", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "rising"},
                {"type": "text", "text": "And now?"},
            ],
        },
    ],
    "tools": [{"name": "tide", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
}
FIRST, USE, RESULT = (
    "messages[0].content",
    "messages[1].content[0]",
    "messages[2].content[0]",
)
MESSAGES_ROWS = (
    *rows(NEAR, {"model": MODELS, "messages": NO_LIST, **OPERATORS, **ROUTING}),
    *rows(
        FAR,
        {
            "messages[0]": (5, "x", [], None),
            "messages[0].role": ("nobody", 5, {}, ABSENT, None, ""),
            FIRST: (5, {}, True),
            f"{FIRST}[0]": (5, "x", []),
            f"{FIRST}[0].type": (5, ABSENT),
            f"{FIRST}[0].text": (*NO_TEXT, ABSENT),
            f"{FIRST}[1].source": (5, "x", [], ABSENT),
            f"{FIRST}[1].source.data": (*NO_TEXT, ABSENT),
            f"{USE}.id": (5, {}, [], ABSENT),
            f"{USE}.name": (*NO_TEXT, ABSENT),
            f"{USE}.input": NO_SCHEMA,
            f"{RESULT}.tool_use_id": (5, {}, [], ABSENT),
            f"{RESULT}.content": (5, {}, True),
            f"{RESULT}.is_error": ("yes", 5),
            "system": (5, True, {}, [5]),
            "tools": NO_ARRAY,
            "tools[0]": (5, "x", []),
            "tools[0].name": (*NO_TEXT, ABSENT),
            "tools[0].description": NO_TEXT,
            "tools[0].input_schema": NO_SCHEMA,
            "tool_choice": (5, True, [], "auto", {}, {"type": "tool"}),
            "thinking": (5, True, [], "enabled", {}),
            "thinking.budget_tokens": ("5", True, {}, []),
        },
    ),
)
BAD_FORMATS: tuple[Any, ...] = (
    *(5, "x", [], {"type": "shape"}),
    {"type": "json_schema", "schema": 5},
)
SPOKEN = {"max_tokens": 2048, "stop_sequences": ["END"], "stream": False, "temperature": 1}
SPOKEN_ROWS = (
    *rows(NEAR, {"max_tokens": LIMITS, "stream": NO_FLAG, "metadata": (5, "x", [])}),
    *rows(NEAR, {"fallbacks": (5, "x", {}, [5], [{}])}),
    *rows(
        FAR,
        {
            "stop_sequences": (5, True, "END", {}, [5]),
            "temperature": NO_NUMBER,
            "top_p": NO_NUMBER,
            "top_k": NO_NUMBER,
            "output_config": (5, "x", []),
            "tool_choice": ({"type": "whatever"},),
        },
    ),
    *(
        Row("output_config", {"format": format_}, FAR, "output_config.format")
        for format_ in BAD_FORMATS
    ),
)

GEMINI = {
    "systemInstruction": {"parts": [{"text": "You keep a harbour."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "Hi"},
                {"inlineData": {"mimeType": "image/png", "data": "aWNo"}},
            ],
        },
        {"role": "model", "parts": [{"functionCall": {"id": "c1", "name": "tide", "args": {}}}]},
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "tide", "response": {"output": "x"}}}
            ],
        },
        {"role": "user", "parts": [{"text": "And now?"}]},
    ],
    "tools": [{"functionDeclarations": [{"name": "tide", "parametersJsonSchema": SCHEMA}]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {
        "maxOutputTokens": 50,
        "temperature": 0.5,
        "stopSequences": ["END"],
        "candidateCount": 1,
        "thinkingConfig": {"thinkingBudget": 1024},
    },
}
CONFIG, DECLARED = "generationConfig", "tools[0].functionDeclarations[0]"
GEMINI_ROWS = (
    *rows(NEAR, {"contents": NO_LIST, CONFIG: NO_OBJECT, **OPERATORS, **ROUTING}),
    *rows(NEAR, {f"{CONFIG}.maxOutputTokens": LIMITS, f"{CONFIG}.candidateCount": (0, 10**6)}),
    *rows(
        FAR,
        {
            "contents[0]": (5, "x", [], None),
            "contents[0].role": ("nobody", 5, {}),
            "contents[0].parts": (5, "x", {}),
            "contents[0].parts[0]": (5, "x", []),
            "contents[0].parts[0].text": NO_TEXT,
            "contents[0].parts[1].inlineData": (5, "x", []),
            "contents[0].parts[1].inlineData.data": (*NO_TEXT, ABSENT),
            "contents[1].parts[0].functionCall": (5, "x", []),
            "contents[1].parts[0].functionCall.name": (*NO_TEXT, ABSENT),
            "contents[1].parts[0].functionCall.args": NO_SCHEMA,
            "contents[2].parts[0].functionResponse": (5, "x", []),
            "contents[2].parts[0].functionResponse.name": (*NO_TEXT, ABSENT),
            "contents[2].parts[0].functionResponse.response": NO_SCHEMA,
            "systemInstruction": (5, True, []),
            "tools": NO_ARRAY,
            "tools[0]": (5, "x", []),
            "tools[0].functionDeclarations": (5, "x", {}),
            DECLARED: (5, "x", []),
            f"{DECLARED}.name": (*NO_TEXT, ABSENT),
            f"{DECLARED}.description": NO_TEXT,
            f"{DECLARED}.parametersJsonSchema": NO_SCHEMA,
            "toolConfig": NO_OBJECT,
            "toolConfig.functionCallingConfig": NO_OBJECT,
            "toolConfig.functionCallingConfig.mode": ("WHATEVER", 5, {}),
            f"{CONFIG}.temperature": NO_NUMBER,
            f"{CONFIG}.topP": NO_NUMBER,
            f"{CONFIG}.stopSequences": (5, "END", {}, [5]),
            f"{CONFIG}.thinkingConfig": NO_OBJECT,
            f"{CONFIG}.thinkingConfig.thinkingBudget": ("5", True, {}, []),
            f"{CONFIG}.responseMimeType": (5, {}, "image/png"),
            f"{CONFIG}.seed": ("5", {}),
        },
    ),
)

COMPLETIONS = {"prompt": "Hi", "max_tokens": 50, "temperature": 0.5, "stop": ["END"]}
COMPLETIONS_ROWS = (
    *rows(NEAR, {"model": MODELS, "max_tokens": LIMITS, "stream": NO_FLAG, "user": NO_TEXT}),
    *rows(NEAR, {"prompt": (5, True, {}, [], "", None, ABSENT, [5, 6], ["a", "b"])}),
    *rows(NEAR, {"n": (0, -1, 1_000_000, "5"), "best_of": (5, 10**6, "x"), **OPERATORS, **ROUTING}),
    *rows(
        FAR,
        {
            "stop": (5, True, {}, [5]),
            "temperature": NO_NUMBER,
            "top_p": NO_NUMBER,
            "seed": ("5", {}),
            "reasoning": (5, True, [], "high"),
        },
    ),
)

EMBEDDINGS = {"input": ["Hi", "there"]}
EMBEDDINGS_ROWS = (
    *rows(NEAR, {"model": MODELS, "input": ([], {}, 5, True, "", None, ABSENT)}),
    *rows(NEAR, {"stream": ("yes", 5, True), "user": NO_TEXT, **OPERATORS, **ROUTING}),
)

FACES = {
    "chat": Face(
        "/v1/chat/completions",
        CHAT,
        CHAT_ROWS,
        "chat",
        "messages",
        "chat",
        "messages[4].content",
        "max_tokens",
        "temperature",
        ("messages", "tools"),
    ),
    "responses": Face(
        "/v1/responses",
        RESPONSES,
        RESPONSES_ROWS,
        "responses",
        "chat",
        "responses",
        "input[3].content",
        "max_output_tokens",
        "temperature",
        ("input", "tools"),
    ),
    "messages": Face(
        "/v1/messages",
        {**MESSAGES, **SPOKEN},
        (*MESSAGES_ROWS, *SPOKEN_ROWS),
        "messages",
        "chat",
        "messages",
        "messages[2].content[1].text",
        "max_tokens",
        "temperature",
        ("messages", "tools"),
    ),
    "count_tokens": Face(
        "/v1/messages/count_tokens",
        MESSAGES,
        MESSAGES_ROWS,
        "messages",
        "chat",
        "messages",
        "messages[2].content[1].text",
        None,
        "temperature",
        ("messages", "tools"),
    ),
    "gemini": Face(
        "/v1beta/models/{model}:generateContent",
        GEMINI,
        GEMINI_ROWS,
        "gemini",
        "chat",
        "gemini",
        "contents[3].parts[0].text",
        f"{CONFIG}.maxOutputTokens",
        f"{CONFIG}.temperature",
        ("contents", "tools"),
    ),
    "gemini_stream": Face(
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        GEMINI,
        GEMINI_ROWS,
        "gemini",
        "chat",
        "gemini",
        "contents[3].parts[0].text",
        f"{CONFIG}.maxOutputTokens",
        f"{CONFIG}.temperature",
        ("contents", "tools"),
    ),
    "completions": Face(
        "/v1/completions",
        COMPLETIONS,
        COMPLETIONS_ROWS,
        None,
        "messages",
        "chat",
        "prompt",
        "max_tokens",
        "temperature",
    ),
    "embeddings": Face(
        "/v1/embeddings", EMBEDDINGS, EMBEDDINGS_ROWS, "chat", None, "chat", "input[0]"
    ),
}


@dataclass(frozen=True)
class Told:
    """A part of a kind that nobody knows: as it is to who may know it, else dropped and told."""

    path: str
    value: Any


UNKNOWN = {"type": "hologram", "data": {"deep": [1]}}
TOLD = {
    "chat": (Told("messages[1].content[0]", UNKNOWN), Told("foo_bar", 1)),
    "responses": (Told("input[0].content[0]", UNKNOWN), Told("input[1].type", "hologram_call")),
    "messages": (Told(f"{FIRST}[0]", UNKNOWN), Told("foo_bar", 1)),
    "gemini": (Told("contents[0].parts[0]", {"hologram": {"a": 1}}), Told("fooBar", 1)),
}

ADDRESSES = (
    "http://169.254.169.254/latest/meta-data",
    "http://{canary}/x.png",
    "http://127.1:{port}/x.png",
    "http://2130706433:{port}/x.png",
    "http://0x7f000001:{port}/x.png",
    "http://[::ffff:7f00:1]:{port}/x.png",
    "http://localhost:{port}/x.png",
    "file:///etc/passwd",
    "gopher://{canary}/x",
)
"""Where no picture may be fetched from; `{canary}` is a server that counts who comes."""

PICTURES: dict[str, tuple[str, Any]] = {
    "chat": ("messages[1].content[1].image_url.url", lambda url: url),
    "responses": ("input[0].content[1].image_url", lambda url: url),
    "messages": (f"{FIRST}[1].source", lambda url: {"type": "url", "url": url}),
    "gemini": (
        "contents[0].parts[1]",
        lambda url: {"fileData": {"mimeType": "image/png", "fileUri": url}},
    ),
}
"""Where a picture's address stands in the good request, and how."""
