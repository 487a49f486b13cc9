"""Transports with something to talk to: the same scripted answers behind each of them.

    answers = [Answer([b"data: 1\\n\\n", gate, b"data: 2\\n\\n"])]
    async with live(answers) as world:
        response = await world.transport.send(world.ask(0))     # gets answers[0]

A world is opened with `live`, `replay`, or one that `wrapped` makes of them. A gate holds back what
follows it: the scripted upstream waits for it; a replay's sleep does, which is injected.
"""

import asyncio
import base64
import random
import ssl
import subprocess
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial

from arno.cassette.model import End as Recorded
from arno.transport.base import Headers, HttpRequest, Transport
from arno.transport.live import LiveLimits, LivePool
from arno.transport.replay import ReplayTransport
from tests.transport.encoding import encoded
from tests.transport.replaying import cassette, recording
from tests.transport.upstream import End, Script, ScriptedUpstream, Step

SSE = ("content-type", "text/event-stream")
PIECE = b"data: " + base64.b64encode(random.Random(0).randbytes(49_000)) + b"\n\n"
"""An event that no coding makes much smaller."""
BOUND = 24 * 1024 * 1024
"""Kernel buffers of both ends (a few MB each at most) and the pool's high water, with room."""


@dataclass
class Answer:
    """One answer: `before` are gates ahead of the head; steps are bytes and gates."""

    steps: Sequence[Step] = ()
    status: int = 200
    headers: Headers = (SSE,)
    cut: bool = False
    before: Sequence[asyncio.Event] = ()

    @property
    def body(self) -> bytes:
        return b"".join(step for step in self.steps if isinstance(step, bytes))


def _body(number):
    return b'{"model":"a/b","n":%d}' % number


class World:
    """A transport and what is behind it; `ask(n)` is the request that gets answer n."""

    def __init__(self, transport: Transport, url: str):
        self.transport = transport
        self.url = url
        self.flood = [PIECE] * (3 * BOUND // len(PIECE))
        self.bound = BOUND
        """Steps of an answer that is too much to be sent to a reader that stops, and how much of it
        may be sent all the same, in bytes."""

    def ask(self, number: int) -> HttpRequest:
        return HttpRequest("POST", f"{self.url}/v1/chat/completions", body=_body(number))

    async def arrived(self, number: int) -> None:
        """Until request n has reached the sender."""

    async def left(self, number: int) -> None:
        """Until the sender of answer n knows that its reader has gone."""

    async def sent(self, number: int) -> int:
        """Bytes of answer n that the sender could pass on, once it can pass on no more."""
        raise AssertionError("each world says how")


class LiveWorld(World):
    """Behind it is a scripted upstream."""

    def __init__(self, transport, upstream):
        super().__init__(transport, upstream.url)
        self.upstream = upstream

    def _seen(self, number):
        requests = self.upstream.requests
        return next((seen for seen in requests if seen.body == _body(number)), None)

    async def arrived(self, number):
        while self._seen(number) is None:
            await self.upstream.seen(len(self.upstream.requests) + 1)

    async def left(self, number):
        await self._seen(number).closed.wait()

    async def sent(self, number):
        last, request = -1, self._seen(number)
        while request.sent != last and not request.answered.is_set():
            last = request.sent
            await asyncio.sleep(0.2)
        return request.sent


class ReplayWorld(World):
    """Behind it are recordings; a sleep of n * 1000 + k seconds is for chunk k of answer n."""

    def __init__(self, answers):
        self.answers = answers
        self.gates = {}
        self.slept = set()
        recordings = [self._recording(number, answer) for number, answer in enumerate(answers)]
        transport = ReplayTransport(
            [cassette(*recordings)], scale=1, sleep=self._sleep, monotonic=lambda: 0.0
        )
        super().__init__(transport, "https://api.example.com")
        self.flood = [PIECE] * 8
        self.bound = 2 * len(PIECE)

    def _recording(self, number, answer):
        chunks, gate = [], None
        for step in answer.steps:
            if isinstance(step, bytes):
                second = number * 1000 + len(chunks)
                self.gates[second] = gate
                chunks.append((second * 1000, step))
                gate = None
            else:
                gate = step
        head = number * 1000 + 999
        self.gates[head] = answer.before[0] if answer.before else None
        return recording(
            *chunks,
            number=number,
            body=_body(number),
            status=answer.status,
            headers={name.title(): [value] for name, value in answer.headers},
            duration_ms=head * 1000,
            end=Recorded.RESET if answer.cut else Recorded.EOF,
        )

    async def _sleep(self, seconds):
        second = round(seconds)
        self.slept.add(second)
        if (gate := self.gates[second]) is not None:
            await gate.wait()
        await asyncio.sleep(0)

    async def arrived(self, number):
        while number * 1000 + 999 not in self.slept:
            await asyncio.sleep(0)

    async def sent(self, number):
        for _ in range(20):
            await asyncio.sleep(0)
        pieces = [step for step in self.answers[number].steps if isinstance(step, bytes)]
        return sum(len(p) for k, p in enumerate(pieces) if number * 1000 + k in self.slept)


# ---------------------------------------------------------------- opening a world


@asynccontextmanager
async def live(answers, *, tls=None, gzip=False):
    """The pool before a scripted upstream. `tls`: certificate and key files. `gzip`: bodies are
    encoded, each step by itself.
    """
    server, client = (None, None) if tls is None else _contexts(*tls)

    def handler(request):
        [number] = [n for n in range(len(answers)) if _body(n) == request.body]
        return _script(answers[number], gzip)

    async with ScriptedUpstream(handler, server, send_buffer=65_536) as upstream:
        pool = LivePool(LiveLimits(read_high_water=65_536), ssl_context=client)
        try:
            yield LiveWorld(pool, upstream)
        finally:
            await pool.aclose()


@asynccontextmanager
async def replay(answers):
    """The replay of recordings."""
    world = ReplayWorld(answers)
    try:
        yield world
    finally:
        await world.transport.aclose()


def wrapped(wrap, opened):
    """The world that `opened` opens, its transport wrapped by `wrap`."""
    return partial(_wrapped, wrap, opened)


@asynccontextmanager
async def _wrapped(wrap, opened, answers):
    async with opened(answers) as world:
        world.transport = wrap(world.transport)
        try:
            yield world
        finally:
            await world.transport.aclose()


def _script(answer, gzip):
    steps, headers = answer.steps, answer.headers
    if gzip:
        headers = (*headers, ("content-encoding", "gzip"))
        steps = [_gzipped(step) if isinstance(step, bytes) else step for step in steps]
    return Script(
        steps,
        answer.status,
        headers,
        end=End.CUT if answer.cut else End.KEEP,
        before=answer.before,
    )


@lru_cache(maxsize=64)
def _gzipped(step):
    return encoded("gzip", step)


def certificate(folder):
    """A self-signed certificate for 127.0.0.1 and its key, as files in the folder."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=upstream -addext subjectAltName=IP:127.0.0.1"
    )
    files = ["-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return cert, key


def _contexts(cert, key):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))
