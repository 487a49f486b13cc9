"""R5 over HTTP for every pair of dialects: a stream that ends after any of its events.

The upstreams are the hand-written ones of the SDKs' tests: one answer with reasoning, text and two
tool calls. After each event boundary the body ends as if that were all, and once a pair is reset.
What must come of it is worked out from the upstream's frames alone: before the terminal evidence a
failure in the client's grammar, after it a success; every delta that came is delivered, and the
ledger's row says the same. One number a pair: how many ends of how many were classified correctly.
"""

import pytest

from arno.canon.fold import fold
from arno.canon.parts import ReasoningPart, TextPart, ToolCallPart
from arno.dialects import DIALECTS
from arno.wire import json
from tests.engine.test_mutants import InventsSuccess, SwallowsTheBreak
from tests.faults.gateways import assembled, row_of_reply
from tests.gateway.harness import post, running_gateway
from tests.laws.corpus import events_of
from tests.sdk import grammar, upstreams
from tests.sdk.upstreams import story
from tests.sdk.worlds import UPSTREAM_KEY, prefix, toml
from tests.transport.upstream import End, Script, ThreadedUpstream

PROVIDERS = tuple(upstreams.DIALECTS)
CLIENTS = ("chat", "responses", "messages", "gemini")
PAIRS = [(provider, client) for provider in PROVIDERS for client in CLIENTS]

SCENARIO = "thinking_cuts"
TURN = story.Turn(story.BEFORE_CALL, story.REASONING, (story.TIDE, story.WIND), "tool_calls")

EVIDENCE = {
    "chat": b'"finish_reason":"tool_calls"',
    "responses": b'"type":"response.completed"',
    "messages": b'"stop_reason":"tool_use"',
    "gemini": b'"finishReason":"STOP"',
    "converse": b'"stopReason":"tool_use"',
}
"""What stands in the event behind which an answer counts as complete."""

HI = {"role": "user", "content": "Hi"}
ASKED = {
    "chat": ("/v1/chat/completions", {"messages": [HI], "stream_options": {"include_usage": True}}),
    "responses": ("/v1/responses", {"input": "Hi", "store": False}),
    "messages": ("/v1/messages", {"messages": [HI], "max_tokens": 50}),
    "gemini": (
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    ),
}


def played(request):
    """The upstream's answer; the model's id says after how many events it ends, and how."""
    module, found = upstreams._find(request.path)
    asked = module.read(request, json.loads(request.body), found)
    name, _, place = asked.model.partition(".")
    asked.scenario = name
    script = module.answer(asked)
    end = End.RESET if place.startswith("r") else End.KEEP
    frames = list(script.body)[: int(place.removeprefix("r"))]
    return Script(frames, headers=script.headers, end=end)


def frames_of(provider):
    """The whole stream of a provider's dialect, one event each."""
    asked = story.Asked({}, SCENARIO, True, {}, scenario=SCENARIO)
    return [bytes(frame) for frame in upstreams.DIALECTS[provider].answer(asked).body]


def complete_from(provider):
    """How many events make a complete answer."""
    [place] = [n for n, f in enumerate(frames_of(provider), 1) if EVIDENCE[provider] in f][:1]
    return place


class World:
    """A gateway before the upstreams that end."""

    def __init__(self, url, sink):
        self.url = url
        self._sink = sink

    def ask(self, provider, client, place):
        """(the client's answer, the ledger's row) of a stream that ends there."""
        model = f"{prefix(provider)}{SCENARIO}.{place}"
        path, body = ASKED[client]
        if client != "gemini":
            body = {**body, "model": model, "stream": True}
        reply = post(self.url, body, path=path.replace("{model}", model))
        return reply, row_of_reply(self._sink, reply)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    story.SCENARIOS[SCENARIO] = (TURN,)
    folder, environ = tmp_path_factory.mktemp("cuts"), {"UPSTREAM_KEY": UPSTREAM_KEY}
    try:
        with ThreadedUpstream(played) as upstream:
            app, config, sink = assembled(folder, toml(upstream.url), environ=environ)
            with running_gateway(app, config.settings) as url:
                yield World(url, sink)
    finally:
        del story.SCENARIOS[SCENARIO]


def said(body, dialect):
    """(what a stream delivers, its usage, whether it is a success)."""
    result = fold(events_of(body, DIALECTS[dialect]))
    parts = result.partial.choices[0].parts if result.partial.choices else ()
    delivered = {
        "text": "".join(part.text for part in parts if isinstance(part, TextPart)),
        "reasoning": "".join(part.text for part in parts if isinstance(part, ReasoningPart)),
        "calls": [(p.name, p.arguments) for p in parts if isinstance(p, ToolCallPart)],
    }
    return delivered, result.usage, result.failure is None


NOTHING = {"text": "", "reasoning": "", "calls": []}


