"""What two coding agents send, as scripted clients of the shape of `readers.py`, raw over HTTP.

`claude_code` streams Messages as Claude Code does: system blocks and history with cache_control,
tools, thinking, the beta header and query, metadata.user_id, and reads the events as its parser
does. `codex` streams Responses as Codex does: items without ids and some without a type, store
false, encrypted reasoning, prompt_cache_key, and takes the finished items from the stream.
Source: recorded requests of both programs, described in their public issue threads.
"""

import http.client
from urllib.parse import urlsplit

from arno.wire import json
from tests.sdk import grammar
from tests.sdk.jobs import KEY, counts, nothing_read

BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14"
)
USER_ID = "user_5ec1_account__session_0b9ce4a6-8d5e-4f0e-9c57-7d2f3f1d9a55"
SESSION = "0199b1d4-6a0c-7d31-9c5b-2f5f0f6a7b10"
REMINDER = "<system-reminder>The harbour opens at six.</system-reminder>"
CACHED = {"cache_control": {"type": "ephemeral"}}
PATIENCE_S = 30


class RefusedError(Exception):
    """An answer with a bad status, or a failure inside a stream."""

    def __init__(self, status, document, retry_after=None):
        super().__init__(str(document))
        self.status, self.document, self.retry_after = status, document, retry_after


def _post(todo, path, document, headers):
    """(events of a stream, bytes of a whole answer) of a POST. Raises RefusedError."""
    parts = urlsplit(todo["root"])
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_S)
    fields = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **headers}
    try:
        connection.request("POST", parts.path + path, json.dumps(document), fields)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise RefusedError(answer.status, json.loads(body), answer.headers.get("retry-after"))
    return body


def _run(todo, ask):
    found = {"id": todo["id"], "turns": [], "error": None}
    try:
        for _ in range(2):
            turn = nothing_read()
            found["turns"].append(turn)
            ask(turn)
            if not turn["calls"]:
                break
    except RefusedError as caught:
        if found["turns"][-1] == nothing_read():
            found["turns"].pop()
        found["error"] = {
            "kind": "RefusedError",
            "status": caught.status,
            "message": str(caught.document),
            "retry_after": caught.retry_after,
        }
    return found


# Claude Code.


def _claude_code_request(todo):
    system = [
        {"type": "text", "text": "You are Claude Code.\n", **CACHED},
        {"type": "text", "text": todo["system"], **CACHED},
    ]
    content = [
        {"type": "text", "text": REMINDER},
        {"type": "text", "text": todo["prompt"], **CACHED},
    ]
    request = {
        "model": todo["model"],
        "max_tokens": 32000,
        "stream": True,
        "system": system,
        "messages": [{"role": "user", "content": content}],
        "tools": [
            {
                "name": name,
                "description": f"Tells the {name}.",
                "input_schema": {
                    "$schema": "http://json-schema.org/draft-07/schema#",
                    "additionalProperties": False,
                    **schema,
                },
            }
            for name, schema in todo["tools"]
        ],
        "metadata": {"user_id": USER_ID},
    }
    if todo["thinking"]:
        request["thinking"] = {"type": "enabled", "budget_tokens": 31999}
    else:
        request["temperature"] = 1
    return request


CLAUDE_CODE_HEADERS = {
    "anthropic-version": "2023-06-01",
    "anthropic-beta": BETAS,
    "anthropic-dangerous-direct-browser-access": "true",
    "user-agent": "claude-cli/2.0.14 (external, cli)",
    "x-app": "cli",
    "x-stainless-helper-method": "stream",
}

SLOT = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


def _claude_code_read(turn, body):
    """The content of a message, block by block, as deltas come."""
    blocks = []
    for _, data in grammar.sse(body):
        event = json.loads(data.encode())
        kind = event["type"]
        if kind == "error":
            turn["text"] = "".join(block.get("text", "") for block in blocks)
            raise RefusedError(None, event["error"])
        if kind == "content_block_start":
            blocks.append({**event["content_block"]})
        elif kind == "content_block_delta":
            slot = SLOT[event["delta"]["type"]]
            block = blocks[event["index"]]
            block[slot] = block.get(slot, "") + event["delta"][slot]
        elif kind == "message_delta":
            turn["finish"] = event["delta"]["stop_reason"]
            usage = event["usage"]
    _claude_code_turn(turn, blocks, usage)
    return blocks


ENDS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


def _claude_code_turn(turn, blocks, usage):
    for block in blocks:
        turn["text"] += block.get("text", "")
        turn["reasoning"] += block.get("thinking", "")
        if block["type"] == "tool_use":
            given = block.pop("partial_json", "") or "{}"
            block["input"] = json.loads(given.encode())
            turn["calls"].append([block["id"], block["name"], given])
    turn["finish"] = ENDS.get(turn["finish"], "content_filter")
    cached = usage.get("cache_read_input_tokens")
    parts = (cached or 0) + (usage.get("cache_creation_input_tokens") or 0)
    details = usage.get("output_tokens_details") or {}
    turn["usage"] = counts(
        usage["input_tokens"] + parts,
        usage["output_tokens"],
        cached,
        details.get("thinking_tokens"),
    )


