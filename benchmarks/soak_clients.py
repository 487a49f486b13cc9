"""The clients of the soak: each asks one thing after another, drawn from a seeded generator.

A `Plan` says what is asked, how the client behaves, and how it must end. What ended otherwise is
kept with its reason.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from typing import Literal
from urllib.parse import urlsplit

import httptools
import msgspec

from benchmarks import traffic
from benchmarks.gateway import KINDS

Behaviour = Literal["reads", "slow", "cancels", "resets"]
Ending = Literal["good", "failed", "status", "left", "lost"]
"""An answer that is complete, a stream that said that it failed, another status than 200, a client
that left, or an answer that broke off without a word (which is always wrong)."""

TIMEOUT_S = 30.0
_RESET = struct.pack("ii", 1, 0)
_KEPT_EXAMPLES = 10
_PIECE = 16_384
_SLOW_BUFFER = 32_768
_SLOW_S = 0.02
"""The longest that a slow client looks away between two reads."""

_OPEN = frozenset({"held", "mute"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One request. leave_s: when a client leaves; endings: how it may end."""

    script: str
    streamed: bool
    behaviour: Behaviour = "reads"
    leave_s: float = 0.0
    endings: frozenset[Ending]

    @property
    def kind(self) -> str:
        """For the counts: script without number, and behaviour."""
        name = self.script.rstrip("0123456789")
        return name if self.behaviour == "reads" else f"{name}, client {self.behaviour}"


def draw(chance: random.Random) -> Plan:
    """What a client does next."""
    (make,) = chance.choices([make for make, _ in _MIX], [weight for _, weight in _MIX])
    return make(chance)


def _good(script: str, *, streamed: bool = True, behaviour: Behaviour = "reads") -> Plan:
    good: frozenset[Ending] = frozenset({"good"})
    return Plan(script=script, streamed=streamed, behaviour=behaviour, endings=good)


def _cut(name: str, chance: random.Random, step: int = 1) -> Plan:
    """A stream that breaks off in the middle of its chunks, perhaps just before its end."""
    count = chance.randrange(0, len(traffic.stream()), step)
    return _bad(f"{name}{count}", streamed=True)


def _bad(script: str, *, streamed: bool) -> Plan:
    endings: frozenset[Ending] = frozenset({"failed", "status"})
    return Plan(script=script, streamed=streamed, endings=endings)


def _leaving(chance: random.Random) -> Plan:
    """A client that leaves at a random moment, if the answer is not there before."""
    behaviour: Behaviour = "cancels" if chance.random() < 0.5 else "resets"
    script = chance.choice(("whole", "burst", "paced", "late", "flood", "held", "mute"))
    # A busy machine can be slower than the deadlines, which end these before the client leaves.
    endings: set[Ending] = {"left", "good"} if script not in _OPEN else {"left", "failed", "status"}
    return Plan(
        script=script,
        streamed=script != "whole",
        behaviour=behaviour,
        leave_s=chance.uniform(0.0, 0.4),
        endings=frozenset(endings),
    )


_MIX = (
    (lambda chance: _good("whole", streamed=False), 60),
    (lambda chance: _good("burst"), 20),
    (lambda chance: _good("joined"), 10),
    (lambda chance: _good("late"), 15),
    (lambda chance: _good("undone"), 5),
    (lambda chance: _good("stamped"), 10),
    (lambda chance: _good("flood", behaviour="slow"), 3),
    (lambda chance: _cut("cut", chance), 12),
    (lambda chance: _cut("reset", chance, 4), 6),
    (_leaving, 20),
    (lambda chance: _bad("refuse", streamed=chance.random() < 0.5), 2),
    (lambda chance: _bad("drop", streamed=chance.random() < 0.5), 2),
    (lambda chance: _bad("mute", streamed=True), 2),
    (lambda chance: _bad(f"hang{chance.choice((0, 1, 7))}", streamed=True), 3),
    (lambda chance: _bad("busy", streamed=False), 2),
    (lambda chance: _bad("broken", streamed=False), 2),
)


