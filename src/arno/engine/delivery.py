"""The client's side of one generation: what is held, when the head goes out, heartbeats.

The head is held until the first output, so that a failure before it can still be another
candidate's success or a plain error with its status. After `hold` seconds a stream's head goes
out all the same, with heartbeats; what the upstream has sent so far stays held, since it is not
output and another candidate may still take its place (architecture, section 4.5).
"""

from __future__ import annotations

import asyncio

import msgspec

from arno.dialects.base import Headers
from arno.engine.call import Downstream
from arno.exchange.clock import Clock, Timer

STREAM_TYPE = ("content-type", "text/event-stream")
JSON_TYPE = ("content-type", "application/json")


class Pace(msgspec.Struct, frozen=True):
    """hold: seconds before a stream's head goes out without output; beat: between heartbeats.

    held_bytes: how much may wait for the first output; beyond it the head goes out.
    """

    hold: float = 5.0
    beat: float = 10.0
    held_bytes: int = 65_536


class Delivery:
    """Writes one answer; `head_sent` and `output_sent` tell how far it has come."""

    def __init__(self, down: Downstream, clock: Clock, pace: Pace, heartbeat: bytes) -> None:
        self._down = down
        self._clock = clock
        self._pace = pace
        self._heartbeat = heartbeat
        self._held: list[bytes] = []
        self._held_size = 0
        self._busy = False
        self._last = clock.monotonic()
        self._timer: Timer | None = None
        self._beat: asyncio.Task[None] | None = None
        self.head_sent = False
        self.output_sent = False

    def start(self) -> None:
        """Begin to keep a stream's client informed."""
        self._timer = self._clock.call_later(self._pace.hold, self._tick)

    async def stop(self) -> None:
        """No more heartbeats; waits for one that is being written."""
        self._disarm()
        await self._settle_beat()

    async def abandon(self) -> None:
        """No more heartbeats, and none is waited for: the client may be gone."""
        self._disarm()
        if self._beat is not None:
            self._beat.cancel()
            await self._settle_beat()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hold(self, data: bytes) -> bool:
        """Keep bytes that are not output; False if there is no room for them: nothing is kept."""
        if self._held_size + len(data) > self._pace.held_bytes:
            return False
        self._held.append(data)
        self._held_size += len(data)
        return True

    def forget(self) -> None:
        """Drop what an attempt that failed had sent before any output."""
        self._held.clear()
        self._held_size = 0

    async def stream(self, data: bytes, headers: Headers) -> None:
        """Send output of a stream with all that was held before it, as one write."""
        if not self.output_sent and self._held:
            data = b"".join((*self._held, data))
            self.forget()
        self.output_sent = True
        if not data:
            return
        self._busy = True
        try:
            if self._beat is not None:
                await self._settle_beat()
            if not self.head_sent:
                self.head_sent = True
                await self._down.head(200, (STREAM_TYPE, *headers))
            await self._down.body(data)
        finally:
            self._busy = False
            self._last = self._clock.monotonic()

    async def whole(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a whole answer, its end included; heartbeats must have been stopped."""
        self.head_sent = self.output_sent = True
        length = ("content-length", str(len(body)))
        await self._down.whole(status, (JSON_TYPE, length, *headers), body)

    async def end(self) -> None:
        """End the answer."""
        await self._down.end()

    async def _settle_beat(self) -> None:
        """Let a heartbeat that is being written finish first: frames never mix."""
        if self._beat is not None:
            await asyncio.gather(self._beat, return_exceptions=True)
            self._beat = None

    def _tick(self) -> None:
        """Time for a sign of life, unless something was written lately."""
        beat = self._beat
        if beat is not None and beat.done() and (beat.cancelled() or beat.exception()):
            return  # the client cannot be written to any more; the engine will notice by itself
        wait = self._pace.beat if self.head_sent else 0.0
        left = self._last + wait - self._clock.monotonic()
        if left <= 0:
            left = self._pace.beat
            if not self._busy and (self._beat is None or self._beat.done()):
                self._beat = asyncio.get_running_loop().create_task(self._send_beat())
        self._timer = self._clock.call_later(left, self._tick)

    async def _send_beat(self) -> None:
        if not self.head_sent:
            self.head_sent = True
            await self._down.head(200, (STREAM_TYPE,))
        await self._down.body(self._heartbeat)
        self._last = self._clock.monotonic()
