"""What can go wrong upstream, and what the client and the ledger are told (R5, R10, R21, R27, R28).

Every failure table has a passing control beside it: the same harness over a good answer.
"""

import asyncio

import pytest

from arno.exchange.driver import Deadlines
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
    settle_loop,
)
from tests.transport.upstream import End, Script, ScriptedUpstream

ERROR = (
    b'data: {"error":{"code":502,"message":"boom"},"choices":'
    b'[{"index":0,"delta":{"content":""},"finish_reason":"error"}]}\n\n'
)
GOOD = (*HELLO, STOP, USAGE, DONE)
HTML = b"<html><body>" + b"<p>Bad gateway</p>" * 500 + b"</body></html>"


MID_STREAM = {
    "a clean end without a finish": Script.sse(*HELLO),
    "a FIN inside the body": Script.sse(*HELLO, end=End.CUT),
    "a reset": Script.sse(*HELLO, end=End.RESET),
    "an error chunk": Script.sse(*HELLO, ERROR),
    "an error chunk without choices": Script.sse(*HELLO, b'data: {"error":{"message":"x"}}\n\n'),
    "an error event": Script.sse(*HELLO, b'event: error\ndata: {"error":{"message":"x"}}\n\n'),
    "no JSON": Script.sse(*HELLO, b"data: {oops\n\n"),
    "a cut character": Script.sse(*HELLO, b'data: {"a":"\xe2\x82"}\n\n'),
    "the end mark without a finish": Script.sse(*HELLO, DONE),
    "arguments of no call": Script.sse(*HELLO, chunk({"tool_calls": [{"function": {}}]})),
    "a finish of error": Script.sse(*HELLO, chunk({}, "error")),
    "an error after the finish": Script.sse(*HELLO, STOP, ERROR, DONE),
}


def judge_failed_stream(client, bench):
    """R5: what was said is delivered, then an error; no stop, no usage, no end mark."""
    text = "".join(
        choice["delta"].get("content") or ""
        for document in client.documents
        for choice in document["choices"]
    )
    assert text == "Hello"
    last = client.documents[-1]
    assert last["error"]["message"]
    assert isinstance(last["error"]["code"], int)
    assert last["choices"][0]["finish_reason"] == "error"
    assert not client.is_done
    assert client.ended
    assert not any("usage" in document for document in client.documents)
    assert bench.entry.state == "truncated"
    assert bench.exchanges[0].state == "truncated"


async def _stream(script, slug):
    async with ScriptedUpstream([script]) as up:
        bench = Bench(**{slug: up.url})
        return await bench.serve(chat_body(stream=True)), bench


@pytest.mark.parametrize("slug", ["plain", "contract"])
@pytest.mark.parametrize("fault", MID_STREAM)
def test_a_stream_that_breaks_is_never_a_success(fault, slug):
    client, bench = asyncio.run(_stream(MID_STREAM[fault], slug))
    finishes = [
        choice["finish_reason"]
        for document in client.documents
        for choice in document["choices"]
        if choice.get("finish_reason")
    ]
    if fault == "an error after the finish" and slug == "contract":
        assert finishes[-1] == "error"
    else:
        assert finishes == ["error"]
    judge_failed_stream(client, bench)


@pytest.mark.parametrize("slug", ["plain", "contract"])
def test_the_judge_refuses_a_good_stream(slug):
    """The control: the same harness over a good answer is a success, and the judge notices."""
    client, bench = asyncio.run(_stream(Script.sse(*GOOD), slug))
    assert bench.entry.state == "success"
    with pytest.raises((AssertionError, KeyError)):
        judge_failed_stream(client, bench)


def test_the_idle_deadline_ends_a_stalled_stream_and_names_itself():
    """R5 d: comments are no events, so they do not feed the deadline."""

    async def main():
        clock, gate = ManualClock(), asyncio.Event()
        script = Script.sse(*HELLO, b": ping\n\n", gate)
        async with ScriptedUpstream([script]) as up:
            bench = Bench(contract=up.url, clock=clock, deadlines=Deadlines(idle=30.0))
            task, client = bench.begin(chat_body(stream=True))
            await client.until(lambda c: b": ping" in c.bytes)
            await clock.advance(29.0)
            assert not task.done()
            await clock.advance(1.5)
            await asyncio.wait_for(task, 10)
            return client, bench

    client, bench = asyncio.run(main())
    judge_failed_stream(client, bench)
    assert "idle" in client.documents[-1]["error"]["message"]
    assert bench.entry.error_kind == "timeout"


