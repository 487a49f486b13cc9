"""R34: an upstream that repeats the gateway's key does not hand it on."""

import asyncio

import pytest

from arno.wire import json
from tests.engine.harness import DONE, HELLO, Bench, answer, chat_body, chunk
from tests.transport.upstream import Script, ScriptedUpstream

KEY = "our-own-upstream-key"
ERROR = {"message": f"bad key {KEY}", "code": KEY, "metadata": {"raw": [KEY, {KEY: KEY}]}}
CHOICE = {"index": 0, "delta": {"content": ""}, "finish_reason": "error"}
CHUNK = b"data: " + json.dumps({"error": ERROR, "choices": [CHOICE]}) + b"\n\n"
DOCUMENT = json.dumps({"error": ERROR})

ECHOES = {
    **{f"status {code}": (Script.json(DOCUMENT, code), False) for code in (400, 401, 429, 500)},
    "inside a 200": (Script.json(DOCUMENT), False),
    "first event": (Script.sse(CHUNK), True),
    "mid-stream": (Script.sse(*HELLO, CHUNK), True),
    "error event": (Script.sse(*HELLO, b"event: error\n" + CHUNK), True),
    "text": (Script([KEY.encode()], 400, [("content-type", "text/plain")]), False),
}


async def _serve(script, streamed, slug, key=KEY):
    async with ScriptedUpstream([script]) as up:
        bench = Bench(**{slug: up.url})
        bench.engine.upstream_key = lambda _: key
        client = await bench.serve(chat_body(stream=streamed))
        assert up.requests[0].header("authorization") == f"Bearer {key}"
        return client, bench


@pytest.mark.parametrize("slug", ["plain", "contract"])
@pytest.mark.parametrize("case", ECHOES)
def test_the_key_that_an_upstream_repeats_goes_no_further(case, slug):
    script, streamed = ECHOES[case]
    client, bench = asyncio.run(_serve(script, streamed, slug))
    assert bench.entry.state in ("error", "truncated")
    told = client.bytes.decode() + str(client.headers)
    assert KEY not in told
    assert KEY not in str(bench.sink.recent(1))
    assert KEY not in str(bench.outcome)


def test_the_check_sees_an_echo():
    """The control: what is not the gateway's key passes, so the harness would see it."""
    script, streamed = ECHOES["status 400"]
    client, _ = asyncio.run(_serve(script, streamed, "plain", key="another-key-than-that"))
    assert KEY in client.bytes.decode()


@pytest.mark.parametrize("stream", [False, True])
def test_a_good_answer_that_names_the_key_does_not_bring_it_into_the_ledger(stream):
    """What a good answer says is the client's; the names that we keep of it are not the key."""
    named = {"provider": f"host {KEY}", "id": KEY, "model": KEY}
    script = (
        Script.sse(chunk({"content": "x"}, **named), chunk({}, "stop", **named), DONE)
        if stream
        else Script.json(answer(**named))
    )

    async def main():
        async with ScriptedUpstream([script]) as up:
            bench = Bench(plain=up.url)
            bench.engine.upstream_key = lambda slug: KEY
            await bench.serve(chat_body(stream=stream))
            return bench.entry

    entry = asyncio.run(main())
    assert entry.state == "success"
    assert KEY not in repr(entry)
    assert "[redacted]" in repr(entry)
