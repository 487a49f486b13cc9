"""Roads: how a dialect's request gets to an endpoint that takes it another way than the dialect's.

The dialect writes the body; the road says what the path is, which of the body's members and of the
headers go another way, and how the stream comes back. It looks into no value, so members may be raw
bytes. A row names its road; where it names none, the dialect's own path is taken.

    bedrock_invoke      Messages as the body of a model of Amazon Bedrock, answers in binary frames
    vertex_anthropic    Messages at a publisher's model of Vertex AI
    vertex_gemini       generateContent at a publisher's model of Vertex AI
    azure_deployments   chat at a deployment of Azure, which the path names (its v1 API needs none)

Sources: the SDK `anthropic` (lib/bedrock, lib/vertex), `google-genai` (models.py), Azure's REST
reference for chat completions, and recorded requests to all four.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from arno.canon.failure import RequestError
from arno.dialects.base import Headers
from arno.dialects.paths import segment
from arno.providers.rows import Endpoint
from arno.wire.frame import Framing

Members = Mapping[str, Any]
"""The members of a request's body; what they hold is raw bytes."""

_RAW = msgspec.json.Decoder(dict[str, Raw])

BETAS = "anthropic-beta"
_VERSION = "anthropic-version"

ACCEPT: Mapping[Framing, str] = {
    Framing.SSE: "text/event-stream",
    Framing.EVENT_STREAM: "application/vnd.amazon.eventstream",
    Framing.EVENT_STREAM_BYTES: "application/vnd.amazon.eventstream",
    Framing.JSON_ARRAY: "application/json",
}
"""What a request that asks for a stream accepts."""


class Ask(msgspec.Struct, frozen=True):
    """What a road decides by. model: the id there; own: the path that the dialect would take;
    headers: those that the request would have.
    """

    model: str
    stream: bool
    own: str = ""
    headers: Headers = ()


class Road(msgspec.Struct, frozen=True, kw_only=True):
    """One way. dialect: the one whose requests it takes; path: below the base URL; members: those
    of the body that is sent, None: as it is; left_out: headers that do not travel; streams: how a
    stream is cut, None: as the dialect does.
    """

    dialect: str
    path: Callable[[Ask], str]
    members: Callable[[Members, Ask], Members] | None = None
    left_out: frozenset[str] = frozenset()
    streams: Framing | None = None

    def framing(self, stream: bool) -> Framing | None:
        """How the answer is cut; None: as the dialect says, or not at all."""
        return self.streams if stream else None

    def travelling(self, headers: Headers) -> Headers:
        """The headers that go this way."""
        return tuple((name, value) for name, value in headers if name not in self.left_out)

    def prepare(self, body: bytes, ask: Ask) -> bytes:
        """The body that is sent. Raises RequestError for one that is no JSON object."""
        if self.members is None:
            return body
        try:
            members: Members = _RAW.decode(body)
        except msgspec.DecodeError as error:
            raise RequestError("the body must be a JSON object") from error
        return msgspec.json.encode(self.members(members, ask))


def _without(members: Members, *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


def _betas(members: Members, headers: Headers) -> list[str]:
    """The features that a request switches on, by header or by its body's own member."""
    named = [each.strip() for name, value in headers if name == BETAS for each in value.split(",")]
    try:
        own = msgspec.json.decode(members.get("anthropic_beta", b"[]"), type=list[str])
    except msgspec.DecodeError:
        return []  # it stays as it is, for the endpoint to judge
    return list(dict.fromkeys(each for each in (*own, *named) if each))


def _invoke_path(ask: Ask) -> str:
    verb = "invoke-with-response-stream" if ask.stream else "invoke"
    return f"/model/{segment(ask.model)}/{verb}"


def _invoke_members(members: Members, ask: Ask) -> Members:
    """Path and verb say model and stream; a body that says them too is refused."""
    sent = _without(members, "model", "stream")
    sent.setdefault("anthropic_version", "bedrock-2023-05-31")
    betas = _betas(members, ask.headers)
    return {**sent, "anthropic_beta": betas} if betas else sent


def _raw_predict_path(ask: Ask) -> str:
    verb = "streamRawPredict" if ask.stream else "rawPredict"
    return f"/publishers/anthropic/models/{segment(ask.model)}:{verb}"


def _raw_predict_members(members: Members, ask: Ask) -> Members:
    """The path names the model; `stream` stays in the body beside the verb."""
    return {"anthropic_version": "vertex-2023-10-16", **_without(members, "model")}


def _generate_path(ask: Ask) -> str:
    verb = "streamGenerateContent?alt=sse" if ask.stream else "generateContent"
    return f"/publishers/google/models/{segment(ask.model)}:{verb}"


def _deployment_path(ask: Ask) -> str:
    """The dialect's own path below the deployment: `/chat/completions`, `/embeddings`."""
    return f"/openai/deployments/{segment(ask.model)}{ask.own}"


ROADS: Mapping[str, Road] = {
    "bedrock_invoke": Road(
        dialect="messages",
        path=_invoke_path,
        members=_invoke_members,
        left_out=frozenset({BETAS, _VERSION}),
        streams=Framing.EVENT_STREAM_BYTES,
    ),
    "vertex_anthropic": Road(
        dialect="messages",
        path=_raw_predict_path,
        members=_raw_predict_members,
        left_out=frozenset({_VERSION}),
    ),
    "vertex_gemini": Road(dialect="gemini", path=_generate_path, streams=Framing.SSE),
    "azure_deployments": Road(dialect="chat", path=_deployment_path),
}
"""Every road by the name that rows use."""


class Speaks(Protocol):
    """What of a dialect a road starts from; see `arno.dialects.base.Dialect`."""

    framing: Framing
    headers: Headers

    def path(self, model: str, *, stream: bool) -> str:
        """The dialect's own path below the base URL."""
        ...


class Carried(msgspec.Struct, frozen=True):
    """A request as it leaves for an endpoint, but for who asks.

    framing: how a stream comes back; headers: content type, what is accepted, the dialect's, the
    row's and the forwarded ones.
    """

    url: str
    headers: Headers
    body: bytes
    framing: Framing


def carry(
    endpoint: Endpoint,
    dialect: Speaks,
    body: bytes,
    *,
    model: str,
    stream: bool,
    forward: Headers = (),
) -> Carried:
    """A dialect's request on its way to an endpoint.

    dialect: the endpoint's; body: what it wrote, quirks applied; model: the id there; forward: the
    client's headers that go on. Raises RequestError for an id that cannot be part of a path.
    """
    road = None if endpoint.road is None else ROADS[endpoint.road]
    framing = (road and road.framing(stream)) or dialect.framing
    named = fields(endpoint, dialect.headers, forward)
    path = dialect.path(model, stream=stream)
    if road is not None:
        ask = Ask(model, stream, path, named)
        path, body = road.path(ask), road.prepare(body, ask)
        named = road.travelling(named)
    accept = ACCEPT[framing] if stream else "application/json"
    headers = (("content-type", "application/json"), ("accept", accept), *named)
    return Carried(with_query(endpoint.base_url + path, endpoint.query), headers, body, framing)


def fields(endpoint: Endpoint, headers: Headers, forward: Headers) -> Headers:
    """The dialect's headers, the row's in their place, and the client's that go on."""
    return (*{**dict(headers), **endpoint.headers}.items(), *forward)


def with_query(url: str, query: str | None) -> str:
    """`url` with more of a query."""
    if query is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"
