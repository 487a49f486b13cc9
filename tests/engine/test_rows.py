"""R27: one row per attempt and one per request, whatever becomes of a thousand calls."""

import asyncio
import random
from collections import Counter

import pytest

from arno.wire import json
from tests.engine.harness import (
    DONE,
    HELLO,
    STOP,
    USAGE,
    Bench,
    Client,
    ManualClock,
    answer,
    chat_body,
    chunk,
    usage_chunk,
)
from tests.transport.upstream import End, Script, ScriptedUpstream

CALLS, AT_ONCE = 1000, 25
PRICE = 20_000
"""What 10 tokens in and 5 out cost, in nano-USD."""

GOOD = (*HELLO, STOP, USAGE, DONE)
ERROR = b'data: {"error":{"code":502,"message":"boom"}}\n\n'
SPENT = chunk({"role": "assistant"}, usage={"prompt_tokens": 10, "completion_tokens": 5})


def refusal(status):
    return lambda: Script.json(b'{"error":{"message":"no"}}', status)


def silence(*pieces):
    return lambda: Script.sse(*pieces, asyncio.Event())


def stream(*pieces, **end):
    return lambda: Script.sse(*pieces, **end)


def whole():
    return Script.json(answer())


CASES = {
    # name: (streamed, what the two upstreams say, states of the attempts, of the call, its cost)
    "success": (True, [stream(*GOOD)], ["success"], "success", PRICE),
    "whole": (False, [whole], ["success"], "success", PRICE),
    "failover": (True, [refusal(500), stream(*GOOD)], ["error", "success"], "success", PRICE),
    "whole failover": (False, [refusal(429), whole], ["error", "success"], "success", PRICE),
    "cut": (True, [stream(*HELLO, end=End.CUT)], ["truncated"], "truncated", None),
    "reset": (True, [stream(*HELLO, end=End.RESET)], ["truncated"], "truncated", None),
    "cut with usage": (True, [stream(*HELLO, USAGE)], ["truncated"], "truncated", PRICE),
    "error mid-stream": (True, [stream(*HELLO, ERROR)], ["truncated"], "truncated", None),
    "both refuse": (True, [refusal(503)] * 2, ["error", "error"], "error", None),
    "spent, then refused": (
        True,
        [stream(SPENT, ERROR), refusal(500)],
        ["error", "error"],
        "error",
        PRICE,
    ),
    "bad request": (False, [refusal(400)], ["error"], "error", None),
    "cancelled mid-stream": (True, [silence(*HELLO)], ["cancelled"], "cancelled", None),
    "cancelled before the head": (
        False,
        [lambda: Script.raw(asyncio.Event())],
        ["cancelled"],
        "cancelled",
        None,
    ),
    "cancelled at the second": (
        True,
        [refusal(500), silence()],
        ["error", "cancelled"],
        "cancelled",
        None,
    ),
    "refused": (True, [], [], "refused", None),
    "idle": (True, [silence(*HELLO)], ["truncated"], "truncated", None),
    "first event": (True, [silence()] * 2, ["error", "error"], "error", None),
}
LATE = ("idle", "first event")
"""Cases that end by a deadline: they run together, while time passes."""


def batches(names):
    names = list(names)
    return [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]


