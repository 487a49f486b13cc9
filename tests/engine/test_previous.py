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


def test_an_error_lists_the_other_attempts():
    """Told is the rate limit, which a client can act on; the list holds the rest."""
    client = asyncio.run(through(BUSY, BROKEN))
    metadata = client.document["error"]["metadata"]
    assert (client.status, client.headers["retry-after"]) == (429, "7")
    assert metadata["provider_name"] == "Plain"
    assert metadata["previous_errors"] == [{"provider": "Other", "code": "server", "status": 500}]


def test_of_equal_errors_the_last_is_told():
    client = asyncio.run(through(BROKEN, BROKEN))
    metadata = client.document["error"]["metadata"]
    assert metadata["provider_name"] == "Other"
    assert [each["provider"] for each in metadata["previous_errors"]] == ["Plain"]


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
