"""The agent over real HTTP: what goes out, what comes back, and every way it can break."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from arno.agent.agent import Agent
from arno.agent.errors import ModelError, RunError
from arno.agent.events import StepFinished, TextDelta
from arno.agent.history import user
from arno.agent.http import HttpModel
from arno.agent.result import RunResult
from arno.canon.events import Event, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.request import Request
from arno.exchange.driver import Deadlines
from arno.transport.base import HttpRequest, HttpResponse
from arno.transport.live import LivePool
from arno.version import VERSION
from arno.wire import json
from tests.agent.scripted import outline
from tests.transport.upstream import (
    End,
    Framing,
    Script,
    ScriptedUpstream,
    SeenRequest,
    ThreadedUpstream,
)

HEAD = b'{"id":"gen-7","object":"chat.completion.chunk","model":"m","choices":[{"index":0,'


def chunk(delta: bytes, finish: bytes = b"null") -> bytes:
    return b"data: " + HEAD + b'"delta":' + delta + b',"finish_reason":' + finish + b"}]}\n\n"


HELLO = chunk(b'{"role":"assistant","content":"Hel"}')
REST = chunk(b'{"content":"lo"}')
FINISH = chunk(b"{}", b'"stop"')
DONE = b"data: [DONE]\n\n"
WHOLE = (HELLO, REST, FINISH, DONE)
CALL = chunk(
    b'{"tool_calls":[{"index":0,"id":"a","type":"function",'
    b'"function":{"name":"add","arguments":"{\\"x\\":1}"}}]}'
)
CALL_STOP = (CALL, FINISH, DONE)


def add(x: int) -> int:
    """Add one."""
    return x + 1


def ask(scripts: Sequence[Script], **settings: Any) -> tuple[RunResult, ScriptedUpstream]:
    """Ask an agent "hi" over a real connection."""

    async def go() -> tuple[RunResult, ScriptedUpstream]:
        async with ScriptedUpstream(scripts) as upstream:
            url = upstream.url + "/api/v1"
            async with Agent("m", base_url=url, **settings) as agent:
                return await agent.run("hi"), upstream

    return asyncio.run(go())


def messages(request: SeenRequest) -> Any:
    document = json.loads(request.body)
    assert isinstance(document, dict)
    return document["messages"]


def test_a_request_as_it_goes_out() -> None:
    result, upstream = ask([Script.sse(*WHOLE)], api_key="secret", headers={"X-Title": "demo"})
    request = upstream.requests[0]
    assert result.text == "Hello"
    assert (request.method, request.path) == ("POST", "/api/v1/chat/completions")
    assert request.header("authorization") == "Bearer secret"
    assert request.header("content-type") == "application/json"
    assert request.header("user-agent") == f"arno/{VERSION}"
    assert request.header("x-title") == "demo"
    assert json.loads(request.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_without_a_key_there_is_no_authorization(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARNO_API_KEY", raising=False)
    _, upstream = ask([Script.sse(*WHOLE)])
    assert upstream.requests[0].header("authorization") is None


def test_own_headers_take_the_place_of_ours() -> None:
    _, upstream = ask([Script.sse(*WHOLE)], headers={"User-Agent": "mine/1"})
    names = [name for name, _ in upstream.requests[0].headers]
    assert upstream.requests[0].header("user-agent") == "mine/1"
    assert names.count("user-agent") == 1


def test_the_place_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadedUpstream([Script.sse(*WHOLE)]) as upstream:
        monkeypatch.setenv("ARNO_BASE_URL", upstream.url + "/v1")
        monkeypatch.setenv("ARNO_API_KEY", "from-the-environment")
        assert Agent("m").run_sync("hi").text == "Hello"
        request = upstream.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.header("authorization") == "Bearer from-the-environment"


def test_events_come_as_they_arrive() -> None:
    """The second piece leaves the upstream only after the first one was read."""

    async def go() -> None:
        gate = asyncio.Event()
        async with (
            ScriptedUpstream([Script.sse(HELLO, gate, REST, FINISH, DONE)]) as upstream,
            Agent("m", base_url=upstream.url) as agent,
            agent.stream("hi") as run,
        ):
            texts: list[str] = []
            async for event in run:
                if isinstance(event, TextDelta):
                    texts.append(event.text)
                    gate.set()
            assert texts == ["Hel", "lo"]

    asyncio.run(go())


def test_steps_share_one_connection_and_finish_stop_with_calls_goes_on() -> None:
    result, upstream = ask([Script.sse(*CALL_STOP), Script.sse(*WHOLE)], tools=[add])
    assert outline(result.messages) == ["user", "assistant a", "tool a: 2", "assistant"]
    assert upstream.connections == 1
    assert messages(upstream.requests[1])[1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "2"},
    ]


def test_an_upstream_that_lingers_after_the_end_does_not_hold_the_run_up() -> None:
    never = asyncio.Event()
    result, _ = ask([Script.sse(*WHOLE, never)])
    assert result.text == "Hello"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [([("x-generation-id", "gen-ours")], "gen-ours"), ([], "gen-7")],
)
def test_the_generation_id_is_the_headers_or_else_the_answers_own(
    headers: list[tuple[str, str]], expected: str
) -> None:
    script = Script(WHOLE, headers=[("content-type", "text/event-stream"), *headers])
    result, _ = ask([script])
    assert result.steps[0].generation_id == expected


def test_a_whole_answer_in_place_of_a_stream_is_understood() -> None:
    body = (
        b'{"id":"gen-7","object":"chat.completion","model":"m","choices":[{"index":0,'
        b'"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],'
        b'"usage":{"prompt_tokens":3,"completion_tokens":1,"cost":0.25}}'
    )
    result, _ = ask([Script.json(body)])
    assert (result.text, str(result.cost_usd)) == ("Hello", "0.25")


ERROR = b'{"error":{"code":429,"message":"slow down"}}'
MID_ERROR = b'data: {"error":{"code":502,"message":"lost"},"choices":[]}\n\n'
TRUNCATED, INVALID = FailureKind.TRUNCATED, FailureKind.INVALID_ANSWER
BEFORE, MID = False, True
"""Whether there was output when it happened."""

FAULTS: dict[str, tuple[Script, FailureKind, bool, str]] = {
    "status": (Script.json(ERROR, status=429), FailureKind.RATE_LIMIT, BEFORE, "slow down"),
    "no JSON": (
        Script([b"<html>"], 503, [("content-type", "text/html")]),
        FailureKind.OVERLOADED,
        BEFORE,
        "503",
    ),
    "redirect": (
        Script((), 302, [("location", "http://elsewhere.test/")]),
        FailureKind.UNAVAILABLE,
        BEFORE,
        "redirect",
    ),
    "error in a 200": (Script.json(ERROR), FailureKind.RATE_LIMIT, BEFORE, "slow down"),
    "error first": (Script.sse(MID_ERROR), FailureKind.UNAVAILABLE, BEFORE, "lost"),
    "error later": (Script.sse(HELLO, MID_ERROR), FailureKind.UNAVAILABLE, MID, "lost"),
    "cut": (Script.sse(HELLO, end=End.CUT), TRUNCATED, MID, "clos"),
    "cut before output": (Script.sse(end=End.CUT), TRUNCATED, BEFORE, "clos"),
    "reset": (Script.sse(HELLO, end=End.RESET), TRUNCATED, MID, "reset"),
    "ended early": (Script.sse(HELLO), TRUNCATED, MID, "without a finish"),
    "half an event": (Script.sse(HELLO, FINISH[:-1]), TRUNCATED, MID, "without a finish"),
    "done without finish": (Script.sse(HELLO, DONE), TRUNCATED, MID, "without a finish"),
    "broken JSON": (Script.sse(HELLO, b"data: {\n\n"), INVALID, MID, "no JSON"),
    "no head": (Script.raw(end=End.CUT), FailureKind.UNAVAILABLE, BEFORE, "clos"),
    "no HTTP": (Script.raw(b"220 smtp ready\r\n\r\n", end=End.CLOSE), INVALID, BEFORE, "HTTP"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_a_model_error_that_says_how(name: str) -> None:
    script, kind, with_output, words = FAULTS[name]
    with pytest.raises(ModelError, match=words) as caught:
        ask([script], api_key="secret")
    failure = caught.value.failure
    assert (failure.kind, failure.stage is Stage.MID_STREAM) == (kind, with_output)
    assert outline(caught.value.messages) == ["user"]
    assert "secret" not in f"{caught.value} {failure!r}"


def test_an_answer_that_is_finished_needs_no_end_mark() -> None:
    """The cut rule: the finish was seen, then the end of the stream."""
    headers = [("content-type", "text/event-stream")]
    script = Script(WHOLE[:3], headers=headers, framing=Framing.UNTIL_CLOSE, end=End.CLOSE)
    result, _ = ask([script])
    assert result.text == "Hello"


def test_nobody_listens() -> None:
    async def url_of_a_closed_port() -> str:
        async with ScriptedUpstream([]) as upstream:
            return upstream.url

    with pytest.raises(ModelError) as caught:
        Agent("m", base_url=asyncio.run(url_of_a_closed_port())).run_sync("hi")
    failure = caught.value.failure
    assert (failure.kind, failure.stage) == (FailureKind.UNAVAILABLE, Stage.BEFORE_HEAD)
    assert failure.retryable


def last_failure(model: HttpModel) -> Failure:
    async def go() -> Failure:
        stream = model.stream(Request(model="m", messages=(user("hi"),), stream=True))
        events: list[Event] = [event async for event in stream]
        await stream.aclose()
        await stream.aclose()
        await model.aclose()
        assert isinstance(events[-1], StreamError)
        return events[-1].failure

    return asyncio.run(go())


class OneChunk:
    """A transport whose response says hello, then nothing; tells whether it was given up."""

    status = 200
    headers = (("content-type", "text/event-stream"),)
    aborted = False

    def __init__(self) -> None:
        self._chunks = [HELLO]

    async def send(self, request: HttpRequest) -> HttpResponse:
        return self

    async def read(self) -> bytes:
        if not self._chunks:
            await asyncio.Event().wait()
        return self._chunks.pop()

    def abort(self) -> None:
        self.aborted = True

    async def aclose(self) -> None: ...


def test_the_upstream_is_closed_when_the_close_returns() -> None:
    async def go() -> None:
        upstream = OneChunk()
        model = HttpModel("http://127.0.0.1", transport=upstream)
        stream = model.stream(Request(model="m", messages=(user("hi"),), stream=True))
        await anext(stream)
        assert not upstream.aborted
        await stream.aclose()
        assert upstream.aborted
        assert [event async for event in stream] == []

    asyncio.run(go())


class NeverAnswers:
    """A transport whose responses never come."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def aclose(self) -> None: ...


