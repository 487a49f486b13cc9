"""Whether a gateway answers rightly: asked once before anything is measured."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import msgspec

from arno.wire.sse import SSEDecoder
from benchmarks import traffic
from benchmarks.children import BenchmarkError
from benchmarks.subjects import Running

_TIMEOUT_S = 60.0


class Said(msgspec.Struct, frozen=True):
    """What an answer says, in whatever shape. ended: the end mark of a stream came last."""

    text: str
    arguments: str
    finish_reason: str
    ended: bool


def told(frames: bytes) -> Said:
    """What a stream says in all. Raises BenchmarkError if it is none."""
    text = arguments = reason = ""
    data = [frame.data for frame in SSEDecoder().feed(frames) if frame.data is not None]
    for piece in data:
        if piece == b"[DONE]":
            continue
        document = _document(piece)
        for choice in document.get("choices") or ():
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                arguments += call.get("function", {}).get("arguments") or ""
            reason = choice.get("finish_reason") or reason
    return Said(text, arguments, reason, bool(data) and data[-1] == b"[DONE]")


def _document(data: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except (ValueError, msgspec.MsgspecError) as error:
        raise BenchmarkError(f"answered no JSON: {data[:80]!r}") from error


def ask(running: Running, script: str, *, streamed: bool) -> bytes:
    """The body of an answer. Raises BenchmarkError without one, or if its status is not 200."""
    parts = urlsplit(running.server.url)
    body = traffic.ask(running.prefix + script, streamed=streamed)
    fields = {
        "content-type": "application/json",
        "authorization": f"Bearer {traffic.KEY}",
        **dict(running.fields),
    }
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, _TIMEOUT_S)
    try:
        connection.request("POST", traffic.PATH, body, fields)
        reply = connection.getresponse()
        answer = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise BenchmarkError(f"no answer: {error!r}") from error
    finally:
        connection.close()
    if reply.status != 200:
        kind = "a stream" if streamed else "a request"
        raise BenchmarkError(f"{kind} is answered with {reply.status}: {answer[:160]!r}")
    return answer


def check(running: Running) -> None:
    """Raises BenchmarkError if a whole answer or a stream is not what the upstream said."""
    document = _document(ask(running, "whole", streamed=False))
    expected = _document(traffic.whole())["choices"][0]["message"]["content"]
    try:
        text = document["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise BenchmarkError(f"a whole answer without text: {document!r:.160}") from error
    if text != expected:
        raise BenchmarkError(f"a whole answer says {text!r:.80}")
    said, wanted = told(ask(running, "burst", streamed=True)), told(b"".join(traffic.stream()))
    if said != wanted:
        raise BenchmarkError(f"a stream says {said!r:.300} in place of {wanted!r:.300}")
