"""The running loop's time, as the driver and the engine ask for it."""

import asyncio
import time

from arno.exchange.clock import LoopClock


def test_time_goes_forward_and_the_wall_clock_is_utc_nanoseconds():
    clock = LoopClock()
    first, second = clock.monotonic(), clock.monotonic()
    assert first <= second
    before = time.time_ns()
    assert before <= clock.wall_ns() <= time.time_ns()


def test_calls_are_made_in_their_order_and_not_once_cancelled():
    async def main():
        clock, made, last = LoopClock(), [], asyncio.Event()
        clock.call_later(0.002, last.set)
        clock.call_later(0.001, lambda: made.append("kept"))
        clock.call_later(0.001, lambda: made.append("cancelled")).cancel()
        await asyncio.wait_for(last.wait(), 10)
        return made

    assert asyncio.run(main()) == ["kept"]
