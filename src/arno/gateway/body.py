"""Request bodies, bounded in size and time before anything is parsed.

Serves R12 and bad inputs 13 to 17: a body is announced or grows beyond the bound: 413; it comes
compressed: 415 (so there is no bomb); it does not come: 408.
"""

from __future__ import annotations

import asyncio

from arno.gateway.asgi import Inbound, Message
from arno.gateway.errors import ClientGone, Refusal

_PLAIN = (b"", b"identity")
_CLOSE = (("connection", "close"),)
_LINGER_FACTOR = 4
"""A refused body is read on and dropped up to this many times the bound."""


def _too_large(bound: int) -> Refusal:
    text = f"The request body is larger than {bound} bytes"
    return Refusal(413, text, "body_too_large", _CLOSE)


def check_announced(request: Inbound, bound: int) -> None:
    """Raise Refusal for a body that need not be read to be refused."""
    if request.headers.get(b"content-encoding", b"").strip().lower() not in _PLAIN:
        text = "Compressed request bodies are not accepted"
        headers = (("accept-encoding", "identity"), *_CLOSE)
        raise Refusal(415, text, "content_encoding", headers)
    announced = request.headers.get(b"content-length", b"0")
    if not announced.isdigit():
        raise Refusal(400, "Content-Length is not a number", "invalid_content_length", _CLOSE)
    # Its digits are counted first: turning an endless number into an integer takes time.
    if len(announced) > 18 or int(announced) > bound:
        raise _too_large(bound)


async def read_body(request: Inbound, bound: int, deadline_s: float) -> bytes:
    """The whole body. Raises Refusal (413, 415, 408) and ClientGone."""
    check_announced(request, bound)
    message = await request.receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        _check_size(len(body), bound)
        return body
    try:
        async with asyncio.timeout(deadline_s):
            return await _rest(request, message, bound)
    except TimeoutError as error:
        text = f"The request body did not arrive within {deadline_s:g} s"
        raise Refusal(408, text, "body_deadline", _CLOSE) from error


def _check_size(size: int, bound: int) -> None:
    if size > bound:
        raise _too_large(bound)


async def _rest(request: Inbound, message: Message, bound: int) -> bytes:
    chunks = bytearray()
    while True:
        if message["type"] != "http.request":
            raise ClientGone("the client left before its request was complete")
        chunks += message.get("body", b"")
        _check_size(len(chunks), bound)
        if not message.get("more_body", False):
            return bytes(chunks)
        message = await request.receive()


async def drop_rest(request: Inbound, bound: int, linger_s: float) -> None:
    """Read on and drop, for a while and within bounds, after an answer to an unread body.

    Closing while bytes are still coming resets the connection, and the client may then never see
    the answer.
    """
    dropped = 0
    try:
        async with asyncio.timeout(linger_s):
            while dropped <= _LINGER_FACTOR * bound:
                message = await request.receive()
                dropped += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