def claude_code(todo):
    """Claude Code's conversation."""
    request = _claude_code_request(todo)

    def ask(turn):
        body = _post(todo, "/v1/messages?beta=true", request, CLAUDE_CODE_HEADERS)
        blocks = _claude_code_read(turn, body)
        request["messages"].append({"role": "assistant", "content": blocks})
        if turn["calls"]:
            results = [
                {"type": "tool_result", "tool_use_id": id, "content": todo["results"][name]}
                for id, name, _ in turn["calls"]
            ]
            results[-1].update(CACHED)
            reminder = {"type": "text", "text": REMINDER}
            request["messages"].append({"role": "user", "content": [*results, reminder]})

    return _run(todo, ask)


def claude_code_count(todo):
    """Claude Code's question before a conversation: the document that answers it."""
    request = _claude_code_request(todo)
    counted = {name: request[name] for name in ("model", "messages", "tools")}
    path = "/v1/messages/count_tokens?beta=true"
    return json.loads(_post(todo, path, counted, CLAUDE_CODE_HEADERS))


# Codex.


def _codex_request(todo):
    context = f"<environment_context>{REMINDER}</environment_context>"
    return {
        "model": todo["model"],
        "instructions": todo["system"],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": context}]},
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": todo["prompt"]}],
            },
        ],
        "tools": [
            {
                "type": "function",
                "name": name,
                "description": f"Tells the {name}.",
                "strict": False,
                "parameters": {**schema, "additionalProperties": False},
            }
            for name, schema in todo["tools"]
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "medium", "summary": "auto"} if todo["thinking"] else None,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"] if todo["thinking"] else [],
        "prompt_cache_key": SESSION,
    }


CODEX_HEADERS = {
    "accept": "text/event-stream",
    "openai-beta": "responses=experimental",
    "originator": "codex_cli_rs",
    "session_id": SESSION,
    "user-agent": "codex_cli_rs/0.46.0 (Linux; x86_64)",
}

KEPT = {
    "message": ("type", "role", "content"),
    "reasoning": ("type", "summary", "encrypted_content"),
    "function_call": ("type", "name", "arguments", "call_id"),
}
"""What of an item goes back: no ids."""


def _codex_read(turn, body):
    """The items that are done, once the response is completed."""
    items, completed = [], None
    for _, data in grammar.sse(body):
        event = json.loads(data.encode())
        kind = event["type"]
        if kind == "response.output_text.delta":
            turn["text"] += event["delta"]
        elif kind == "response.output_item.done":
            items.append(event["item"])
        elif kind in ("response.failed", "error"):
            raise RefusedError(None, event)
        elif kind in ("response.completed", "response.incomplete"):
            completed = event["response"]
    if completed is None:
        raise RefusedError(None, "stream closed before response.completed")
    turn["text"] = ""
    _codex_turn(turn, items, completed)
    return items


def _codex_turn(turn, items, completed):
    for item in items:
        if item["type"] == "function_call":
            turn["calls"].append([item["call_id"], item["name"], item["arguments"]])
        elif item["type"] == "reasoning":
            parts = [*item["summary"], *(item.get("content") or ())]
            turn["reasoning"] += "".join(part["text"] for part in parts)
        elif item["type"] == "message":
            turn["refused"] |= any("refusal" in part for part in item["content"])
            texts = [part.get("text") or part.get("refusal") for part in item["content"]]
            turn["text"] += "".join(texts)
    why = (completed.get("incomplete_details") or {}).get("reason")
    ends = {"max_output_tokens": "length", "content_filter": "content_filter"}
    turn["finish"] = ends.get(why) or ("tool_calls" if turn["calls"] else "stop")
    usage = completed["usage"]
    turn["usage"] = counts(
        usage["input_tokens"],
        usage["output_tokens"],
        (usage.get("input_tokens_details") or {}).get("cached_tokens"),
        (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )


def codex(todo):
    """Codex's conversation."""
    request = _codex_request(todo)

    def ask(turn):
        items = _codex_read(turn, _post(todo, "/v1/responses", request, CODEX_HEADERS))
        for item in items:
            back = {name: item[name] for name in KEPT.get(item["type"], ()) if name in item}
            if item["type"] == "reasoning":
                back["content"] = None
            if back:
                request["input"].append(back)
        request["input"] += [
            {"type": "function_call_output", "call_id": id, "output": todo["results"][name]}
            for id, name, _ in turn["calls"]
        ]

    return _run(todo, ask)


AGENTS = {"claude-code": claude_code, "codex": codex}
"""Every agent; both stream only."""

AGENT_SPEAKS = {"claude-code": "messages", "codex": "responses"}
