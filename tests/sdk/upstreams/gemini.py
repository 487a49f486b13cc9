"""The gemini dialect as Google speaks it.

Source: Google's API reference (generateContent, streamGenerateContent, error model). Lines of a
stream end CRLF and whole answers are laid out over several lines, as the service does it.
"""

from urllib.parse import unquote

import msgspec

from arno.wire import json
from tests.sdk.upstreams import story
from tests.sdk.upstreams.story import (
    Asked,
    counted,
    error_of,
    headers_of,
    pieces,
    standard,
    stream_of,
)

NAME = "gemini"
BASE = "/v1beta"
PATH = r"/v1(?:beta)?/models/(?P<model>[^:]+):(?P<verb>generateContent|streamGenerateContent)"
CANNOT: frozenset[str] = frozenset()

ARTEFACT = (
    "AwgNEhccISYrMDU6P0RJTlNYXWJnbHF2e4CFio+UmZ6jqK2yt7zBxsvQ1drf5Onu8/j9//77IHRob3Vn"
    "aHQgc2lnbmF0dXJlIG9mIGdlbWluaSD7774="
)
"""Base64 as it must be: the SDK reads it."""

ARTEFACTS = (ARTEFACT,)
TELLS_REASONING = True
TELLS_USAGE_EARLY = True
HAS_IDS = False

MEMBERS = frozenset(
    "cachedContent contents generationConfig labels safetySettings serviceTier store"
    " systemInstruction toolConfig tools".split()
)
CONFIG = frozenset(
    "audioTimestamp candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs"
    " maxOutputTokens mediaResolution presencePenalty responseJsonSchema responseLogprobs"
    " responseMimeType responseModalities responseSchema seed speechConfig stopSequences"
    " temperature thinkingConfig topK topP".split()
)


def read(request, document, found):
    """What a request asks for."""
    streamed = found["verb"] == "streamGenerateContent"
    asked = Asked(document, unquote(found["model"]), streamed, headers_of(request))
    asked.sse = "alt=sse" in request.path
    asked.known(document, MEMBERS, "request")
    config = document.get("generationConfig") or {}
    asked.known(config, CONFIG, "generationConfig")
    asked.require("x-goog-api-key" in asked.headers or "key=" in request.path, "no key")
    system = document.get("systemInstruction") or {"parts": []}
    asked.system = "".join(part["text"] for part in system["parts"])
    open_calls = []
    for content in document["contents"]:
        role = content.get("role", "user")
        asked.require(role in ("user", "model"), f"role {role}")
        open_calls = _content(asked, content, open_calls)
    asked.require(not open_calls, f"calls without a result: {open_calls}")
    for tool in document.get("tools") or ():
        for function in tool.get("functionDeclarations") or ():
            # The service reads both spellings; google-genai writes the second one.
            names = ("parametersJsonSchema", "parameters_json_schema", "parameters")
            asked.tools[function["name"]] = next(filter(None, map(function.get, names)), None)
    asked.schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if asked.schema:
        asked.require(config.get("responseMimeType") == "application/json", "no mime type")
    return asked


def _content(asked, content, open_calls):
    """Read one content; the names of the calls that the next one must answer."""
    parts = content["parts"]
    asked.require(parts, "a content without parts")
    responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
    names = [response["name"] for response in responses]
    asked.require(names == open_calls, f"{open_calls} answered by {names}")
    asked.require(all(isinstance(r["response"], dict) for r in responses), "response no object")
    said = [part.get("text", "") for part in parts if not part.get("thought")]
    if any(said):
        asked.texts.append("".join(said))
    for part in parts:
        if "inlineData" in part:
            # The service reads both alphabets; google-genai writes the second one.
            asked.images.append(standard(part["inlineData"]["data"]))
        if call := part.get("functionCall"):
            given = json.dumps(call.get("args", {})).decode()
            asked.calls.append([call.get("id", ""), call["name"], given])
        if "thoughtSignature" in part:
            asked.artefacts.append(standard(part["thoughtSignature"]))
    asked.results += [[r["name"], json.dumps(r["response"]).decode()] for r in responses]
    return [part["functionCall"]["name"] for part in parts if "functionCall" in part]


FINISH = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}


def _parts(asked, split):
    """The parts of an answer; split: a piece of text each."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    texts = pieces if split else lambda text: [text] if text else []
    for piece in texts(turn.reasoning):
        yield {"text": piece, "thought": True}
    signature = {"thoughtSignature": ARTEFACT} if turn.reasoning else {}
    for piece in texts(turn.text):
        yield {"text": piece} if turn.calls else {"text": piece, **signature}
        signature = {}
    if turn.images:
        yield {"inlineData": {"mimeType": "image/png", "data": story.IMAGE}}
    for name, arguments in turn.calls:
        call = {"name": name, "args": json.loads(arguments)}
        yield {"functionCall": call, **signature}
        signature = {}


def _usage(asked):
    counts = counted(asked.scenario)
    thought = counts.reasoning or 0
    told = {
        "promptTokenCount": counts.input,
        "candidatesTokenCount": counts.output - thought,
        "totalTokenCount": counts.input + counts.output,
        "cachedContentTokenCount": counts.cached,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.input}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": counts.cached}],
    }
    return {**told, "thoughtsTokenCount": thought} if thought else told


def _document(asked, parts, reason=None, *, refused=False):
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if refused:
        rating = {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH"}
        candidate["safetyRatings"] = [{**rating, "blocked": True}]
    if reason:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(asked),
        "modelVersion": "harbour-2.5-flash",
        "responseId": "XQCzaYWvIqfRz7IPupTlyAk",
    }


def whole(asked):
    """A whole answer."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    parts = list(_parts(asked, split=False))
    return _document(asked, parts, FINISH[turn.finish], refused=turn.refused)


def documents(asked):
    """The documents of a stream: usage in each of them, the reason with the last part."""
    turn = story.SCENARIOS[asked.scenario][asked.turn]
    parts = list(_parts(asked, split=True))
    if asked.scenario in story.BROKEN_OFF:
        yield from (_document(asked, [part]) for part in parts)
        return
    for part in parts[:-1]:
        yield _document(asked, [part])
    yield _document(asked, parts[-1:], FINISH[turn.finish], refused=turn.refused)


ERRORS = {
    400: ("INVALID_ARGUMENT", "This request is not valid."),
    401: ("UNAUTHENTICATED", "API keys are not supported by this API."),
    429: ("RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    500: ("INTERNAL", "An internal error has occurred."),
    529: ("UNAVAILABLE", "The model is overloaded. Please try again later."),
}


def _error(status):
    word, message = ERRORS[status]
    return {"error": {"code": status, "message": message, "status": word}}


def _frame(document):
    return b"data: %s\r\n\r\n" % json.dumps(document)


def answer(asked):
    """The answer to a request."""
    if status := story.STATUS.get(asked.scenario):
        return error_of(json.dumps(_error(status)), status)
    if not asked.stream:
        return story.Script.json(msgspec.json.format(json.dumps(whole(asked)), indent=2))
    asked.require(asked.sse, "a stream without alt=sse")
    return stream_of(map(_frame, documents(asked)), asked.scenario, failed=_frame(_error(500)))