def test_an_upstream_that_never_speaks_is_given_up() -> None:
    deadlines = Deadlines(first=0.0)
    failure = last_failure(
        HttpModel("http://127.0.0.1", transport=NeverAnswers(), deadlines=deadlines)
    )
    assert (failure.kind, failure.stage) == (FailureKind.TIMEOUT, Stage.BEFORE_HEAD)


def test_an_upstream_that_falls_silent_is_given_up_and_closed() -> None:
    with ThreadedUpstream([Script.sse(HELLO, asyncio.Event())]) as upstream:
        failure = last_failure(HttpModel(upstream.url, deadlines=Deadlines(idle=0.0)))
        upstream.wait(upstream.requests[0].closed, seconds=30)
    assert (failure.kind, failure.stage) == (FailureKind.TIMEOUT, Stage.MID_STREAM)


def test_cancelling_a_run_closes_the_upstream() -> None:
    async def go() -> None:
        async with (
            ScriptedUpstream([Script.sse(HELLO, asyncio.Event())]) as upstream,
            Agent("m", base_url=upstream.url) as agent,
        ):
            run = agent.stream("hi")
            async with run:
                async for event in run:
                    if isinstance(event, TextDelta):
                        break
            await asyncio.wait_for(upstream.requests[0].closed.wait(), 30)
            assert outline(run.messages) == ["user", "assistant"]

    asyncio.run(go())


