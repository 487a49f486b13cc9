"""The bytes of the benchmarks: requests, whole answers and streams, made once and never changed.

Streams have the shape of the shipped recording: a stream of 26 events (text, one tool call, finish,
usage, the end mark; 9 KB), and longer ones that repeat its text events.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from arno.cassette.model import Interaction
from arno.cassette.recordings import built_in
from arno.wire import json
from arno.wire.sse import SSEDecoder

KEY = "bench-key-0123456789abcdef0123456789"
"""The one client key of the gateway under test."""

PATH = "/v1/chat/completions"
STAMP_DIGITS = 20
"""Digits of a time stamp inside an event: nanoseconds of the monotonic clock."""

_TAIL = 3
"""Frames that end a stream: finish, usage, end mark."""

_WORDS = "The tide table lists every boat that leaves the harbour before noon. "


def _recorded() -> Interaction:
    return built_in().cassette.interactions[0]


def stream() -> tuple[bytes, ...]:
    """The frames of the recorded stream, one text event less, which makes 26."""
    frames = SSEDecoder().feed(_recorded().response.body)
    first, _, *rest = (frame.raw for frame in frames if frame.data is not None)
    return (first, *rest)


def long_stream(events: int) -> tuple[bytes, ...]:
    """A stream of `events` frames: the recorded text events again and again, then its end."""
    frames = stream()
    text = [frame for frame in frames[:-_TAIL] if b"tool_calls" not in frame]
    return (*itertools.islice(itertools.cycle(text), events - _TAIL), *frames[-_TAIL:])


def stamped(now_ns: int) -> bytes:
    """A text frame that says when it was made."""
    return _STAMPED_HEAD + b"%0*d" % (STAMP_DIGITS, now_ns) + _STAMPED_TAIL


def _stamped_halves() -> tuple[bytes, bytes]:
    data = SSEDecoder().feed(stream()[0])[0].data
    document: Any = json.loads(data or b"")
    document["choices"][0]["delta"]["content"] = "at=#"
    head, tail = json.dumps(document).split(b"#")
    return b"data: " + head, tail + b"\n\n"


_STAMPED_HEAD, _STAMPED_TAIL = _stamped_halves()


def whole() -> bytes:
    """A whole answer of about one kilobyte, with usage."""
    message = {"role": "assistant", "content": _WORDS * 9, "refusal": None, "reasoning": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": "stop",
        "native_finish_reason": "stop",
    }
    usage = {"prompt_tokens": 96, "completion_tokens": 91, "total_tokens": 187}
    head = {"id": "gen-bench-whole", "object": "chat.completion", "created": 1773273600}
    named = {"model": "bench/whole", "provider": "Northpier", "system_fingerprint": "fp_4c1e88d0a2"}
    return json.dumps({**head, **named, "choices": [choice], "usage": usage})


def ask(model: str, *, streamed: bool, prompt_bytes: int = 0) -> bytes:
    """The body of a request; prompt_bytes: about how much history stands before the question."""
    document: Any = json.loads(_recorded().request.body)
    document["model"] = model
    document["stream"] = streamed
    if not streamed:
        del document["stream_options"]
    turn = _WORDS * 28
    history = [
        {"role": "assistant" if number % 2 else "user", "content": turn}
        for number in range(prompt_bytes // len(turn))
    ]
    document["messages"][1:1] = history
    return json.dumps(document)


def post(host: str, path: str, body: bytes, fields: Iterable[tuple[str, str]] = ()) -> bytes:
    """One request as it goes onto the wire; fields: further header fields."""
    more = "".join(f"{name}: {value}\r\n" for name, value in fields)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {KEY}\r\n"
        f"content-type: application/json\r\nuser-agent: bench\r\n{more}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
