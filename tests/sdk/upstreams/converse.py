"""The converse dialect as Amazon Bedrock speaks it, its binary event stream included.

Source: Amazon Bedrock's API reference (Converse, ConverseStream) and the event stream encoding.
Requests are checked by botocore against the service's own model.
"""

import functools
import re
import struct
import zlib
from urllib.parse import unquote

import botocore.session
from botocore.validate import ParamValidator

from arno.wire import json
from tests.sdk.upstreams import story
from tests.sdk.upstreams.story import Asked, counted, error_of, headers_of, pieces
from tests.transport.upstream import End, Script

NAME = "converse"
BASE = ""
PATH = r"/model/(?P<model>[^/]+)/(?P<verb>converse|converse-stream)"
CANNOT = frozenset({"image_out"})

ARTEFACT = (
    "Bw0TGR8lKzE3PUNJT1VbYWdtc3l/hYuRl52jqa+1u8HHzdPZ3+Xr8ff9//77IHNpZ25hdHVyZSBvZiBj"
    "b252ZXJzZSD7774="
)
ARTEFACTS = (ARTEFACT,)
TELLS_REASONING = False
TELLS_USAGE_EARLY = False
HAS_IDS = True

IDS = ("tooluse_AbFzl4JzQNAtgEfnacertb", "tooluse_Qk3mN8vXTzWc1JrYh5LpSg")
ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@functools.cache
def _shape(name):
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model(name).input_shape


def read(request, document, found):
    """What a request asks for."""
    streamed = found["verb"] == "converse-stream"
    asked = Asked(document, unquote(found["model"]), streamed, headers_of(request))
    given = _with_bytes({**document, "modelId": asked.model})
    report = ParamValidator().validate(given, _shape("ConverseStream" if streamed else "Converse"))
    asked.require(not report.has_errors(), report.generate_report())
    asked.require("authorization" in asked.headers, "no authorization")
    asked.system = "".join(block.get("text", "") for block in document.get("system") or ())
    open_calls, last = [], ""
    for message in document["messages"]:
        asked.require(message["role"] in ("user", "assistant"), f"role {message['role']}")
        asked.require(message["role"] != last, "two messages of one role in a row")
        last, open_calls = message["role"], _message(asked, message, open_calls)
    asked.require(not open_calls, f"calls without a result: {open_calls}")
    config = document.get("toolConfig") or {}
    asked.require(config.get("tools") or not asked.calls, "calls without a tool config")
    for tool in config.get("tools", ()):
        if spec := tool.get("toolSpec"):
            asked.tools[spec["name"]] = spec["inputSchema"]["json"]
    output = (document.get("outputConfig") or {}).get("textFormat")
    if output:
        asked.schema = json.loads(output["structure"]["jsonSchema"]["schema"].encode())
    return asked


def _with_bytes(value):
    """A request as botocore takes it: base64 of the wire is bytes there."""
    if isinstance(value, dict):
        return {
            name: one.encode() if name in ("bytes", "redactedContent") else _with_bytes(one)
            for name, one in value.items()
        }
    return [_with_bytes(one) for one in value] if isinstance(value, list) else value


def _message(asked, message, open_calls):
    """Read one message; the calls that the next one must answer."""
    blocks = message["content"]
    asked.require(blocks, "a message without content")
    kinds = [next(iter(block)) for block in blocks]
    results = kinds.count("toolResult")
    asked.require(kinds[:results] == ["toolResult"] * results, "results do not come first")
    answered = [b["toolResult"]["toolUseId"] for b in blocks if "toolResult" in b]
    asked.require(sorted(answered) == sorted(open_calls), f"{open_calls} answered by {answered}")
    for block in blocks:
        _block(asked, block)
    return [block["toolUse"]["toolUseId"] for block in blocks if "toolUse" in block]


def _block(asked, block):
    if "text" in block:
        asked.require(block["text"].strip(), "an empty text block")
        asked.texts.append(block["text"])
    elif "image" in block:
        asked.images.append(block["image"]["source"]["bytes"])
    elif use := block.get("toolUse"):
        asked.require(ID.fullmatch(use["toolUseId"]), f"id {use['toolUseId']}")
        asked.require(isinstance(use["input"], dict), "input is no object")
        asked.calls.append([use["toolUseId"], use["name"], json.dumps(use["input"]).decode()])
    elif result := block.get("toolResult"):
        texts = [
            one.get("text") or json.dumps(one.get("json")).decode() for one in result["content"]
        ]
        asked.results.append([result["toolUseId"], "".join(texts)])
    elif reasoning := block.get("reasoningContent"):
        text = reasoning.get("reasoningText") or {}
        artefact = text.get("signature") or reasoning.get("redactedContent")
        if artefact:
            asked.artefacts.append(artefact)


