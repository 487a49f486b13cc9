"""`count_tokens` and `:countTokens`: how many tokens a request would have, without a generation.

Asked of who would serve the model; where nobody can tell, the answer is an estimate from the size
of what would be sent, and says so: `"estimated": true` and the header `X-Arno-Estimated`. Source:
clients of this dialect call it on any base URL (openrouter-api 1.1).
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from arno.canon.ext import Json
from arno.canon.failure import Failure, RequestError
from arno.canon.parts import MediaPart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from arno.canon.request import Request
from arno.gateway import inference
from arno.gateway.asgi import Inbound, Reply, send_reply
from arno.gateway.body import read_body
from arno.gateway.core import Gateway
from arno.gateway.log import Facts
from arno.wire import json

BYTES_PER_TOKEN = 4
"""Of UTF-8 text in western languages, roughly; other scripts have three bytes a character."""

TOKENS_PER_MESSAGE = 4
TOKENS_PER_MEDIA = 1600
"""An image at the size to which most providers scale it."""


Shape = Callable[..., dict[str, Json]]
"""A number, and whether it is estimated, as a dialect tells them."""


async def count_tokens(gateway: Gateway, request: Inbound) -> Facts:
    """Answer one request. Raises Refusal and ClientGone before anything was sent."""
    return await answer(gateway, request, _counted)


def _counted(number: int, *, estimated: bool) -> dict[str, Json]:
    return {"input_tokens": number, **({"estimated": True} if estimated else {})}


async def answer(gateway: Gateway, request: Inbound, shape: Shape) -> Facts:
    """Answer a request to count in the caller's dialect."""
    settings = gateway.settings
    body = await read_body(request, settings.max_body, settings.body_deadline_s)
    try:
        envelope = request.dialect.peek(body, request.line)
        call = inference.call_of(gateway, request, envelope, body)
        counted = await gateway.engine.count(call)
        if isinstance(counted, Failure):
            return await inference.refuse(gateway, request, counted, "not_counted")
        if counted is None:
            number = estimate(request.dialect.decode_request(body, request.line))
            told = (("x-arno-estimated", "input_tokens"),)
            reply = Reply(200, shape(number, estimated=True), told)
        else:
            reply = Reply(200, shape(counted, estimated=False))
    except RequestError as error:
        failure = inference.invalid(error)
        return await inference.refuse(gateway, request, failure, "invalid_request")
    await send_reply(request, reply)
    return Facts(status=200, state="ok")


def estimate(request: Request) -> int:
    """Tokens of a request, guessed from its size."""
    tokens = TOKENS_PER_MESSAGE * len(request.messages)
    size = 0
    for message in request.messages:
        for part in message.parts:
            size += _size(part)
            tokens += TOKENS_PER_MEDIA * _media(part)
    for tool in request.tools:
        size += len(tool.name.encode()) + len((tool.description or "").encode())
        size += 0 if tool.parameters is None else len(json.dumps(tool.parameters))
    return tokens + ceil(size / BYTES_PER_TOKEN)


def _size(part: Part) -> int:
    """Bytes of text in a part."""
    if isinstance(part, TextPart | ReasoningPart):
        return len(part.text.encode())
    if isinstance(part, ToolCallPart):
        return len(part.name.encode()) + len(part.arguments.encode())
    if isinstance(part, ToolResultPart):
        return sum(map(_size, part.parts))
    return 0


def _media(part: Part) -> int:
    """Media in a part."""
    if isinstance(part, ToolResultPart):
        return sum(map(_media, part.parts))
    return int(isinstance(part, MediaPart))
