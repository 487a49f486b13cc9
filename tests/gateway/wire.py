"""The replay server on a real socket, and chunked bodies as a server framed them."""

from contextlib import contextmanager

from tests.gateway.harness import running_server


class _Served:
    """A replay application with its settings and answers where the harness looks for them."""

    def __init__(self, app):
        self.gateway = app

    async def __call__(self, scope, receive, send):
        await self.gateway(scope, receive, send)


@contextmanager
def running_replay(app):
    """A `ReplayApp` on the product's own server: (url, server). Leaving the block drains it."""
    with running_server(_Served(app)) as running:
        yield running


def read_chunked(client):
    """The chunks of the body that comes next on a raw client (`tests.gateway.harness.Client`)."""
    chunks = []
    while size := int(client.read_until(b"\r\n"), 16):
        while len(client.waiting) < size + 2:
            data = client.socket.recv(65536)
            assert data, "closed inside a chunk"
            client.waiting += data
        chunks.append(client.waiting[:size])
        assert client.waiting[size : size + 2] == b"\r\n"
        client.waiting = client.waiting[size + 2 :]
    assert client.read_until(b"\r\n") == b"\r\n"
    return chunks