class Traffic:
    """Two upstreams that answer by the case a request names, and the calls made of them."""

    def __init__(self):
        self.clock = ManualClock()
        self.seen = Counter()
        self.arrived = {}
        self.cases = {}

    async def run(self, names):
        upstreams = [ScriptedUpstream(self._answer(place)) for place in range(2)]
        async with upstreams[0] as first, upstreams[1] as second:
            self.bench = Bench(
                ("first", first.url, False), ("second", second.url, True), clock=self.clock
            )
            for some in batches(name for name in names if name not in LATE):
                await asyncio.gather(*map(self._call, some))
            for some in batches(name for name in names if name in LATE):
                await self._late(some)
            self.requests = len(first.requests) + len(second.requests)

    def _answer(self, place):
        def answer_of(request):
            call, name = json.loads(request.body)["case"].split("|")
            self.seen[call] += 1
            if place + 1 == len(CASES[name][1]):
                self.arrived[call].set()
            return CASES[name][1][place]()

        return answer_of

    def _begin(self, name):
        number = f"gen-{len(self.cases) + 1}"
        self.cases[number] = name
        self.arrived[number] = asyncio.Event()
        members = {"model": "no/such"} if name == "refused" else {}
        body = chat_body(stream=CASES[name][0], case=f"{number}|{name}", **members)
        task, client = self.bench.begin(body, Client())
        return number, task, client

    async def _call(self, name):
        number, task, client = self._begin(name)
        if name.startswith("cancelled"):
            await self.arrived[number].wait()
            if name == "cancelled mid-stream":
                await client.until(lambda c: len(c.documents) == 2)
            task.cancel()
        await asyncio.wait([task], timeout=20)
        assert task.done(), name
        assert client.faults == []

    async def _late(self, names):
        begun = [self._begin(name) for name in names]
        for number, _, client in begun:
            if self.cases[number] == "idle":
                await client.until(lambda c: len(c.documents) == 2)
        while not all(task.done() for _, task, _ in begun):
            await self.clock.advance(30.0)
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def traffic():
    names = [*CASES, *random.Random(27).choices(list(CASES), k=CALLS - len(CASES))]
    found = Traffic()
    asyncio.run(found.run(names))
    return found


def records(traffic):
    return {record.generation.id: record for record in traffic.bench.sink.appended}


def test_there_is_one_row_per_call_and_one_per_request_seen_upstream(traffic):
    """R27: exactly; no row twice and none missing."""
    assert len(traffic.bench.sink.appended) == len(records(traffic)) == CALLS
    assert records(traffic).keys() == traffic.cases.keys()
    rows = {number: len(record.exchanges) for number, record in records(traffic).items()}
    assert rows == {number: traffic.seen[number] for number in traffic.cases}
    assert sum(rows.values()) == traffic.requests


def test_every_case_was_met_and_ends_in_its_states(traffic):
    """R27: with state, endpoint and attempt number."""
    assert set(traffic.cases.values()) == set(CASES)
    for number, name in traffic.cases.items():
        record = records(traffic)[number]
        _, _, attempts, state, _ = CASES[name]
        assert [entry.state for entry in record.exchanges] == attempts, name
        assert record.generation.state == state, name
        assert record.generation.attempts == len(attempts)
        assert [entry.attempt for entry in record.exchanges] == [1, 2][: len(attempts)]
        assert [e.endpoint for e in record.exchanges] == ["first", "second"][: len(attempts)]


def test_what_is_not_known_is_none_and_what_is_known_is_charged(traffic):
    """R27: cost and tokens of each call; a call without usage is unpriced, never 0."""
    for number, name in traffic.cases.items():
        entry = records(traffic)[number].generation
        assert entry.cost_nano == CASES[name][4], name
        assert (entry.cost_basis == "unpriced") is (CASES[name][4] is None), name
        known = entry.input_tokens is not None
        assert entry.tokens_basis == ("reported" if known else "unknown")


def test_the_sums_of_the_rows_are_the_totals(traffic):
    """R27: requests, money of calls and of attempts, to the last digit."""
    totals = traffic.bench.sink.totals("k")
    entries = [record.generation for record in records(traffic).values()]
    attempts = [entry for record in records(traffic).values() for entry in record.exchanges]
    expected = sum(CASES[name][4] or 0 for name in traffic.cases.values())
    assert totals.requests == CALLS
    assert totals.cost_nano == expected
    assert sum(entry.cost_nano or 0 for entry in entries) == expected
    assert sum(entry.cost_nano or 0 for entry in attempts) == expected
    assert totals.input == sum(entry.input_tokens or 0 for entry in entries)


def test_usage_without_counts_is_unpriced():
    """R23: a usage that says nothing is no usage of 0."""

    async def main():
        async with ScriptedUpstream([Script.sse(*HELLO, STOP, usage_chunk(), DONE)]) as up:
            bench = Bench(plain=up.url)
            await bench.serve(chat_body(stream=True))
            return bench.entry

    entry = asyncio.run(main())
    assert (entry.state, entry.cost_nano, entry.input_tokens) == ("success", None, None)
