"""Request bodies on their way up: large ones, and answers that come before the end (row 39)."""

import asyncio
import socket

import pytest

from arno.transport.base import ErrorKind
from arno.transport.connection import WRITE_SLICE
from arno.transport.live import LivePool, connect_directly
from tests.transport.running import fault_of, on_both_loops, pool, post, read_all, within
from tests.transport.upstream import End, Framing, Script, ScriptedUpstream


@on_both_loops
def test_large_request_body_arrives_whole(run):
    body = bytes(range(256)) * 4096 * 8

    async def scenario():
        scripts = [Script.json(b"{}"), Script.json(b"{}")]
        async with ScriptedUpstream(scripts) as upstream, pool() as live:
            await read_all(await live.send(post(upstream.url, body)))
            await read_all(await live.send(post(upstream.url, b"small")))
            assert [request.body for request in upstream.requests] == [body, b"small"]
            assert upstream.connections == 1

    run(within(30, scenario()))


@on_both_loops
def test_early_answer_stops_the_sending(run):
    """Fault row 39: a 413 while the body is under way is used, the connection is not kept."""
    body = b"x" * 40_000_000

    async def scenario():
        scripts = [Script([b"too large"], 413, framing=Framing.LENGTH), Script.json(b"{}")]
        async with ScriptedUpstream(scripts, read_bodies=False) as upstream, pool() as live:
            response = await live.send(post(upstream.url, body))
            assert response.status == 413
            assert await read_all(response) == b"too large"
            await upstream.requests[0].closed.wait()
            assert len(upstream.requests[0].body) < len(body)
            await read_all(await live.send(post(upstream.url)))
            assert upstream.connections == 2

    run(within(30, scenario()))


@on_both_loops
def test_early_answer_survives_the_reset_that_follows_it(run):
    """An upstream that closes with our body unread resets the connection after its answer."""

    async def scenario():
        early = Script([b"no"], 413, framing=Framing.LENGTH, end=End.CLOSE)
        async with ScriptedUpstream([early], read_bodies=False) as upstream, pool() as live:
            response = await live.send(post(upstream.url, b"x" * 5_000_000))
            assert (response.status, await read_all(response)) == (413, b"no")

    run(within(30, scenario()))


@on_both_loops
@pytest.mark.parametrize("framing", ["content-length: 2\r\n", ""])
def test_an_answer_of_an_upstream_that_half_closes_is_used(run, framing):
    """It says all it has to say, sends FIN, and goes on reading our body: no cut."""

    async def scenario():
        uploads = []

        async def answer_and_read_on(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 413 No\r\n{framing}\r\nno".encode())
            writer.write_eof()
            uploads.append(len(await reader.read()))
            writer.close()

        server = await asyncio.start_server(answer_and_read_on, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with pool() as live:
            for _ in range(2):
                response = await live.send(post(url, b"x" * 20_000_000))
                assert (response.status, await read_all(response)) == (413, b"no")
            assert not live._hosts
        while len(uploads) < 2:
            await asyncio.sleep(0.001)
        server.close()
        return uploads

    assert max(run(within(30, scenario()))) < 20_000_000


@on_both_loops
@pytest.mark.parametrize("head", ["", "HTTP/1.1 200 OK\r\n"])
def test_a_half_close_before_the_answer_is_a_closed_connection(run, head):
    """Control: FIN is an end, wherever it comes."""

    async def scenario():
        async def only_closes(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head.encode())
            writer.write_eof()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(only_closes, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with pool() as live:
            error = await fault_of(live.send(post(url)))
        server.close()
        return error

    error = run(within(30, scenario()))
    assert (error.kind, error.sent) == (ErrorKind.CLOSED, True)


def test_early_answer_needs_an_upstream_that_does_not_read():
    """Control of the row above: the same body is sent whole to an upstream that wants it."""
    body = b"x" * 40_000_000

    async def scenario():
        async with ScriptedUpstream([Script.json(b"{}", 413)]) as upstream, pool() as live:
            assert (await live.send(post(upstream.url, body))).status == 413
            assert len(upstream.requests[0].body) == len(body)

    asyncio.run(within(30, scenario()))


class Deaf(asyncio.Protocol):
    """Answers the first bytes of a request with `answer`, then reads only when told to."""

    def __init__(self, answer: bytes, accepted: list["Deaf"]) -> None:
        self.answer = answer
        self.connections = accepted

    def connection_made(self, transport):
        self.transport = transport
        self.connections.append(self)

    def data_received(self, data):
        if self.answer:
            self.transport.pause_reading()
            self.transport.write(self.answer)
            self.answer = b""


async def connect_with_small_buffer(origin, factory, context):
    transport, connection = await connect_directly(origin, factory, context)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return transport, connection


def deaf_upstream(answer: bytes, accepted: list[Deaf]):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop = asyncio.get_running_loop()
    return url, loop.create_server(lambda: Deaf(answer, accepted), sock=listener)


@on_both_loops
def test_connection_whose_request_was_left_unsent_is_not_kept(run):
    """Sending stopped at the early head; then the upstream took all that was under way.

    Nothing waits in our buffers any more, and yet the next request would be read as body.
    """

    async def scenario():
        accepted = []
        url, serving = deaf_upstream(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\n", accepted)
        server = await serving
        live = LivePool(connect=connect_with_small_buffer)
        response = await live.send(post(url, b"x" * 10_000_000))
        transport = response._connection._transport
        assert transport.get_write_buffer_size() <= 2 * WRITE_SLICE
        accepted[0].transport.resume_reading()
        while transport.get_write_buffer_size():
            await asyncio.sleep(0.001)
        accepted[0].transport.write(b"no")
        assert await read_all(response) == b"no"
        assert transport.is_closing()
        await live.aclose()
        server.close()
        for peer in accepted:
            peer.transport.abort()
        await asyncio.sleep(0)

    run(within(30, scenario()))


@on_both_loops
def test_connection_with_request_bytes_still_to_go_is_not_kept(run):
    """The whole body was handed to the socket, which has not passed it on yet."""

    async def scenario():
        accepted = []
        url, serving = deaf_upstream(b"HTTP/1.1 413 No\r\ncontent-length: 2\r\n\r\nno", accepted)
        server = await serving
        live = LivePool(connect=connect_with_small_buffer)
        for _ in range(2):
            response = await live.send(post(url, b"x" * WRITE_SLICE))
            assert await read_all(response) == b"no"
        assert len(accepted) == 2
        await live.aclose()
        server.close()
        for peer in accepted:
            peer.transport.abort()
        await asyncio.sleep(0)

    run(within(30, scenario()))
