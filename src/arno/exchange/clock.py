"""Time as an argument: everything that waits or measures asks a Clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that will be made."""

    def cancel(self) -> None:
        """Do not make it."""
        ...


class Clock(Protocol):
    """monotonic: seconds for durations; wall_ns: UTC since the epoch for records."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        ...

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` after `delay` seconds."""
        ...


class LoopClock:
    """The running event loop's time."""

    monotonic = staticmethod(time.monotonic)
    wall_ns = staticmethod(time.time_ns)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """As the Protocol says."""
        return asyncio.get_running_loop().call_later(delay, callback)


async def pause(clock: Clock, seconds: float) -> None:
    """Wait on `clock`; cancelling it leaves no timer."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def end() -> None:
        if not over.done():
            over.set_result(None)

    timer = clock.call_later(seconds, end)
    try:
        await over
    finally:
        timer.cancel()
