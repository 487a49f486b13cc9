"""A client is told which attempts failed before the one it hears of (R28; contract, 4.8)."""

import asyncio

import pytest

from arno.engine import engine
from tests.engine.harness import DONE, HELLO, STOP, Bench, answer, chat_body
from tests.transport.upstream import Script, ScriptedUpstream

LATER = [("content-type", "application/json"), ("retry-after", "7")]
BUSY = Script([b'{"error":{"code":"rate"}}'], 429, LATER)
BROKEN = Script.json(b'{"error":{"message":"no"}}', status=500)


async def through(first, second, **members):
    """One request through two endpoints that answer so."""
    async with ScriptedUpstream([first]) as one, ScriptedUpstream([second]) as two:
        bench = Bench(plain=one.url, other=two.url)
        return await bench.serve(chat_body(**members))


PREVIOUS = [{"provider": "Plain", "code": "rate", "status": 429}]


def test_an_error_lists_the_attempts_before_it():
    client = asyncio.run(through(BUSY, BROKEN))
    assert client.status == 429
    assert client.document["error"]["metadata"]["previous_errors"] == PREVIOUS
    assert client.headers["retry-after"] == "7"


def test_an_error_of_the_only_attempt_lists_none():
    async def main():
        async with ScriptedUpstream([BROKEN]) as up:
            return await Bench(plain=up.url).serve(chat_body())

    assert "previous_errors" not in asyncio.run(main()).document["error"]["metadata"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_success_names_the_attempts_before_it(stream):
    good = Script.sse(*HELLO, STOP, DONE) if stream else Script.json(answer())
    client = asyncio.run(through(BUSY, good, stream=stream))
    assert client.status == 200
    assert client.headers["x-failed-attempts"] == "Plain: 429"
    assert client.headers["x-provider-name"] == "Other"


def test_a_success_at_once_names_none():
    client = asyncio.run(through(Script.json(answer()), BROKEN))
    assert "x-failed-attempts" not in client.headers


def test_an_engine_that_forgets_them_is_noticed(monkeypatch):
    monkeypatch.setattr(engine.Generation, "_headers", lambda self, plan, exchange: ())
    with pytest.raises(KeyError):
        test_a_success_names_the_attempts_before_it(True)
