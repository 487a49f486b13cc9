"""The messages dialect as Anthropic speaks it.

Source: Anthropic's API reference (Messages, streaming Messages, errors).
"""

import re

from arno.wire import json
from tests.sdk.upstreams import story
from tests.sdk.upstreams.story import Asked, counted, error_of, headers_of, pieces, stream_of

NAME = "messages"
BASE = "/v1"
PATH = r"/v1/messages(/count_tokens)?"
CANNOT = frozenset({"image_out"})

ARTEFACT = "EqQBCgIYAhIMd2F2ZXMgb24gcm9ja3M+messagesSignature/9A=="
REDACTED = "EmwKAhgBEgy3va3pzix+redactedData/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpP"
IDS = ("toolu_01D7FLrfh4GYq7yT1ULFeyMV", "toolu_015hHyPmqGBrD8TtyNf8oDQE")
ID = re.compile(r"[a-zA-Z0-9_-]+")

ARTEFACTS = (ARTEFACT, REDACTED)
TELLS_REASONING = True
TELLS_USAGE_EARLY = False
HAS_IDS = True

MEMBERS = frozenset(
    "cache_control container context_management inference_geo max_tokens mcp_servers messages"
    " metadata model output_config output_format service_tier stop_sequences stream system"
    " temperature thinking tool_choice tools top_k top_p speed".split()
)

THINKING = [
    {"type": "thinking", "thinking": story.REASONING, "signature": ARTEFACT},
    {"type": "redacted_thinking", "data": REDACTED},
]


def read(request, document, found):
    """What a request asks for."""
    model = document["model"]
    asked = Asked(document, model, bool(document.get("stream")), headers_of(request))
    asked.known(document, MEMBERS, "request")
    asked.counts = bool(found[1])
    asked.require(asked.counts or document.get("max_tokens", 0) > 0, "no max_tokens")
    asked.require("anthropic-version" in asked.headers, "no version header")
    asked.require(asked.headers.keys() & {"x-api-key", "authorization"}, "no key header")
    system = document.get("system") or ""
    texts = [system] if isinstance(system, str) else [block["text"] for block in system]
    asked.system = "".join(texts)
    open_calls = []
    for message in document["messages"]:
        asked.require(message["role"] in ("user", "assistant"), f"role {message['role']}")
        open_calls = _message(asked, message, open_calls)
    asked.require(not open_calls, f"calls without a result: {open_calls}")
    for tool in document.get("tools", ()):
        asked.tools[tool["name"]] = tool.get("input_schema")
    output = (document.get("output_config") or {}).get("format") or document.get("output_format")
    if output:
        asked.require(output["type"] == "json_schema", "a format that is no schema")
        asked.schema = output["schema"]
    return asked


def _message(asked, message, open_calls):
    """Read one message; the calls that the next one must answer."""
    content = message["content"]
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    asked.require(blocks, "a message without content")
    kinds = [block["type"] for block in blocks]
    results = kinds.count("tool_result")
    asked.require(kinds[:results] == ["tool_result"] * results, "results do not come first")
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    asked.require(sorted(answered) == sorted(open_calls), f"{open_calls} answered by {answered}")
    for block in blocks:
        _block(asked, block)
    return [block["id"] for block in blocks if block["type"] == "tool_use"]


def _block(asked, block):
    kind = block["type"]
    if kind == "text":
        asked.require(block["text"], "an empty text block")
        asked.texts.append(block["text"])
    elif kind == "image":
        asked.images.append(block["source"].get("data") or block["source"].get("url"))
    elif kind == "tool_use":
        asked.require(ID.fullmatch(block["id"]), f"id {block['id']}")
        asked.require(isinstance(block["input"], dict), "input is no object")
        asked.calls.append([block["id"], block["name"], json.dumps(block["input"]).decode()])
    elif kind == "tool_result":
        content = block.get("content") or ""
        texts = [content] if isinstance(content, str) else [one.get("text") for one in content]
        asked.results.append([block["tool_use_id"], "".join(filter(None, texts))])
    elif kind == "thinking":
        asked.artefacts.append(block["signature"])
    elif kind == "redacted_thinking":
        asked.artefacts.append(block["data"])
    else:
        asked.problems.append(f"a block of type {kind}")


FINISH = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


def blocks_of(asked):
    """The content of an answer."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    blocks = list(THINKING) if turn.reasoning else []
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    for id, (name, arguments) in zip(IDS, turn.calls, strict=False):
        given = json.loads(arguments)
        blocks.append({"type": "tool_use", "id": id, "name": name, "input": given})
    return blocks, FINISH[turn.finish]


def _usage(asked, output):
    counts = counted(asked.scenario)
    told = {
        "input_tokens": counts.input - counts.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": counts.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    }
    if counts.reasoning and output == counts.output:
        told["output_tokens_details"] = {"thinking_tokens": counts.reasoning}
    return told


def whole(asked):
    """A whole answer."""
    content, reason = blocks_of(asked)
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "harbour-4-2026",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": _usage(asked, counted(asked.scenario).output),
    }


def _opened(block):
    """A block as it opens, and its deltas."""
    kind = block["type"]
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        return {**block, "text": ""}, deltas
    if kind == "thinking":
        texts = pieces(block["thinking"])
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in texts]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {**block, "thinking": "", "signature": ""}, deltas
    if kind == "tool_use":
        texts = ["", *pieces(json.dumps(block["input"]).decode())]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in texts]
        return {**block, "input": {}}, deltas
    return block, []


def events(asked):
    """The documents of a stream."""
    content, reason = blocks_of(asked)
    start = {**whole(asked), "content": [], "stop_reason": None, "usage": _usage(asked, 2)}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(content):
        opened, deltas = _opened(block)
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        if index == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        if asked.scenario in story.BROKEN_OFF:
            return
        yield {"type": "content_block_stop", "index": index}
    usage = _usage(asked, counted(asked.scenario).output)
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": usage}
    yield {"type": "message_stop"}


ERRORS = {
    400: ("invalid_request_error", "This request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    500: ("api_error", "Internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


def _error(status):
    kind, message = ERRORS[status]
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


def _frame(document):
    return b"event: %s\ndata: %s\n\n" % (document["type"].encode(), json.dumps(document))


def answer(asked):
    """The answer to a request."""
    if status := story.STATUS.get(asked.scenario):
        return error_of(json.dumps(_error(status)), status)
    if asked.counts:
        return story.Script.json(json.dumps({"input_tokens": counted(asked.scenario).input}))
    if not asked.stream:
        return story.Script.json(json.dumps(whole(asked)))
    return stream_of(map(_frame, events(asked)), asked.scenario, failed=_frame(_error(529)))
