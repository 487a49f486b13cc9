"""The Gemini endpoints: model and stream stand in the path, the framing in the query.

A stream is server-sent events if the query says `alt=sse`, else one JSON array whose elements come
as they are made; the engine writes events and the array is made of them here.
"""

from __future__ import annotations

from collections.abc import Callable

from arno.canon.ext import Json
from arno.dialects.base import Headers, RequestLine
from arno.gateway import count_tokens as counting
from arno.gateway import inference
from arno.gateway.asgi import AsgiDownstream, Inbound, RawHeaders, Reply, Send, parameters
from arno.gateway.core import Gateway
from arno.gateway.log import Facts
from arno.providers import Model
from arno.wire.json_array import ArrayWriter

MODELS = "models/"
JSON_MEDIA_TYPE = "application/json"


def whole_line(request: Inbound) -> RequestLine:
    """What the path of a whole answer says."""
    return RequestLine(model=_model(request), stream=False)


def stream_line(request: Inbound) -> RequestLine:
    """What the path of a stream says."""
    return RequestLine(model=_model(request), stream=True)


def _model(request: Inbound) -> str:
    return request.params[0].removeprefix(MODELS)


def keys_in_query(request: Inbound) -> tuple[bytes, ...]:
    """Keys given as `key=`, as this dialect's clients may."""
    if not request.query:
        return ()
    return tuple(key.encode(errors="replace") for key in parameters(request).get("key", ()))


async def generate(gateway: Gateway, request: Inbound) -> Facts:
    """Answer one request. Raises Refusal and ClientGone before anything was sent."""
    if request.line.stream and parameters(request).get("alt", [""])[-1] != "sse":
        return await inference.complete(gateway, request, wrap=ArrayDownstream)
    return await inference.complete(gateway, request)


async def count_tokens(gateway: Gateway, request: Inbound) -> Facts:
    """Tokens of a request; see `arno.gateway.count_tokens`."""
    return await counting.answer(gateway, request, _counted)


def _counted(number: int, *, estimated: bool) -> dict[str, Json]:
    return {"totalTokens": number, **({"estimated": True} if estimated else {})}


async def models(gateway: Gateway, request: Inbound) -> Reply:
    """All models that can be asked for, as this dialect lists them."""
    return Reply(200, {"models": [_model_row(row) for row in gateway.catalogue.models.values()]})


def _model_row(row: Model) -> dict[str, Json]:
    limits = {
        "inputTokenLimit": row.context_length,
        "outputTokenLimit": row.max_completion_tokens,
    }
    return {
        "name": f"{MODELS}{row.id}",
        "displayName": row.name,
        "description": row.description or "",
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        **{name: limit for name, limit in limits.items() if limit is not None},
    }


class ArrayDownstream(AsgiDownstream):
    """The client's side of a stream that is told as one JSON array."""

    def __init__(
        self, send: Send, own: RawHeaders, on_end: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(send, own, on_end)
        self._array = ArrayWriter()

    async def head(self, status: int, headers: Headers) -> None:
        """Send the response head; the stream goes on under another media type."""
        told = tuple(
            (name, JSON_MEDIA_TYPE if name == "content-type" else value) for name, value in headers
        )
        await super().head(status, told)
        self.streaming = True

    async def body(self, data: bytes) -> None:
        """Send whole frames as elements, one write."""
        await super().body(self._array.feed(data))
        self.tail = data

    async def end(self) -> None:
        """Close the array and end the response."""
        await super().body(self._array.close())
        await super().end()
