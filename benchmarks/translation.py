"""One event of 300 bytes from each provider's dialect into each client's, in this process.

The upstream's frame is cut and decoded, the client's written. Each pair gets the same answer, 200
deltas of 300 bytes, written by the provider dialect's own encoder; what begins and ends an answer
is outside the measured part. The diagonal is what a translation through the canonical form would
cost there; the gateway does not translate a dialect into itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from arno.canon.events import (
    ChoiceEnd,
    Event,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
)
from arno.canon.parts import Part, ReasoningPart, TextPart, ToolCallPart
from arno.canon.response import FinishReason
from arno.dialects import DIALECTS
from arno.dialects.base import Dialect, Stamp, StreamEncoder
from arno.wire.framing import FRAMERS
from benchmarks.micro import Make, Step, timed
from benchmarks.table import Effort, Row, Section

EVENTS = 200
EVENT_BYTES = 300
WORDS = "The quick brown fox jumps over the lazy dog. "
PIECE = (WORDS * 8)[:EVENT_BYTES]
ARGUMENTS = PIECE.replace("The", '\\"the')[:EVENT_BYTES].rstrip("\\")
STAMP = Stamp(id="gen-bench", model="bench/model", provider="bench", created=1773273600)
CLIENTS = ("chat", "responses", "messages", "gemini")
"""The dialects that clients speak."""

BUDGET_US = 8.0

KINDS: dict[str, tuple[Part, Slot, str]] = {
    "text": (TextPart(), Slot.TEXT, PIECE),
    "reasoning": (ReasoningPart(), Slot.TEXT, PIECE),
    "arguments": (ToolCallPart(call_id="call_1", name="write"), Slot.ARGUMENTS, ARGUMENTS),
}
"""What is streamed: an open part, and its deltas."""


def answer(kind: str) -> tuple[list[Event], list[Event], list[Event]]:
    """An answer's events: what opens it, its deltas, what ends it."""
    part, slot, piece = KINDS[kind]
    head: list[Event] = [ResponseStart(id="up-1", model="up/model"), PartStart(0, part)]
    deltas: list[Event] = [PartDelta(0, slot, piece) for _ in range(EVENTS)]
    reason = FinishReason.TOOL_CALLS if kind == "arguments" else FinishReason.STOP
    return head, deltas, [PartEnd(0), ChoiceEnd(0, reason), ResponseEnd()]


def _encoder(dialect: Dialect) -> StreamEncoder:
    return dialect.stream_encoder(STAMP, lambda *_: None, include_usage=True)


def _frames(dialect: Dialect, kind: str) -> tuple[bytes, list[bytes]]:
    """The upstream's bytes: those before the deltas, and each delta's own."""
    encoder = _encoder(dialect)
    head, deltas, _ = answer(kind)
    return encoder.feed(head), [encoder.feed([delta]) for delta in deltas]


def translating(provider: Dialect, client: Dialect, kind: str) -> Make:
    """Both, an event after the other, as the gateway does it."""
    opening, chunks = _frames(provider, kind)

    def make() -> Step:
        framer, decoder = FRAMERS[provider.framing](1 << 20), provider.stream_decoder()
        encoder = _encoder(client)
        for frame in framer.feed(opening):
            encoder.feed(decoder.feed(frame).events)
        return lambda: [
            encoder.feed(decoder.feed(frame).events)
            for chunk in chunks
            for frame in framer.feed(chunk)
        ]

    return make


def _rows(effort: Effort, kind: str) -> Iterator[Row]:
    for provider in DIALECTS.values():
        for name in CLIENTS:
            make = translating(provider, DIALECTS[name], kind)
            yield Row(
                what=f"{provider.name} to {name}",
                unit="us CPU",
                samples=tuple(sample / EVENTS for sample in timed(make, effort.micro_s)),
                budget=BUDGET_US,
            )


def sections(effort: Effort) -> Iterator[Section]:
    """A section for each kind of delta: every provider's dialect into every client's."""
    for kind in KINDS:
        yield Section(
            title=f"Translation, an event: {EVENT_BYTES} bytes of {kind}",
            under="Switched on: cut, decode, encode; the diagonal goes the same way.",
            rows=tuple(_rows(effort, kind)),
        )
