"""Every cut of a stream, from each provider's dialect into each client's (R5; must hold: all).

One answer with reasoning, text and two tool calls, in the provider dialect's own form, is cut at
every byte. Before the terminal evidence the client is told a failure in its own grammar, after it a
success, whose usage may be missing; what had come before the cut is delivered in any case.
"""

from functools import cache
from typing import Any

import pytest

from arno.canon.events import Event, ResponseEnd, StreamError
from arno.canon.fold import Fold, fold
from arno.canon.parts import ReasoningPart, TextPart, ToolCallPart
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, Stamp
from arno.wire.framing import FRAMERS
from tests.laws.corpus import events_of
from tests.laws.harness import no_price
from tests.sdk import grammar

CLIENTS = ("chat", "responses", "messages", "gemini")

ANSWER = Response(
    id="up-1",
    model="m",
    choices=(
        Choice(
            parts=(
                ReasoningPart(text="First look.", signature="c2ln", format="anthropic-claude-v1"),
                TextPart(text="Søk \u2603 now"),
                ToolCallPart(call_id="call_a", name="f", arguments='{"x": 1}'),
                ToolCallPart(call_id="call_b", name="g", arguments='{"y":[2]}'),
            ),
            reason=FinishReason.TOOL_CALLS,
        ),
    ),
    usage=Usage(input=9, output=5),
)

EVIDENCE = {
    "chat": b'"finish_reason":"tool_calls"',
    "responses": b'"type":"response.completed"',
    "messages": b'"stop_reason":"tool_use"',
    "gemini": b'"finishReason":"STOP"',
    "converse": b'"stopReason":"tool_use"',
}
"""What stands in the first frame behind which an answer counts as complete."""


@cache
def stream_of(dialect: str) -> bytes:
    """The answer as an upstream of a dialect streams it, its texts in pieces."""
    encoder = DIALECTS[dialect].stream_encoder(Stamp(), no_price, include_usage=True)
    return b"".join(encoder.feed([event]) for event in unfold(ANSWER))


@cache
def complete_from(dialect: str) -> int:
    """How many bytes make a complete answer: up to the end of the frame with the evidence."""
    place = 0
    framer = FRAMERS[DIALECTS[dialect].framing](1 << 20)
    for frame in framer.feed(stream_of(dialect)):
        place += len(frame.raw)
        if EVIDENCE[dialect] in frame.raw:
            # Of a blank line that ends in CR LF, the CR alone ends the frame.
            return place - frame.raw.endswith(b"\r\n\r\n")
    raise AssertionError(f"no evidence in the stream of {dialect}")


def offsets(dialect: str) -> range:
    """Every byte."""
    return range(len(stream_of(dialect)))


def told(client: Dialect, events: list[Event]) -> bytes:
    """What the client is sent for these events of the upstream."""
    encoder = client.stream_encoder(
        Stamp(id="gen-1", model="m", provider="p", created=1), no_price, include_usage=True
    )
    return b"".join(encoder.feed([event]) for event in events)


def said(result: Fold) -> dict[str, Any]:
    """What has been delivered, complete or not."""
    parts = result.partial.choices[0].parts if result.partial.choices else ()
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    return {
        "text": "".join(part.text for part in parts if isinstance(part, TextPart)),
        "reasoning": "".join(part.text for part in parts if isinstance(part, ReasoningPart)),
        "calls": [(part.call_id, part.name) for part in calls],
    }


def misjudged(provider: str, client: str, offset: int) -> str | None:
    """What is wrong with a cut at an offset, None if nothing is."""
    events = events_of(stream_of(provider)[:offset], DIALECTS[provider])
    complete = offset >= complete_from(provider)
    if isinstance(events[-1], ResponseEnd) is not complete:
        return f"decoded as {type(events[-1]).__name__}"
    body = told(DIALECTS[client], events)
    before = fold(events)
    problems = grammar.check(client, body, failed=not complete)
    if before.usage is None:
        problems = [problem for problem in problems if problem != "no usage"]
    if not complete:
        # A call that was cut is delivered as far as it came.
        problems = [problem for problem in problems if not problem.startswith("arguments ")]
    if problems:
        return f"grammar: {problems}"
    read = fold(events_of(body, DIALECTS[client]))
    if (read.failure is None) is not complete:
        return f"read as {'a failure' if read.failure else 'a success'}"
    if before.usage is None and read.usage is not None:
        return "usage was made up"
    kept, got = said(before), said(read)
    if client == "gemini" and not complete:
        # This wire tells a call whole or not at all.
        kept.pop("calls")
        got.pop("calls")
    return None if got == kept else f"delivered {got} instead of {kept}"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("provider", sorted(DIALECTS))
def test_every_cut_is_judged_right(provider: str, client: str) -> None:
    wrong = {}
    known: dict[tuple[int, bool], str | None] = {}
    for offset in offsets(provider):
        key = (len(events_of_prefix(provider, offset)), offset >= complete_from(provider))
        if key not in known:
            known[key] = misjudged(provider, client, offset)
        if known[key] is not None:
            wrong[offset] = known[key]
    assert not wrong, f"{len(wrong)} of {len(offsets(provider))}: {list(wrong.items())[:3]}"


@cache
def events_of_prefix(provider: str, offset: int) -> tuple[str, ...]:
    """The kinds of events that a cut stream has; cuts that differ in none look alike downstream.

    Each byte is decoded for itself, once for all clients.
    """
    events = events_of(stream_of(provider)[:offset], DIALECTS[provider])
    complete = offset >= complete_from(provider)
    assert isinstance(events[-1], ResponseEnd) is complete, f"byte {offset} of {provider}"
    return tuple(type(event).__name__ for event in events)


def test_a_decoder_that_takes_a_cut_for_an_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant whose streams end well wherever they end."""
    monkeypatch.setitem(EVIDENCE, "chat", b'"content":"S')
    complete_from.cache_clear()
    try:
        cut = complete_from("chat")
        assert misjudged("chat", "messages", cut) == "decoded as StreamError"
    finally:
        complete_from.cache_clear()


def test_a_client_stream_without_its_failure_is_noticed() -> None:
    events = events_of(stream_of("chat")[: complete_from("chat") // 2], DIALECTS["chat"])
    assert isinstance(events[-1], StreamError)
    silent = told(DIALECTS["messages"], events[:-1])
    assert grammar.check("messages", told(DIALECTS["messages"], events), failed=True) == []
    assert grammar.check("messages", silent, failed=True)
