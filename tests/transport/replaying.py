"""A clock that only sleeping moves, and small recordings."""

import asyncio

from arno.cassette.index import NamedCassette
from arno.cassette.model import (
    Cassette,
    End,
    Interaction,
    RecordedRequest,
    RecordedResponse,
    WireTiming,
)
from arno.transport.base import HttpRequest
from arno.transport.replay import ReplayTransport

MS = 1_000_000
URL = "https://api.example.com/v1/chat/completions"
BODY = b'{"model":"a/b","n":1}'


class FakeTime:
    """Nanoseconds that pass in `sleep` alone; `slept` are the waits asked for, in seconds.

    While `stopped`, a sleep does not end.
    """

    def __init__(self):
        self.ns = 5_000_000_000
        self.slept = []
        self.stopped = False

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(0)
        if self.stopped:
            await asyncio.Event().wait()
        self.ns += round(seconds * 1e9)

    def monotonic(self):
        return self.ns / 1e9

    def monotonic_ns(self):
        return self.ns


def recording(
    *chunks,
    number=0,
    method="POST",
    url=URL,
    body=BODY,
    status=200,
    headers=None,
    duration_ms=0,
    end=End.EOF,
):
    """An interaction; chunks are (milliseconds since the head, bytes)."""
    fields = {"Content-Type": ["text/event-stream"]} if headers is None else headers
    return Interaction(
        id=number,
        request=RecordedRequest(method, url, {}, body, content_length=len(body)),
        response=RecordedResponse(
            f"{status} OK",
            status,
            fields,
            b"".join(data for _, data in chunks),
            duration_ns=duration_ms * MS,
        ),
        wire=WireTiming(tuple((ms * MS, len(data)) for ms, data in chunks), end=end),
    )


def cassette(*interactions, name=""):
    """A cassette of these, numbered."""
    return NamedCassette(Cassette(tuple(interactions)), name)


def replay(*interactions, **settings):
    """A transport that answers from these without waiting, unless told otherwise."""
    return ReplayTransport([cassette(*interactions)], **{"scale": 0, **settings})


def ask(body=BODY, url=URL, method="POST"):
    return HttpRequest(method, url, body=body)


async def read_chunks(response):
    """The body, read by read."""
    chunks = []
    while data := await response.read():
        chunks.append(data)
    return chunks
