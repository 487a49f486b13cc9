"""Chunked bodies as a server framed them."""


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
