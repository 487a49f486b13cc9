"""The chat dialect as its vendors speak it.

Source: OpenAI's API reference (chat completions); reasoning and images as OpenRouter's.
"""

from arno.wire import json
from tests.sdk.upstreams import story
from tests.sdk.upstreams.story import Asked, counted, error_of, headers_of, pieces, stream_of

NAME = "chat"
BASE = "/v1"
PATH = r"/v1/chat/completions"
CANNOT: frozenset[str] = frozenset()

ARTEFACT = "ErUBCkYIBhgCIkDchatSignature=="
IDS = ("call_h7PbKq2mXw9RtYzUoIpAsDfG", "call_Zx1Cv2Bn3Mm4Ll5Kk6Jj7Hh8")

ARTEFACTS = (ARTEFACT,)
TELLS_REASONING = True
TELLS_USAGE_EARLY = False
HAS_IDS = True

MEMBERS = frozenset(
    "audio frequency_penalty logit_bias logprobs max_completion_tokens max_tokens messages metadata"
    " modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key"
    " prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier"
    " stop store stream stream_options temperature tool_choice tools top_logprobs top_p user"
    " verbosity web_search_options"
    # What OpenRouter and many hosts add.
    " reasoning top_k min_p top_a repetition_penalty".split()
)


def read(request, document, _found):
    """What a request asks for."""
    asked = Asked(document, document["model"], bool(document.get("stream")), headers_of(request))
    asked.known(document, MEMBERS, "request")
    asked.require(asked.headers.get("authorization", "").startswith("Bearer "), "no bearer")
    open_calls = []
    for message in document["messages"]:
        open_calls = _message(asked, message, open_calls)
    asked.require(not open_calls, f"calls without a result: {open_calls}")
    for tool in document.get("tools", ()):
        function = tool["function"]
        asked.tools[function["name"]] = function.get("parameters")
    output = document.get("response_format") or {}
    if output.get("type") == "json_schema":
        asked.require("name" in output["json_schema"], "a schema without a name")
        asked.schema = output["json_schema"]["schema"]
    return asked


def _message(asked, message, open_calls):
    """Read one message; the calls that wait for a result after it."""
    role = message["role"]
    asked.require(role in ("system", "developer", "user", "assistant", "tool"), f"role {role}")
    if role == "tool":
        asked.require(message["tool_call_id"] in open_calls, "a result without its call before it")
        asked.results.append([message["tool_call_id"], _text(asked, message["content"])])
        return [one for one in open_calls if one != message["tool_call_id"]]
    asked.require(not open_calls, f"calls without a result: {open_calls}")
    text = _text(asked, message.get("content"))
    if role in ("system", "developer"):
        asked.system += text
    else:
        asked.texts.append(text)
    calls = message.get("tool_calls") or []
    for call in calls:
        asked.calls.append([call["id"], call["function"]["name"], call["function"]["arguments"]])
        asked.require(call["type"] == "function", "a call without a type")
    for detail in message.get("reasoning_details") or ():
        asked.artefacts += [detail[name] for name in ("signature", "data") if detail.get(name)]
    return [call["id"] for call in calls]


def _text(asked, content):
    if content is None or isinstance(content, str):
        return content or ""
    text = ""
    for part in content:
        if part["type"] == "text":
            text += part["text"]
        elif part["type"] == "image_url":
            asked.images.append(part["image_url"]["url"].partition(";base64,")[2])
        else:
            asked.problems.append(f"a part of type {part['type']}")
    return text


def _call(number, call):
    name, arguments = call
    function = {"name": name, "arguments": arguments}
    return {"id": IDS[number], "type": "function", "function": function}


def _details(text):
    return [
        {
            "type": "reasoning.text",
            "text": text,
            "signature": ARTEFACT,
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ]


IMAGES = [
    {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{story.IMAGE}"},
        "index": 0,
    }
]

SPECIAL = {"refusal": {"content": None, "refusal": story.REFUSAL}}
"""Messages that do not follow from the story."""

FINISH = {"content_filter": "stop"}
"""A refusal in words ends as any answer."""


def _usage(asked):
    counts = counted(asked.scenario)
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning or 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def message_of(asked):
    """The message of an answer, as whole answers have it."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    message = {"role": "assistant", "content": turn.text or None, "refusal": None}
    if turn.calls:
        message["tool_calls"] = [_call(*pair) for pair in enumerate(turn.calls)]
    if turn.reasoning:
        message["reasoning"] = turn.reasoning
        message["reasoning_details"] = _details(turn.reasoning)
    if turn.images:
        message["images"] = IMAGES
    return {**message, **SPECIAL.get(asked.scenario, {})}, FINISH.get(turn.finish, turn.finish)


def whole(asked):
    """A whole answer."""
    message, finish = message_of(asked)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return {
        "id": "chatcmpl-DlQm7CjzSxkW3rnE",
        "object": "chat.completion",
        "created": 1782000000,
        "model": "harbour-2026-05",
        "choices": [choice],
        "usage": _usage(asked),
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _deltas(message):
    yield {"role": "assistant", "content": "", "refusal": None}
    for piece in pieces(message.get("reasoning") or ""):
        detail = {
            "type": "reasoning.text",
            "text": piece,
            "format": "anthropic-claude-v1",
            "index": 0,
        }
        yield {"reasoning": piece, "reasoning_details": [detail]}
    for detail in message.get("reasoning_details") or ():
        yield {"reasoning_details": [{**detail, "text": ""}]}
    for piece in pieces(message["content"] or ""):
        yield {"content": piece}
    for piece in pieces(message.get("refusal") or ""):
        yield {"refusal": piece}
    if message.get("images"):
        yield {"images": message["images"]}
    for index, call in enumerate(message.get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        opened = {**call, "function": {**call["function"], "arguments": ""}}
        yield {"tool_calls": [{"index": index, **opened}]}
        for piece in pieces(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def chunks(asked):
    """The documents of a stream."""
    message, finish = message_of(asked)
    head = {
        "id": "chatcmpl-DlQm7CjzSxkW3rnE",
        "object": "chat.completion.chunk",
        "created": 1782000000,
        "model": "harbour-2026-05",
        "service_tier": "default",
        "system_fingerprint": None,
    }

    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**head, "choices": [choice], "usage": None}

    yield from map(chunk, _deltas(message))
    if asked.scenario not in story.BROKEN_OFF:
        yield chunk({}, finish)
        yield {**head, "choices": [], "usage": _usage(asked)}


ERRORS = {
    400: ("invalid_request_error", None, "This request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    500: ("server_error", None, "The server had an error."),
    529: ("server_error", "overloaded", "Overloaded."),
}
"""Status to type, code and message."""


def _error(status):
    kind, code, message = ERRORS[status]
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def answer(asked):
    """The answer to a request."""
    if status := story.STATUS.get(asked.scenario):
        return error_of(json.dumps(_error(status)), status)
    if not asked.stream:
        return story.Script.json(json.dumps(whole(asked)))
    frames = [b"data: " + json.dumps(document) + b"\n\n" for document in chunks(asked)]
    if asked.scenario not in story.BROKEN_OFF:
        frames.append(b"data: [DONE]\n\n")
    failed = b"data: " + json.dumps(_error(500)) + b"\n\n"
    return stream_of(frames, asked.scenario, failed=failed)
