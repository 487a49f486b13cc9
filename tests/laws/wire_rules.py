"""What the vendors refuse in a request, in code: rules that no type of their SDKs tells.

Each function takes a request's document as its wire has it and yields what is wrong with it. The
readers know nothing of Arno. Sources: Anthropic, "Tool use", "Prompt caching", "Extended thinking"
and the messages of its 400s; OpenAI, "Function calling" and its 400s; Google, "Function calling";
AWS, Converse API reference and its ValidationExceptions.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

Found = Iterator[str]

PLAIN_ID = re.compile(r"[a-zA-Z0-9_-]+")
PLAIN_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
GEMINI_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
DOCUMENT_NAME = re.compile(r"(?!.*\s\s)[a-zA-Z0-9\s\-()\[\]]{1,200}")
MOST_MARKS = 4
LEAST_BUDGET = 1024


def chat(document: Any) -> Found:
    """Every call has its results right behind it, every result its call; ids of 40 at most."""
    open_: list[str] = []
    for number, message in enumerate(document["messages"]):
        where = f"messages[{number}]"
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_:
                yield f"{where}: a result of no call"
            else:
                open_.remove(message["tool_call_id"])
            continue
        if open_:
            yield f"{where}: calls without results"
        open_ = [call["id"] for call in message.get("tool_calls") or ()]
        if any(len(id_) > 40 for id_ in open_):
            yield f"{where}: an id is too long"
        if message.get("content") in (None, []) and not open_ and "refusal" not in message:
            yield f"{where}: says nothing"


def responses(document: Any) -> Found:
    """Every output has its call somewhere before it, every call an output behind it."""
    asked: dict[str, str] = {}
    items = document["input"] if isinstance(document["input"], list) else []
    for number, item in enumerate(items):
        kind, id_ = item.get("type", "message"), item.get("call_id")
        if kind in ("function_call", "custom_tool_call"):
            asked[id_] = kind
            if not PLAIN_ID.fullmatch(item["name"]) or len(id_) > 64:
                yield f"input[{number}]: its name or id is none"
        elif kind.endswith("_call_output") and asked.pop(id_, "") + "_output" != kind:
            yield f"input[{number}]: an output of no call before it"
        elif kind == "message" and item.get("content") in (None, "", []):
            yield f"input[{number}]: says nothing"
    if asked:
        yield f"calls without outputs: {sorted(asked)}"


def messages(document: Any) -> Found:
    """Results stand first in the very next turn of the user; no text is empty; four marks."""
    turns = document["messages"]
    if turns[0]["role"] != "user":
        yield "messages[0]: is not the user's"
    if str(document).count("'cache_control': {") > MOST_MARKS:
        yield "too many cache marks"
    open_: list[str] = []
    for number, turn in enumerate(turns):
        for problem in _anthropic_turn(turn, open_):
            yield f"messages[{number}]: {problem}"
        open_ = [b["id"] for b in _blocks(turn) if b["type"] == "tool_use"]
    last = (_blocks(turns[-1]) or [{}])[-1]
    if turns[-1]["role"] == "assistant" and last.get("text", "").endswith((" ", "\n")):
        yield "the last turn ends with white space"
    yield from _thinking(document)
    for tool in document.get("tools", ()):
        if "input_schema" in tool and tool["input_schema"].get("type") != "object":
            yield f"{tool['name']}: takes no object"
    if "tool_choice" in document and not document.get("tools"):
        yield "a choice between no tools"


def _blocks(turn: Any) -> list[Any]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _anthropic_turn(turn: Any, open_: list[str]) -> Found:
    blocks = _blocks(turn)
    results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
    if sorted(results) != sorted(open_):
        yield f"results {results} for calls {open_}"
    if any(b["type"] != "tool_result" for b in blocks[: len(results)]):
        yield "results do not stand first"
    if not blocks:
        yield "says nothing"
    for block in blocks:
        if block["type"] == "text" and not block["text"].strip():
            yield "an empty text"
        if block["type"] == "tool_use" and not (
            PLAIN_ID.fullmatch(block["id"]) and PLAIN_NAME.fullmatch(block["name"])
        ):
            yield f"id {block['id']} or name {block['name']} is none"


def _thinking(document: Any) -> Found:
    thinking = document.get("thinking", {})
    if thinking.get("type") == "enabled":
        if not LEAST_BUDGET <= thinking["budget_tokens"] < document["max_tokens"]:
            yield "a budget outside the limits"
        if document.get("temperature", 1) != 1 or "top_k" in document:
            yield "sampling beside thinking"
        if document.get("tool_choice", {}).get("type") in ("any", "tool"):
            yield "a forced tool beside thinking"


def gemini(document: Any) -> Found:
    """As many responses as calls in the very next turn; no turn without parts."""
    open_: list[Any] = []
    for number, turn in enumerate(document["contents"]):
        parts = turn["parts"]
        if not parts:
            yield f"contents[{number}]: says nothing"
        answers = [p["functionResponse"]["name"] for p in parts if "functionResponse" in p]
        if sorted(answers) != sorted(open_):
            yield f"contents[{number}]: responses {answers} for calls {open_}"
        open_ = [p["functionCall"]["name"] for p in parts if "functionCall" in p]
        if turn.get("role") == ("user" if open_ else "model" if answers else None):
            yield f"contents[{number}]: calls and responses are not where they belong"
    if open_:
        yield "calls without responses"
    for tool in document.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            if not GEMINI_NAME.fullmatch(function["name"]):
                yield f"a function named {function['name']}"


def converse(document: Any) -> Found:
    """As for messages, with turns that take turns, tools beside calls, names of documents."""
    turns = document["messages"]
    roles = [turn["role"] for turn in turns]
    if roles[0] != "user" or any(a == b for a, b in pairwise(roles)):
        yield f"turns of {roles}"
    if str(document).count("'cachePoint'") > MOST_MARKS:
        yield "too many cache points"
    open_: list[str] = []
    names: list[str] = []
    for number, turn in enumerate(turns):
        blocks = turn["content"]
        results = [b["toolResult"]["toolUseId"] for b in blocks if "toolResult" in b]
        if sorted(results) != sorted(open_):
            yield f"messages[{number}]: results {results} for calls {open_}"
        if not blocks or any("text" in b and not b["text"].strip() for b in blocks):
            yield f"messages[{number}]: says nothing, or an empty text"
        open_ = [b["toolUse"]["toolUseId"] for b in blocks if "toolUse" in b]
        names += [b["document"]["name"] for b in blocks if "document" in b]
        if open_ and "toolConfig" not in document:
            yield f"messages[{number}]: calls without tools"
    if len(set(names)) < len(names) or not all(map(DOCUMENT_NAME.fullmatch, names)):
        yield f"documents named {names}"


RULES: dict[str, Callable[[Any], Found]] = {
    "chat": chat,
    "responses": responses,
    "messages": messages,
    "gemini": gemini,
    "converse": converse,
}