class Results:
    """What all clients have seen. heard: generation ids; wrong: what should not have been."""

    def __init__(self) -> None:
        self.sent = 0
        self.unsure = 0
        self.heard: set[str] = set()
        self.twice = 0
        self.endings: Counter[tuple[str, str]] = Counter()
        self.wrong: list[str] = []
        self.wrong_count = 0

    def add(self, plan: Plan, ending: Ending, detail: str) -> None:
        """Count one request."""
        self.endings[plan.kind, ending] += 1
        if ending not in plan.endings:
            self.wrong_count += 1
            if len(self.wrong) < _KEPT_EXAMPLES:
                self.wrong.append(f"{plan.script} ({plan.behaviour}): {ending} {detail}")


class Answer:
    """What has come back for one request; fed with bytes."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.complete = False
        self.status = 0
        self.identity = ""
        self.body = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes. Raises httptools.HttpParserError for what is no answer."""
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the generation's id."""
        if name.lower() == b"x-generation-id":
            self.identity = value.decode()

    def on_headers_complete(self) -> None:
        """Keep the status."""
        self.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        """Keep the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self.complete = True

    def ending(self, *, streamed: bool) -> Ending:
        """How it ended. An answer that is not whole, or a stream without an end, is lost."""
        if not self.complete:
            return "lost"
        if self.status != 200:
            return "status"
        if not streamed:
            return "good"
        body = bytes(self.body).rstrip()
        if body.endswith(b"data: [DONE]"):
            return "good"
        return "failed" if b'"error"' in body.rpartition(b"\n\n")[2] else "lost"


class Client:
    """Asks one thing after another over a connection that it keeps while it can."""

    def __init__(self, url: str, chance: random.Random, results: Results) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._host = f"{parts.hostname}:{parts.port}"
        self._chance = chance
        self._results = results
        self._kept: socket.socket | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Ask until `stop`."""
        while not stop.is_set():
            plan = draw(self._chance)
            ending, detail = await self._ask(plan)
            self._results.add(plan, ending, detail)
        self._drop()

    async def _ask(self, plan: Plan) -> tuple[Ending, str]:
        model = f"{self._chance.choice(tuple(KINDS))}/{plan.script}"
        body = traffic.ask(model, streamed=plan.streamed)
        if self._kept is None or plan.behaviour == "slow":
            await self._connect(slow=plan.behaviour == "slow")
        assert self._kept is not None
        leaves = plan.behaviour in {"cancels", "resets"}
        answer = Answer()
        self._results.sent += 1
        try:
            async with asyncio.timeout(plan.leave_s if leaves else TIMEOUT_S):
                await self._exchange(
                    self._kept, traffic.post(self._host, traffic.PATH, body), answer, plan
                )
        except TimeoutError:
            return self._left(plan, answer) if leaves else self._lost(answer, "no end")
        except (OSError, httptools.HttpParserError) as error:
            return self._lost(answer, repr(error))
        self._hear(answer)
        if not answer.complete or plan.behaviour == "slow":
            self._drop()
        ending = answer.ending(streamed=plan.streamed)
        return ending, f"{answer.status} {bytes(answer.body[-200:])!r}"

    async def _connect(self, *, slow: bool) -> None:
        self._drop()
        self._kept = socket.socket()
        self._kept.setblocking(False)
        if slow:
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER)
        await asyncio.get_running_loop().sock_connect(self._kept, self._address)

    async def _exchange(
        self, kept: socket.socket, request: bytes, answer: Answer, plan: Plan
    ) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(kept, request)
        while not answer.complete:
            data = await loop.sock_recv(kept, _PIECE)
            if not data:
                return
            answer.feed(data)
            if plan.behaviour == "slow":
                await asyncio.sleep(self._chance.uniform(0.0, _SLOW_S))

    def _hear(self, answer: Answer) -> None:
        if not answer.identity:
            return
        self._results.twice += answer.identity in self._results.heard
        self._results.heard.add(answer.identity)

    def _left(self, plan: Plan, answer: Answer) -> tuple[Ending, str]:
        """Leave in the middle; without a head nobody knows whether the request has begun."""
        self._hear(answer)
        self._results.unsure += not answer.identity
        assert self._kept is not None
        if plan.behaviour == "resets":
            self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._drop()
        return "left", ""

    def _lost(self, answer: Answer, why: str) -> tuple[Ending, str]:
        self._hear(answer)
        self._results.unsure += not answer.identity
        self._drop()
        return "lost", why

    def _drop(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
