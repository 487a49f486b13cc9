"""A load of raw clients that note what they were told has ended, and when.

Each worker keeps one connection and asks in turn for a stream and for a whole answer. A generation
is acknowledged when its last bytes are here: `[DONE]` and the final chunk, or the whole body.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

from arno.cassette.govcr import dump
from arno.cassette.model import (
    Cassette,
    Interaction,
    RecordedRequest,
    RecordedResponse,
    WireTiming,
)
from arno.wire import json

PATH = "/api/v1/chat/completions"
MODEL = "load/model"
MS = 1_000_000

STREAM_MS = (60, 120, 180, 240, 300)
"""When the chunks of the streamed answer come, after its head."""
WHOLE_MS = 40


def request_body(*, stream):
    """What a worker asks."""
    messages = [{"role": "user", "content": "go on"}]
    return json.dumps({"model": MODEL, "messages": messages, "stream": stream})


def _chunk(delta, finish=None, **members):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    document = {"id": "gen-up", "model": MODEL, "choices": [choice], **members}
    return b"data: " + json.dumps(document) + b"\n\n"


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 1}


def cassette():
    """One streamed and one whole answer, with their times."""
    pieces = [
        _chunk({"role": "assistant", "content": "a"}),
        _chunk({"content": "b"}),
        _chunk({"content": "c"}),
        _chunk({}, "stop", usage=USAGE),
        b"data: [DONE]\n\n",
    ]
    chunks = tuple((at * MS, len(p)) for at, p in zip(STREAM_MS, pieces, strict=True))
    message = {"role": "assistant", "content": "abc"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = json.dumps({"id": "gen-up", "model": MODEL, "choices": [choice], "usage": USAGE})
    return dump(
        Cassette(
            (
                _interaction(0, True, b"".join(pieces), "text/event-stream", 0, WireTiming(chunks)),
                _interaction(1, False, whole, "application/json", WHOLE_MS * MS, None),
            )
        )
    )


def _interaction(number, stream, body, kind, duration, wire):
    url = f"https://upstream.example{PATH}"
    request = RecordedRequest("POST", url, body=request_body(stream=stream))
    headers = {"Content-Type": [kind]}
    response = RecordedResponse("200 OK", 200, headers, body, duration_ns=duration)
    return Interaction(number, request, response, wire)


@dataclass
class Load:
    """Workers against one gateway. open: streams whose head has come and whose end has not."""

    port: int
    workers: int
    open: int = 0
    acknowledged: list[tuple[float, str]] = field(default_factory=list)

    def recent(self, seconds):
        """How many ends were acknowledged within the last `seconds`."""
        since = time.monotonic() - seconds
        count = 0
        for at, _ in reversed(self.acknowledged):
            if at < since:
                break
            count += 1
        return count

    async def run(self):
        """Work until the gateway is gone."""
        await asyncio.gather(*(self._worker(n) for n in range(self.workers)))

    async def _worker(self, number):
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                while True:
                    await self._ask(reader, writer, stream=number % 4 != 0)
            finally:
                writer.close()

    async def _ask(self, reader, writer, *, stream):
        body = request_body(stream=stream)
        head = f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {len(body)}"
        writer.write(head.encode() + b"\r\n\r\n" + body)
        await self._answer(reader, stream)

    async def _answer(self, reader, stream):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
        assert head.startswith("HTTP/1.1 200"), head
        if stream:
            self.open += 1
            try:
                await reader.readuntil(b"data: [DONE]\n\n\r\n0\r\n\r\n")
            finally:
                self.open -= 1
        else:
            await reader.readexactly(int(fields["content-length"]))
        self.acknowledged.append((time.monotonic(), fields["x-generation-id"]))