def test_the_first_event_deadline_goes_on_to_the_next_candidate():
    async def main():
        clock, gate = ManualClock(), asyncio.Event()
        async with (
            ScriptedUpstream([Script.sse(b": wait\n\n", gate)]) as slow,
            ScriptedUpstream([Script.sse(*GOOD)]) as good,
        ):
            bench = Bench(
                ("slow", slow.url, False),
                ("good", good.url, False),
                clock=clock,
                deadlines=Deadlines(first=20.0),
            )
            task, client = bench.begin(chat_body(stream=True))
            await slow.seen(1)
            await settle_loop()
            await clock.advance(21.0)
            await asyncio.wait_for(task, 10)
            return client, bench

    client, bench = asyncio.run(main())
    assert client.is_done
    assert [(e.endpoint, e.state) for e in bench.exchanges] == [
        ("slow", "error"),
        ("good", "success"),
    ]


BEFORE_OUTPUT = {
    "401": (Script.json(b'{"error":{"message":"bad key"}}', 401), True),
    "402": (Script.json(b'{"error":{"message":"no money"}}', 402), True),
    "403": (Script.json(b'{"error":{"message":"no"}}', 403), True),
    "408": (Script.json(b'{"error":{"message":"late"}}', 408), True),
    "429": (Script.json(b'{"error":{"message":"slow down"}}', 429), True),
    "500": (Script.json(b'{"error":{"message":"oops"}}', 500), True),
    "502 HTML": (Script([HTML], 502, [("content-type", "text/html")]), True),
    "503": (Script.json(b"", 503), True),
    "529": (Script.json(b'{"error":{"type":"overloaded_error"}}', 529), True),
    "302": (Script([], 302, [("location", "http://127.0.0.1:1/")]), True),
    "an error event first": (Script.sse(b'event: error\ndata: {"error":{"code":500}}\n\n'), True),
    "an empty 200": (Script.json(b""), True),
    "an error in a 200": (Script.json(b'{"error":{"code":429,"message":"slow down"}}'), True),
    "a reset before the head": (Script.raw(end=End.RESET), True),
    "a reset before output": (Script.sse(b": wait\n\n", end=End.RESET), True),
    "a role and no more": (Script.sse(chunk({"role": "assistant"}), end=End.CUT), True),
    "400 low balance": (Script.json(b'{"error":{"message":"credit balance too low"}}', 400), True),
    "404 model": (Script.json(b'{"error":{"message":"model not found"}}', 404), True),
    "400": (Script.json(b'{"error":{"message":"bad"}}', 400), False),
    "404": (Script.json(b'{"error":{"message":"no such path"}}', 404), False),
    "413": (Script.json(b'{"error":{"message":"too big"}}', 413), False),
    "422": (Script.json(b'{"error":{"message":"bad"}}', 422), False),
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fault", BEFORE_OUTPUT)
def test_failover_before_the_first_output(fault, streamed):
    """R28, as a table: the endpoint's fault goes on, the request's own fault does not."""
    script, goes_on = BEFORE_OUTPUT[fault]
    good = Script.sse(*GOOD) if streamed else Script.json(answer())

    async def main():
        async with ScriptedUpstream([script, script]) as bad, ScriptedUpstream([good]) as up:
            bench = Bench(("bad", bad.url, False), ("good", up.url, False))
            return await bench.serve(chat_body(stream=streamed)), bench, up

    client, bench, up = asyncio.run(main())
    assert len(up.requests) == int(goes_on)
    assert bench.entry.attempts == len(bench.exchanges) == 1 + goes_on
    assert bench.exchanges[0].state == "error"
    if goes_on:
        assert (client.status, bench.entry.state) == (200, "success")
        assert (bench.entry.endpoint, bench.entry.cost_nano) == ("good", 20_000)
        assert client.headers["x-provider-name"] == "Good"
    else:
        assert client.status == bench.entry.http_status >= 400
        assert bench.entry.state == "error"
        assert "error" in client.document


def test_nothing_is_switched_after_the_first_output():
    async def main():
        async with (
            ScriptedUpstream([Script.sse(*HELLO, end=End.RESET)]) as bad,
            ScriptedUpstream([Script.sse(*GOOD)]) as good,
        ):
            bench = Bench(("bad", bad.url, False), ("good", good.url, False))
            return await bench.serve(chat_body(stream=True)), bench, good

    client, bench, good = asyncio.run(main())
    assert good.requests == []
    judge_failed_stream(client, bench)


def test_what_a_failed_attempt_sent_before_output_never_reaches_the_client():
    async def main():
        first = Script.sse(b": one\n\n", chunk({"role": "assistant", "content": ""}), end=End.CUT)
        async with (
            ScriptedUpstream([first]) as bad,
            ScriptedUpstream([Script.sse(b": two\n\n", *GOOD)]) as good,
        ):
            bench = Bench(("contract", bad.url, True), ("good", good.url, True))
            return await bench.serve(chat_body(stream=True))

    client = asyncio.run(main())
    assert client.bytes == b": two\n\n" + b"".join(GOOD)


STATUS = {
    401: 502,
    402: 502,
    429: 429,
    500: 502,
    503: 503,
    529: 503,
    413: 413,
}


@pytest.mark.parametrize("upstream", STATUS)
def test_the_client_is_told_whose_fault_it_was(upstream):
    """Row 13: an upstream's 401 is the operator's fault, never the client's."""

    async def main():
        headers = [("retry-after", "7"), ("content-type", "application/json")]
        script = Script([b'{"error":{"message":"no sk-abcdefgh12345"}}'], upstream, headers)
        async with ScriptedUpstream([script]) as up:
            bench = Bench(plain=up.url)
            return await bench.serve(chat_body()), bench

    client, bench = asyncio.run(main())
    assert client.status == STATUS[upstream]
    assert client.headers.get("retry-after") == ("7" if client.status in (429, 503) else None)
    error = client.document["error"]
    assert error["code"] == STATUS[upstream]
    assert error["metadata"]["error_type"]
    assert "sk-abcdefgh" not in client.bytes.decode()
    assert bench.exchanges[0].http_status == upstream


@pytest.mark.parametrize("streamed", [False, True])
def test_a_page_of_html_is_not_handed_on(streamed):
    """Row 12: an error document of ours, and a small one."""

    async def main():
        script = Script([HTML], 502, [("content-type", "text/html")])
        async with ScriptedUpstream([script]) as up:
            return await Bench(plain=up.url).serve(chat_body(stream=streamed))

    client = asyncio.run(main())
    assert client.status == 502
    assert len(client.bytes) < 2048
    assert client.document["error"]["message"]
    assert b"<html" not in client.bytes


def test_a_refused_connection_goes_on():
    async def main():
        async with ScriptedUpstream([Script.json(answer())]) as up:
            bench = Bench(("none", "http://127.0.0.1:1", False), ("good", up.url, False))
            return await bench.serve(chat_body()), bench

    client, bench = asyncio.run(main())
    assert client.status == 200
    assert bench.exchanges[0].http_status is None
    assert bench.exchanges[0].error_kind == "provider_unavailable"


CANCEL_AT = {
    "after the third event": (Script.sse, (*HELLO, chunk({"content": "!"})), True),
    "before the first byte": (Script.sse, (), True),
    "during a whole answer": (Script.json, (), False),
}


@pytest.mark.parametrize("moment", CANCEL_AT)
def test_a_client_that_leaves_closes_the_upstream_and_is_settled_once(moment):
    """R10: the upstream socket is closed, no further attempt is made, one row says cancelled."""
    _, pieces, streamed = CANCEL_AT[moment]

    async def main():
        gate = asyncio.Event()
        script = Script.sse(*pieces, gate) if streamed else Script.raw(gate)
        async with ScriptedUpstream([script]) as up, ScriptedUpstream([]) as other:
            bench = Bench(("plain", up.url, False), ("other", other.url, False))
            task, client = bench.begin(chat_body(stream=streamed))
            request = await up.seen(1)
            if pieces:
                await client.until(lambda c: len(c.documents) == len(pieces))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(request.closed.wait(), 10)
            return bench, other

    bench, other = asyncio.run(main())
    assert other.requests == []
    assert len(bench.sink.recent(10)) == 1
    assert bench.entry.state == "cancelled"
    assert [e.state for e in bench.exchanges] == ["cancelled"]
    assert bench.entry.cost_nano is None


def test_a_ledger_that_cannot_be_written_is_no_success():
    from arno.ledger.ports import RecordNotDurable

    class Full:
        def append(self, record):
            raise RecordNotDurable("disk full")

    async def main(streamed, script, gate=None):
        async with ScriptedUpstream([script]) as up:
            bench = Bench(contract=up.url)
            bench.engine.sink = Full()
            client = Client()
            serving = asyncio.ensure_future(bench.serve(chat_body(stream=streamed), client))
            if gate is not None:
                await client.until(lambda c: len(c.documents) == 2)
                gate.set()
            return await serving, bench

    gate = asyncio.Event()
    script = Script.sse(*HELLO, gate, STOP, DONE)
    client, bench = asyncio.run(main(True, script, gate))
    assert client.documents[-1]["choices"][0]["finish_reason"] == "error"
    assert not client.is_done
    client, bench = asyncio.run(main(False, Script.json(answer())))
    assert client.status == 503
    assert bench.outcome.state == "error"
    assert json.loads(client.bytes)["error"]["metadata"]["provider_code"] == "ledger_unavailable"
