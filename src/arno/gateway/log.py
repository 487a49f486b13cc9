"""One JSON line per request, without content.

Serves the threat model (logs: structured, control characters escaped, no bodies) and bad input 23.
Lines are written by a thread of their own, so that a reader of the log who stalls never stalls
requests; when too many wait, lines are dropped and counted.
"""

from __future__ import annotations

import re
import sys
import threading
import traceback
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue
from typing import Protocol

import msgspec

from arno.engine.call import Outcome
from arno.exchange.masking import MARK, PIECE, mask_pieces
from arno.ledger.money import format_usd
from arno.wire import json

MAX_TEXT = 128
"""Characters of a client's text in a line."""

MAX_WAITING = 10_000
"""Lines that may wait for the writer."""

GATHER_S = 0.02
"""How long the writer gathers lines before it writes them."""

_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[!-~]+", re.IGNORECASE)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answered request; state is a ledger state, or ok and refused."""

    status: int
    state: str
    generation_id: str | None = None
    model: str | None = None
    reason: str | None = None
    served_by: str | None = None
    attempts: int | None = None
    cost_nano: int | None = None
    input: int | None = None
    output: int | None = None
    first_output_ms: int | None = None


def facts_of(outcome: Outcome) -> Facts:
    """What the engine says of a generation."""
    return Facts(
        status=outcome.status,
        state=outcome.state,
        generation_id=outcome.generation_id,
        model=outcome.model,
        served_by=outcome.served_by,
        attempts=outcome.attempts,
        cost_nano=outcome.cost_nano,
        input=outcome.input,
        output=outcome.output,
        first_output_ms=outcome.first_output_ms,
        reason=visible(outcome.reason),
    )


class Sheet(Protocol):
    """Where lines go; `sys.stderr` is one."""

    def write(self, text: str, /) -> object:
        """Write text."""

    def flush(self) -> None:
        """Make it visible."""


def visible(text: str | None) -> str | None:
    """A client's text in printable characters, at most `MAX_TEXT` of them before escaping."""
    if text is None or (len(text) <= MAX_TEXT and text.isprintable()):
        return text
    cut = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut)


def timestamp(wall_ns: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    milliseconds = wall_ns // 1_000_000
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Up to the second: lines of one second share it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="request"):
    """One answered request, in the order of the members."""

    ts: str
    generation_id: str | None
    key: str | None
    method: str | None
    path: str | None
    model: str | None
    status: int
    state: str
    reason: str | None
    ms: int
    first_output_ms: int | None
    served_by: str | None
    attempts: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None


_encode = msgspec.json.Encoder().encode


class RequestLog:
    """Lines on their way to a sheet; `dropped` counts those that found no room."""

    def __init__(self, sheet: Sheet | None = None, secrets: Iterable[str] = ()) -> None:
        """sheet: where lines go, standard error if None; secrets: kept out of what others than us
        word, tracebacks above all. A thread lives until `close`.
        """
        self._sheet = sheet if sheet is not None else sys.stderr
        # A shorter one (a local server's "none") is no secret, and stands in any text.
        self._secrets = tuple(secret for secret in secrets if len(secret) >= PIECE)
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._closing = threading.Event()
        self._ended = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="arno-log", daemon=True)
        self._thread.start()

    def request(
        self, *, wall_ns: int, key_id: str | None, method: str, path: str, ms: int, facts: Facts
    ) -> None:
        """Log one answered request. ms: its duration."""
        line = _Line(
            ts=timestamp(wall_ns),
            generation_id=facts.generation_id,
            key=key_id,
            method=visible(method),
            path=visible(path),
            model=visible(facts.model),
            status=facts.status,
            state=facts.state,
            reason=facts.reason,
            ms=ms,
            first_output_ms=facts.first_output_ms,
            served_by=visible(facts.served_by),
            attempts=facts.attempts,
            input_tokens=facts.input,
            output_tokens=facts.output,
            cost_usd=None if facts.cost_nano is None else format_usd(facts.cost_nano),
        )
        self._put(_encode(line))

    def bug(self, *, wall_ns: int, generation_id: str | None, error: BaseException) -> None:
        """Log an exception that no request may cause, with its traceback."""
        trace = "".join(traceback.format_exception(error))
        line = {"event": "bug", "generation_id": generation_id, "traceback": self._masked(trace)}
        self._put(json.dumps({"ts": timestamp(wall_ns), **line}))

    def note(self, *, wall_ns: int, event: str, text: str) -> None:
        """Log something that belongs to no request."""
        line = {"ts": timestamp(wall_ns), "event": event, "text": self._masked(text)}
        self._put(json.dumps(line))

    def _masked(self, text: str) -> str:
        """A text that an exception may have put any value into."""
        text = _CREDENTIALS.sub(rf"\1 {MARK}", text)
        for secret in self._secrets:
            text = mask_pieces(text, secret)
        return text

    def close(self) -> None:
        """Write what waits and stop the thread; nothing may be logged afterwards."""
        self._closing.set()
        self._waiting.put(None)
        self._thread.join()

    def _put(self, line: bytes) -> None:
        if self._waiting.qsize() >= MAX_WAITING:
            self.dropped += 1
            return
        self._waiting.put(line)

    def _run(self) -> None:
        while not self._ended:
            lines = self._gather()
            # A sheet that is gone (closed pipe) must not end the gateway.
            with suppress(OSError, ValueError):
                self._sheet.write("".join(line.decode() + "\n" for line in lines))
                self._sheet.flush()

    def _gather(self) -> list[bytes]:
        """Wait for a line; then all that a moment brings: each waking takes time from requests."""
        lines: list[bytes] = []
        line = self._waiting.get()
        self._closing.wait(GATHER_S)
        while line is not None:
            lines.append(line)
            if self._waiting.empty():
                return lines
            line = self._waiting.get()
        self._ended = True
        return lines
