"""R2 end to end: the same stream, however an upstream writes and frames it."""

import asyncio

import pytest

from arno.canon.fold import fold
from tests.engine.harness import Bench, chat_body
from tests.exchange.attempt import SMALL, WORDS, events, exchange, feed
from tests.exchange.test_framing import LINE_ENDS, REWRITES
from tests.transport.upstream import Script, ScriptedUpstream
from tests.wire.streams import bytewise

BODY = chat_body(stream=True, stream_options={"include_usage": True})


def serve(pieces, slug):
    async def main():
        async with ScriptedUpstream([Script.sse(*pieces)]) as up:
            bench = Bench(**{slug: up.url})
            return await bench.serve(BODY), bench

    return asyncio.run(main())


def documents(client):
    """What the client reads, by a decoder of its own."""
    return events(feed(exchange(), client.writes))


@pytest.mark.parametrize("slug", ["plain", "contract"])
@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("rewrite", REWRITES)
def test_a_client_reads_the_same_however_the_upstream_frames_it(rewrite, line_end, slug):
    """R2: whole and in writes of one byte."""
    body = REWRITES[rewrite](SMALL).replace(b"\n", LINE_ENDS[line_end])
    expected = documents(serve([SMALL], slug)[0])
    assert fold(expected).response.choices[0].parts[0].text == WORDS
    for pieces in ([body], bytewise(body)):
        client, bench = serve(pieces, slug)
        assert documents(client) == expected
        assert "\ufffd" not in client.bytes.decode()
        assert bench.entry.state == "success"
        if slug == "contract":
            # What stands behind the end mark is nobody's (row 19).
            mark = b"[DONE]" + LINE_ENDS[line_end] * 2
            assert client.bytes == body[: body.rindex(mark) + len(mark)]
