"""A request leaves nothing for the garbage collector: what it held is freed when it ends.

A cycle would keep the whole request body alive until the collector comes by, and its passes stop
every stream.
"""

import asyncio
import gc

import pytest

from tests.engine.harness import DONE, HELLO, STOP, USAGE, Bench, answer, chat_body
from tests.transport.upstream import Script, ScriptedUpstream

SCRIPTS = {
    "stream": (Script.sse(*HELLO, STOP, USAGE, DONE), True),
    "whole": (Script.json(answer()), False),
    "whole for a stream": (Script.json(answer()), True),
    "refused": (Script.json(b'{"error":{"message":"bad"}}', 400), False),
}


async def garbage(bench, body):
    """Objects in cycles that one request leaves behind."""
    await bench.serve(body)
    gc.collect()
    gc.disable()
    try:
        await bench.serve(body)
        await asyncio.sleep(0)
        return gc.collect()
    finally:
        gc.enable()


@pytest.mark.parametrize("slug", ["plain", "contract"])
@pytest.mark.parametrize("case", SCRIPTS)
def test_a_request_leaves_no_cycles(case, slug):
    script, streamed = SCRIPTS[case]

    async def main():
        async with ScriptedUpstream([script, script]) as up:
            bench = Bench(**{slug: up.url})
            return await garbage(bench, chat_body(stream=streamed))

    assert asyncio.run(main()) == 0


def test_a_cycle_would_be_seen():
    """The mutant: an engine that keeps a reference to its own method."""

    async def main():
        async with ScriptedUpstream([Script.json(answer())] * 2) as up:
            bench = Bench(plain=up.url)
            serve = bench.engine.serve

            async def cyclic(call, down):
                holder = [call]
                holder.append(holder)
                return await serve(call, down)

            bench.engine.serve = cyclic
            return await garbage(bench, chat_body())

    assert asyncio.run(main()) > 0