def test_cancelling_a_task_that_waits_for_the_head_closes_the_upstream() -> None:
    async def go() -> None:
        async with (
            ScriptedUpstream([Script(before=[asyncio.Event()])]) as upstream,
            Agent("m", base_url=upstream.url) as agent,
        ):
            task = asyncio.create_task(agent.run("hi"))
            request = await upstream.seen(1)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await asyncio.wait_for(request.closed.wait(), 30)

    asyncio.run(go())


def test_run_sync_can_be_used_again_and_again() -> None:
    """Each use has its own event loop, and connections belong to one."""
    with ThreadedUpstream([Script.sse(*WHOLE), Script.sse(*WHOLE)]) as upstream:
        agent = Agent("m", base_url=upstream.url)
        assert [agent.run_sync("hi").text for _ in range(2)] == ["Hello", "Hello"]


def test_each_event_loop_has_its_own_connections() -> None:
    """Two loops in turn, both alive, neither closed before the other has asked."""
    scripts = [Script.sse(*WHOLE) for _ in range(4)]
    with ThreadedUpstream(scripts) as upstream, asyncio.Runner() as one, asyncio.Runner() as other:
        agent = Agent("m", base_url=upstream.url)
        texts = [runner.run(agent.run("hi")).text for runner in (one, other, one, other)]
        for runner in (one, other):
            runner.run(agent.aclose())
        assert upstream.connections == 2
    assert texts == ["Hello"] * 4