FINISH = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "content_filtered",
}


def _blocks(asked):
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    if turn.reasoning:
        text = {"text": turn.reasoning, "signature": ARTEFACT}
        yield {"reasoningContent": {"reasoningText": text}}
    if turn.text:
        yield {"text": turn.text}
    for id, (name, arguments) in zip(IDS, turn.calls, strict=False):
        yield {"toolUse": {"toolUseId": id, "name": name, "input": json.loads(arguments)}}


def _usage(asked):
    counts = counted(asked.scenario, reasoning=False)
    return {
        "inputTokens": counts.input - counts.cached,
        "outputTokens": counts.output,
        "totalTokens": counts.input + counts.output,
        "cacheReadInputTokens": counts.cached,
        "cacheWriteInputTokens": 0,
    }


def whole(asked):
    """A whole answer."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    return {
        "output": {"message": {"role": "assistant", "content": list(_blocks(asked))}},
        "stopReason": FINISH[turn.finish],
        "usage": _usage(asked),
        "metrics": {"latencyMs": 335},
    }


def _deltas(block):
    """The start of a block (None: this kind has none), and its deltas."""
    if "text" in block:
        return None, [{"text": piece} for piece in pieces(block["text"])]
    if use := block.get("toolUse"):
        start = {"toolUse": {"toolUseId": use["toolUseId"], "name": use["name"]}}
        texts = pieces(json.dumps(use["input"]).decode())
        return start, [{"toolUse": {"input": piece}} for piece in texts]
    text = block["reasoningContent"]["reasoningText"]
    deltas = [{"reasoningContent": {"text": piece}} for piece in pieces(text["text"])]
    return None, [*deltas, {"reasoningContent": {"signature": text["signature"]}}]


def events(asked):
    """(event type, document) of a stream."""
    yield "messageStart", {"role": "assistant"}
    for index, block in enumerate(_blocks(asked)):
        start, deltas = _deltas(block)
        if start:
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        for delta in deltas:
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": delta}
        if asked.scenario in story.BROKEN_OFF:
            return
        yield "contentBlockStop", {"contentBlockIndex": index}
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    yield "messageStop", {"stopReason": FINISH[turn.finish]}
    yield "metadata", {"usage": _usage(asked), "metrics": {"latencyMs": 335}}


def frame(headers, payload):
    """One message of the binary event stream; headers: name to text."""
    fields = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + struct.pack("!H", len(value))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(fields) + len(payload), len(fields))
    data = prelude + struct.pack("!I", zlib.crc32(prelude)) + fields + payload
    return data + struct.pack("!I", zlib.crc32(data))


def _event(kind, document):
    headers = {
        ":event-type": kind,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    # The service pads its documents.
    return frame(headers, json.dumps({**document, "p": "abcdefgh"}))


def _exception(kind, message):
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}))


ERRORS = {
    400: ("ValidationException", "This request is not valid."),
    401: ("UnrecognizedClientException", "The security token included is invalid."),
    429: ("ThrottlingException", "Too many requests, please wait before trying again."),
    500: ("InternalServerException", "The server had an error."),
    529: ("ServiceUnavailableException", "Overloaded."),
}
STATUS = {401: 403, 529: 503}
"""What this vendor answers where others have a status of their own."""


def answer(asked):
    """The answer to a request."""
    if status := story.STATUS.get(asked.scenario):
        kind, message = ERRORS[status]
        field = ("x-amzn-errortype", kind)
        return error_of(json.dumps({"message": message}), STATUS.get(status, status), field)
    if not asked.stream:
        return Script.json(json.dumps(whole(asked)))
    frames = [_event(kind, document) for kind, document in events(asked)]
    if asked.scenario == "mid_error":
        frames.append(_exception("modelStreamErrorException", "The server had an error."))
    end = End.CUT if asked.scenario == "cut" else End.KEEP
    return Script(frames, headers=[("content-type", "application/vnd.amazon.eventstream")], end=end)
