"""Counting the tokens of a request without sending it to a model: where, how, and what comes back.

A request is the body that the endpoint's dialect writes for a generation (for Messages, what a
client writes to be counted); members that counting does not take are left out. Nothing is looked
into.

    Messages     POST /messages/count_tokens, on Vertex AI and Bedrock by their own paths
    Responses    POST /responses/input_tokens
    Gemini       POST /models/ID:countTokens, on Vertex AI with other members
    Converse     POST /model/ID/count-tokens

Sources: Anthropic's, OpenAI's, Google's and AWS's references of these operations, the SDKs
`anthropic` (lib/vertex) and `google-genai`, and recorded requests to all but Responses on a cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects.base import Headers
from arno.dialects.paths import segment
from arno.providers.roads import ROADS, Ask, Members, fields, with_query
from arno.providers.rows import Endpoint

_RAW = msgspec.json.Decoder(dict[str, Raw])

_GENERATION = frozenset(
    """
    container diagnostics fallback_credit_token fallbacks inference_geo max_tokens metadata
    service_tier stop_sequences stream temperature thread top_k top_p
    """.split()
)
"""Members of Messages that are about making an answer; counting refuses them."""

_RESPONSES = frozenset(
    """
    conversation input instructions model parallel_tool_calls personality previous_response_id
    reasoning text tool_choice tools truncation
    """.split()
)
_VERTEX_GEMINI = frozenset(("contents", "systemInstruction", "tools", "generationConfig"))
_CONVERSE = frozenset(("messages", "system", "toolConfig", "additionalModelRequestFields"))

INVOKE_MAX_TOKENS = 4096
"""An invocation's body must have a limit, which counting does not look at."""


class Counting(msgspec.Struct, frozen=True):
    """One endpoint's way. path: below the base URL; members: of the body that is sent."""

    path: Callable[[str], str]
    members: Callable[[Members, Ask], Members]


def _as_said(members: Members, ask: Ask) -> Members:
    return {name: value for name, value in members.items() if name not in _GENERATION}


def _picked(members: Members, names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name in names}


def _on_vertex(members: Members, ask: Ask) -> Members:
    """The path names no model here, the body does."""
    return {
        "anthropic_version": "vertex-2023-10-16",
        **_as_said(members, ask),
        "model": ask.model,
    }


def _as_invocation(members: Members, ask: Ask) -> Members:
    """The whole body of an invocation, in base64."""
    limited = {"max_tokens": INVOKE_MAX_TOKENS, **members}
    body = ROADS["bedrock_invoke"].prepare(msgspec.json.encode(limited), ask)
    return {"input": {"invokeModel": {"body": body}}}


def _as_generate(members: Members, ask: Ask) -> Members:
    return {"generateContentRequest": {**members, "model": f"models/{ask.model}"}}


WAYS: Mapping[tuple[str, str | None], Counting] = {
    # The endpoint's dialect and road.
    ("messages", None): Counting(lambda model: "/messages/count_tokens", _as_said),
    ("messages", "vertex_anthropic"): Counting(
        lambda model: "/publishers/anthropic/models/count-tokens:rawPredict", _on_vertex
    ),
    ("messages", "bedrock_invoke"): Counting(
        lambda model: f"/model/{segment(model)}/count-tokens", _as_invocation
    ),
    ("responses", None): Counting(
        lambda model: "/responses/input_tokens",
        lambda members, ask: _picked(members, _RESPONSES),
    ),
    ("gemini", None): Counting(lambda model: f"/models/{segment(model)}:countTokens", _as_generate),
    ("gemini", "vertex_gemini"): Counting(
        lambda model: f"/publishers/google/models/{segment(model)}:countTokens",
        lambda members, ask: _picked(members, _VERTEX_GEMINI),
    ),
    ("converse", None): Counting(
        lambda model: f"/model/{segment(model)}/count-tokens",
        lambda members, ask: {"input": {"converse": _picked(members, _CONVERSE)}},
    ),
}
"""Who counts, and how; chat has no such operation."""


class Asked(msgspec.Struct, frozen=True):
    """A request to count, but for who asks."""

    url: str
    headers: Headers
    body: bytes


def can_count(endpoint: Endpoint) -> bool:
    """Whether the endpoint can be asked."""
    return (endpoint.dialect, endpoint.road) in WAYS


def ask_count(
    endpoint: Endpoint, body: bytes, *, model: str, headers: Headers = (), forward: Headers = ()
) -> Asked:
    """The request that has `body` counted.

    model: the id there; headers: the dialect's; forward: the client's that go on. Raises
    RequestError for a body that is no JSON object or an id that cannot be in a path, and KeyError
    where `can_count` is False.
    """
    way = WAYS[endpoint.dialect, endpoint.road]
    try:
        members: Members = _RAW.decode(body)
    except msgspec.DecodeError as error:
        raise RequestError("the body must be a JSON object") from error
    named = fields(endpoint, headers, forward)
    sent = way.members(members, Ask(model, stream=False, headers=named))
    road = None if endpoint.road is None else ROADS[endpoint.road]
    content = (("content-type", "application/json"), ("accept", "application/json"))
    kept = named if road is None else road.travelling(named)
    url = with_query(endpoint.base_url + way.path(model), endpoint.query)
    return Asked(url, (*content, *kept), msgspec.json.encode(sent))


class _Count(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    inputTokens: int | None = None
    totalTokens: int | None = None


def read_count(body: bytes) -> int | None:
    """The number in an answer of any of them; None if there is none."""
    try:
        found = msgspec.json.decode(body, type=_Count)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    told = (found.input_tokens, found.inputTokens, found.totalTokens)
    return next((number for number in told if number is not None and number >= 0), None)