OPEN_CALLS = {"chat": 2}
"""How many calls may still be open at a time on a provider's wire: chat ends none before all."""


def delivered_wrong(client, kept, got, *, complete, reset, open_calls):
    """What is wrong with what a client was told of what had come."""
    kept, got = dict(kept), dict(got)
    if reset:
        # Bytes that the gateway has not read yet are lost with the connection.
        for name in ("text", "reasoning"):
            kept[name] = kept[name][: len(got[name])]
        kept["calls"] = [
            (name, arguments[: len(told)])
            for (name, arguments), (_, told) in zip(kept["calls"], got["calls"], strict=False)
        ]
    elif client == "gemini" and not complete:
        # This wire tells a call whole or not at all.
        kept["calls"] = kept["calls"][: max(len(got["calls"]), len(kept["calls"]) - open_calls)]
    return None if got == kept else f"delivered {got} instead of {kept}"


def misjudged(world, provider, client, place):
    """What is wrong with one end of a stream, None if nothing is."""
    reset = str(place).startswith("r")
    count = int(str(place).removeprefix("r"))
    complete = not reset and count >= complete_from(provider)
    reply, row = world.ask(provider, client, place)
    state = row.generation.state
    [exchange] = row.exchanges
    came, usage, _ = said(b"".join(frames_of(provider)[:count]), provider)
    if reply.status != 200:
        if complete or (came != NOTHING and not reset):
            return f"status {reply.status} though {came} had come"
        if (state, exchange.state) != ("error", "error"):
            return f"the ledger says {state}, {exchange.state}"
        return None if "error" in reply.document else f"no error: {reply.body[:200]!r}"
    expected = "success" if complete else "truncated"
    if (state, exchange.state) != (expected, expected):
        return f"the ledger says {state}, {exchange.state} instead of {expected}"
    got = said(reply.body, client)
    problem = told_wrong(client, reply.body, got, usage, complete=complete)
    return problem or delivered_wrong(
        client,
        came,
        got[0],
        complete=complete,
        reset=reset,
        open_calls=OPEN_CALLS.get(provider, 1),
    )


def told_wrong(client, body, got, usage, *, complete):
    """What is wrong with the stream that the client was sent, but for what it delivers."""
    problems = grammar.check(client, body, failed=not complete)
    if usage is None:
        problems = [problem for problem in problems if problem != "no usage"]
    if not complete:
        # A call that was cut is delivered as far as it came.
        problems = [problem for problem in problems if not problem.startswith("arguments ")]
    if problems:
        return f"grammar: {problems}"
    _, told, success = got
    if success is not complete:
        return f"read as {'a success' if success else 'a failure'}"
    return "usage was made up" if usage is None and told is not None else None


def ends_of(provider):
    """Every event boundary, and one reset in the middle of what comes before the evidence."""
    return [*range(len(frames_of(provider)) + 1), f"r{complete_from(provider) // 2}"]


@pytest.mark.parametrize(("provider", "client"), PAIRS)
def test_every_end_is_classified_correctly(world, provider, client):
    places = ends_of(provider)
    found = {place: misjudged(world, provider, client, place) for place in places}
    wrong = {place: problem for place, problem in found.items() if problem is not None}
    print(f"{provider} to {client}: {len(places) - len(wrong)} of {len(places)} ends")
    assert wrong == {}


def test_the_expectation_is_made_of_the_frames_alone(world):
    """The judge of the judge: both outcomes happen in every stream, with something in between."""
    for provider in PROVIDERS:
        frames, place = frames_of(provider), complete_from(provider)
        assert 2 < place <= len(frames)
        whole, usage, success = said(b"".join(frames), provider)
        assert success
        assert usage is not None
        assert [name for name, _ in whole["calls"]] == ["tide", "wind"]
        assert (whole["text"], whole["reasoning"]) == (TURN.text, TURN.reasoning)
        assert not said(b"".join(frames[: place - 1]), provider)[2]


class Swallowed(SwallowsTheBreak):
    """As that one, and an end that comes too early is no failure worth telling either."""

    def end(self):
        step = super().end()
        return step if self.seen.failure is None else type(step)(b"", step.events)


def always_a_success(seen, *, cancelled):
    """A ledger that knows no truncation."""
    return "success"


MUTANTS = {
    "invents an end": ("arno.engine.plan.Exchange", InventsSuccess),
    "says nothing of an early end": ("arno.engine.plan.Exchange", Swallowed),
    "a ledger that knows no truncation": ("arno.engine.attempts.state_of", always_a_success),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_out(world, mutant, monkeypatch):
    target, broken = MUTANTS[mutant]
    monkeypatch.setattr(target, broken)
    for provider, client in (("converse", "messages"), ("gemini", "responses")):
        assert misjudged(world, provider, client, complete_from(provider) - 1) is not None
