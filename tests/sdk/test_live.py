"""Time, as the Python SDK sees it: a piece is read before the next one is released, and a stream
that is closed early ends upstream too (R10).
"""

import asyncio
from contextlib import contextmanager

import openai

from tests.engine.harness import DONE, HELLO, MODEL, STOP
from tests.sdk.clients import KEY
from tests.sdk.gateways import before
from tests.transport.upstream import Script, ThreadedUpstream

MESSAGES = [{"role": "user", "content": "Hello"}]


@contextmanager
def streaming(*steps):
    """(the scripted upstream, the SDK's stream of its answer)"""
    with (
        ThreadedUpstream([Script.sse(*steps)]) as upstream,
        before(upstream.url) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client,
        client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True) as stream,
    ):
        yield upstream, stream


def test_a_piece_is_read_before_the_next_one_is_released():
    gates = [asyncio.Event(), asyncio.Event()]
    with streaming(HELLO[0], gates[0], HELLO[1], gates[1], STOP, DONE) as (upstream, stream):
        assert next(stream).choices[0].delta.content == "Hel"
        upstream.release(gates[0])
        assert next(stream).choices[0].delta.content == "lo"
        upstream.release(gates[1])
        assert [chunk.choices[0].finish_reason for chunk in stream] == ["stop"]


def test_a_stream_closed_early_ends_upstream():
    with streaming(*HELLO, asyncio.Event()) as (upstream, stream):
        next(stream)
        stream.close()
        upstream.wait(upstream.requests[0].closed)
