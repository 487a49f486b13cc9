"""The responses dialect as OpenAI speaks it.

Source: OpenAI's API reference (Responses, streaming events, reasoning items).
"""

from itertools import count

from arno.wire import json
from tests.sdk.upstreams import story
from tests.sdk.upstreams.story import Asked, counted, error_of, headers_of, pieces, stream_of

NAME = "responses"
BASE = "/v1"
PATH = r"/v1/responses"
CANNOT: frozenset[str] = frozenset()

ARTEFACT = "gAAAAABqPBJkfbXpQ205JdlqVjV2responsesEncrypted-content_0aW_w=="
IDS = ("call_EDay3PkaZNpmYHDVyeY69wF9", "call_8rTfG6hJkL0pQwErTyUiOp12")

ARTEFACTS = (ARTEFACT,)
TELLS_REASONING = True
TELLS_USAGE_EARLY = False
HAS_IDS = True

MEMBERS = frozenset(
    "background context_management conversation include input instructions max_output_tokens"
    " max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt"
    " prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier"
    " service_tier store stream stream_options temperature text tool_choice tools top_logprobs"
    " top_p truncation user".split()
)


def read(request, document, _found):
    """What a request asks for."""
    model = document["model"]
    asked = Asked(document, model, bool(document.get("stream")), headers_of(request))
    asked.known(document, MEMBERS, "request")
    asked.require(asked.headers.get("authorization", "").startswith("Bearer "), "no bearer")
    asked.system = document.get("instructions") or ""
    given = document["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _item(asked, item)
    calls = [id for id, _, _ in asked.calls]
    answered = [id for id, _ in asked.results]
    asked.require(calls == answered, f"{calls} answered by {answered}")
    for tool in document.get("tools") or ():
        if tool["type"] == "function":
            asked.tools[tool["name"]] = tool.get("parameters")
    output = (document.get("text") or {}).get("format") or {}
    if output.get("type") == "json_schema":
        asked.require("name" in output, "a schema without a name")
        asked.schema = output["schema"]
    return asked


def _item(asked, item):
    kind = item.get("type", "message")
    if kind == "message":
        _message(asked, item)
    elif kind == "function_call":
        asked.require(len(item["call_id"]) <= 64, "a long call_id")
        asked.require(not item.get("id") or item["id"].startswith("fc"), f"id {item.get('id')}")
        asked.calls.append([item["call_id"], item["name"], item["arguments"]])
    elif kind == "function_call_output":
        asked.results.append([item["call_id"], _text(asked, item["output"])])
    elif kind == "reasoning":
        asked.require(isinstance(item.get("summary"), list), "reasoning without a summary")
        asked.require(not item.get("id") or item["id"].startswith("rs"), f"id {item.get('id')}")
        if item.get("encrypted_content"):
            asked.artefacts.append(item["encrypted_content"])
    else:
        asked.problems.append(f"an item of type {kind}")


PLACES = {"user": ("input_text", "input_image"), "assistant": ("output_text", "refusal")}


def _message(asked, item):
    role, content = item["role"], item["content"]
    asked.require(role in ("system", "developer", "user", "assistant"), f"role {role}")
    if not isinstance(content, str):
        legal = PLACES.get(role, ("input_text",))
        wrong = [part["type"] for part in content if part["type"] not in legal]
        asked.require(not wrong, f"parts of a {role} message: {wrong}")
    text = _text(asked, content)
    if role in ("system", "developer"):
        asked.system += text
    else:
        asked.texts.append(text)


def _text(asked, content):
    if isinstance(content, str):
        return content
    for part in content:
        if part["type"] == "input_image":
            asked.images.append(part["image_url"].partition(";base64,")[2])
    return "".join(part.get("text", "") for part in content)


SPECIAL = {"refusal": [{"type": "refusal", "refusal": story.REFUSAL}]}


def _items(asked):
    """The output items of an answer, finished."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    if turn.reasoning:
        yield {
            "id": "rs_0c6e197b73d08e53016a3c12649ee48191b28ab7",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": turn.reasoning}],
            "encrypted_content": ARTEFACT,
        }
    if turn.text:
        text = {"type": "output_text", "text": turn.text, "annotations": [], "logprobs": []}
        cut = turn.finish == "length"
        yield {
            "id": "msg_0c6e197b73d08e53016a3c1265a0e08191b5a5b9",
            "type": "message",
            "status": "incomplete" if cut else "completed",
            "role": "assistant",
            "content": SPECIAL.get(asked.scenario, [text]),
        }
    if turn.images:
        yield {
            "id": "ig_0c6e197b73d08e53016a3c12660004819190aa11",
            "type": "image_generation_call",
            "status": "completed",
            "result": story.IMAGE,
        }
    for number, (name, arguments) in enumerate(turn.calls):
        yield {
            "id": f"fc_0c6e197b73d08e53016a3c1266504c8191975a5{number}",
            "type": "function_call",
            "status": "completed",
            "arguments": arguments,
            "call_id": IDS[number],
            "name": name,
        }


def _usage(asked):
    counts = counted(asked.scenario)
    return {
        "input_tokens": counts.input,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": 0},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning or 0},
        "total_tokens": counts.input + counts.output,
    }


def _response(asked, status, **members):
    return {
        "id": "resp_0c6e197b73d08e53016a3c126426ec81918293fa",
        "object": "response",
        "created_at": 1782321764,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "harbour-o4-2026",
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": "high", "summary": "detailed"},
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
        **members,
    }


def whole(asked):
    """A whole answer."""
    output, usage = list(_items(asked)), _usage(asked)
    if story.SCENARIOS[asked.scenario][asked.turn].finish == "length":
        why = {"reason": "max_output_tokens"}
        return _response(asked, "incomplete", output=output, usage=usage, incomplete_details=why)
    return _response(asked, "completed", output=output, usage=usage, completed_at=1782321769)


def _summary(item):
    at = {"item_id": item["id"], "summary_index": 0}
    text = item["summary"][0]["text"]
    yield "reasoning_summary_part.added", {**at, "part": {"type": "summary_text", "text": ""}}
    for piece in pieces(text):
        yield "reasoning_summary_text.delta", {**at, "delta": piece, "obfuscation": "x7Yq"}
    yield "reasoning_summary_text.done", {**at, "text": text}
    yield "reasoning_summary_part.done", {**at, "part": item["summary"][0]}


def _content(item):
    at, [part] = {"item_id": item["id"], "content_index": 0}, item["content"]
    slot = "refusal" if part["type"] == "refusal" else "text"
    said = {} if slot == "refusal" else {"logprobs": []}
    kind = "refusal" if slot == "refusal" else "output_text"
    yield "content_part.added", {**at, "part": {**part, slot: ""}}
    for piece in pieces(part[slot]):
        yield f"{kind}.delta", {**at, "delta": piece, **said}
    yield f"{kind}.done", {**at, slot: part[slot], **said}
    yield "content_part.done", {**at, "part": part}


def _arguments(item):
    at = {"item_id": item["id"]}
    for piece in pieces(item["arguments"]):
        yield "function_call_arguments.delta", {**at, "delta": piece, "obfuscation": "0kQ"}
    done = {"arguments": item["arguments"], "name": item["name"]}
    yield "function_call_arguments.done", {**at, **done}


def _image(item):
    at = {"item_id": item["id"]}
    yield "image_generation_call.in_progress", at
    yield "image_generation_call.generating", at
    yield "image_generation_call.completed", at


INNER = {
    "reasoning": _summary,
    "message": _content,
    "function_call": _arguments,
    "image_generation_call": _image,
}
OPENED = {
    "reasoning": {"summary": [], "encrypted_content": "gAAAAABqPBJkfirst=="},
    "message": {"content": [], "status": "in_progress"},
    "function_call": {"arguments": "", "status": "in_progress"},
    "image_generation_call": {"result": None, "status": "in_progress"},
}
"""What an item that has just been added has not got yet."""


def _events(asked):
    """(type without "response.", members) of a stream."""
    yield "created", {"response": _response(asked, "in_progress")}
    yield "in_progress", {"response": _response(asked, "in_progress")}
    for index, item in enumerate(_items(asked)):
        at = {"output_index": index}
        kind = item["type"]
        yield "output_item.added", {**at, "item": {**item, **OPENED[kind]}}
        inner = [(name, {**at, **members}) for name, members in INNER[kind](item)]
        if asked.scenario in story.BROKEN_OFF:
            yield from inner[:-2]
            return
        yield from inner
        yield "output_item.done", {**at, "item": item}
    last = whole(asked)
    yield last["status"], {"response": last}


def events(asked):
    """The documents of a stream."""
    numbers = count()
    for name, members in _events(asked):
        yield {"type": f"response.{name}", **members, "sequence_number": next(numbers)}


ERRORS = {
    400: ("invalid_request_error", None, "This request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    429: ("tokens", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error."),
    529: ("server_error", "overloaded", "Overloaded."),
}


def _failed(asked):
    error = {"code": "server_error", "message": "The server had an error."}
    response = _response(asked, "failed", error=error)
    return {"type": "response.failed", "response": response, "sequence_number": 99}


def _frame(document):
    return b"event: %s\ndata: %s\n\n" % (document["type"].encode(), json.dumps(document))


def answer(asked):
    """The answer to a request."""
    if status := story.STATUS.get(asked.scenario):
        kind, code, message = ERRORS[status]
        error = {"message": message, "type": kind, "param": None, "code": code}
        return error_of(json.dumps({"error": error}), status)
    if not asked.stream:
        return story.Script.json(json.dumps(whole(asked)))
    frames = map(_frame, events(asked))
    return stream_of(frames, asked.scenario, failed=_frame(_failed(asked)))
