"""What the vendors' own clients say of a request's shape: their types, their validators.

anthropic and openai describe requests as typed dictionaries, google-genai as models, botocore as
a service model. All are made strict here: a member that a vendor does not know is a problem, but
for those that are named below.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from google.genai import types as genai
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses import ResponseInputAudioParam as AUDIO
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from tests.dialects.converse.building import complaints

SUPERSET = frozenset({"reasoning", "reasoning_details", "cache_control", "top_k"})
"""Members of the gateway's contract that one vendor's chat wire has not."""

SUPERSET_CONTENT = frozenset({"video_url"})
"""Content of the contract that the vendor's has not."""

NONE: frozenset[str] = frozenset()

OLDER = frozenset({"temperature", "top_p", "top_k"})
"""Members that models read and the newest types no longer list."""


@cache
def _validator(shape: Any) -> SchemaValidator:
    return SchemaValidator(_strict(TypeAdapter(shape).core_schema))


def _strict(node: Any) -> Any:
    """A schema in which lists are read at once and unknown members are refused."""
    if isinstance(node, dict):
        told = {key: _strict(value) for key, value in node.items()}
        if told.get("type") == "generator":
            told["type"] = "list"
        if told.get("type") == "typed-dict":
            told["extra_behavior"] = "forbid"
        return told
    if isinstance(node, list | tuple):
        return type(node)(map(_strict, node))
    return node


def _problem(shape: Any, document: Any) -> str:
    try:
        _validator(shape).validate_python(document)
    except ValidationError as error:
        return str(error.errors(include_url=False, include_input=False)[:3])
    return ""


def _without(document: Mapping[str, Any], members: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in members | {"stream"}}


def messages(document: Any) -> str:
    """The types of anthropic."""
    return _problem(MessageCreateParamsNonStreaming, _without(document, OLDER))


def chat(document: Any) -> str:
    """The types of openai, without what only the contract has."""
    told = [_plain(message) for message in document["messages"]]
    known = _without({**document, "messages": told}, SUPERSET)
    known["tools"] = [_without(tool, SUPERSET) for tool in document.get("tools", ())]
    return _problem(CompletionCreateParamsNonStreaming, known)


def _plain(message: Any) -> Any:
    message = _without(message, SUPERSET)
    content = message.get("content")
    if isinstance(content, list):
        known = [_without(e, SUPERSET) for e in content if e["type"] not in SUPERSET_CONTENT]
        # The vendor takes text alone in a result; the contract takes what a user may say.
        if message["role"] == "tool":
            known = [e for e in known if e["type"] == "text"]
        message["content"] = known or "media"
    return message


def responses(document: Any) -> str:
    """The types of openai, which want members that the wire can do without."""
    told = document["input"]
    if isinstance(told, list):
        told = [_completed(item) for item in told]
        for item in told:
            if problem := _audio_apart(item):
                return problem
    return _problem(ResponseCreateParamsNonStreaming, _without({**document, "input": told}, NONE))


def _audio_apart(item: dict[str, Any]) -> str:
    """Take out audio, which has a type of its own that the types of items do not name."""
    for member in ("content", "output"):
        if isinstance(item.get(member), list):
            audio = [entry for entry in item[member] if entry["type"] == "input_audio"]
            item[member] = [entry for entry in item[member] if entry not in audio] or "audio"
            if problem := next(filter(None, (_problem(AUDIO, entry) for entry in audio)), ""):
                return problem
    return ""


CAN_DO_WITHOUT: dict[str, dict[str, Any]] = {
    "output_text": {"annotations": []},
    "input_image": {"detail": "auto"},
}
"""Entries of content to what the types want of them besides."""


def _completed(item: Any) -> Any:
    member = "output" if "output" in item else "content"
    entries = item.get(member)
    if isinstance(entries, list):
        told = [{**CAN_DO_WITHOUT.get(entry["type"], {}), **entry} for entry in entries]
        item = {**item, member: told}
    item = dict(item)
    if item.get("type") == "reasoning":
        return {"id": "rs_1", **item}
    ours = item.get("type") == "message" and item["role"] == "assistant"
    return {"id": "msg_1", "status": "completed", **item} if ours else item


class _Body(BaseModel, extra="forbid"):
    """A request of generateContent, which google-genai has no type for as a whole."""

    contents: list[genai.Content]
    systemInstruction: genai.Content | None = None
    tools: list[genai.Tool] = []
    toolConfig: genai.ToolConfig | None = None
    generationConfig: genai.GenerationConfig | None = None
    safetySettings: list[genai.SafetySetting] = []
    serviceTier: str | None = None


def gemini(document: Any) -> str:
    """The models of google-genai."""
    try:
        _Body.model_validate(document)
    except ValidationError as error:
        return str(error.errors(include_url=False, include_input=False)[:3])
    return ""


READERS: dict[str, Callable[[Any], str]] = {
    "chat": chat,
    "responses": responses,
    "messages": messages,
    "gemini": gemini,
    "converse": complaints,
}
