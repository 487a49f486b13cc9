"""The Gemini endpoints: model and stream stand in the path, the framing in the query.

A stream is server-sent events if the query says `alt=sse`, else one JSON array whose elements come
as they are made; the engine writes events and the array is made of them here.
"""

from __future__ import annotations

from collections.abc import Callable

from arno.dialects.base import Headers, RequestLine
from arno.gateway import inference
from arno.gateway.asgi import AsgiDownstream, Inbound, RawHeaders, Send, parameters
from arno.gateway.core import Gateway
from arno.gateway.log import Facts
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