def test_a_transport_that_was_given_stays_open() -> None:
    async def go() -> None:
        async with ScriptedUpstream([Script.sse(*WHOLE), Script.sse(*WHOLE)]) as upstream:
            pool = LivePool()
            for _ in range(2):
                async with Agent("m", base_url=upstream.url, transport=pool) as agent:
                    await agent.run("hi")
            assert upstream.connections == 1
            await pool.aclose()

    asyncio.run(go())


def test_its_own_connections_go_through_the_proxy_of_the_environment(monkeypatch) -> None:
    """For http origins a scripted upstream sees what a proxy would: the absolute form."""

    async def go() -> tuple[str, str]:
        async with ScriptedUpstream([Script.sse(*WHOLE)]) as upstream:
            monkeypatch.setenv("http_proxy", upstream.url)
            async with Agent("m", base_url="http://model.test/v1") as agent:
                text = (await agent.run("hi")).text
            return text, upstream.requests[0].path

    assert asyncio.run(go()) == ("Hello", "http://model.test/v1/chat/completions")


def test_a_key_is_never_shown() -> None:
    model = HttpModel("http://127.0.0.1/v1", api_key="very-secret")
    assert "very-secret" not in f"{model!r} {model}"


def test_a_second_step_that_fails_keeps_the_first() -> None:
    with pytest.raises(RunError) as caught:
        ask([Script.sse(*CALL_STOP), Script.json(ERROR, status=429)], tools=[add])
    assert outline(caught.value.messages) == ["user", "assistant a", "tool a: 2"]


def test_time_to_first_token_is_measured_with_the_given_clock() -> None:
    times = iter([10.0, 10.5, 20.0, 20.25])

    async def go() -> list[float | None]:
        scripts = [Script.sse(*CALL_STOP), Script.sse(*WHOLE)]
        async with ScriptedUpstream(scripts) as upstream:
            url, clock = upstream.url, lambda: next(times)
            async with Agent("m", base_url=url, tools=[add], clock=clock) as agent:
                events = [event async for event in agent.stream("hi")]
                return [e.first_token_s for e in events if isinstance(e, StepFinished)]

    assert asyncio.run(go()) == [0.5, 0.25]
