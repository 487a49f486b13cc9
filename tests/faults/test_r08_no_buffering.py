"""R8: an event goes out when it comes, alone, plain and over TLS, through the whole gateway.

Order, not time: the upstream holds event k+1 back until the client has read event k. 60 events of
247 bytes each, as in the probe that found other gateways buffering.
"""

import asyncio
from contextlib import contextmanager

import pytest

from arno.engine import engine
from arno.gateway import asgi
from tests.engine.harness import DONE, STOP, chunk
from tests.engine.test_mutants import HoldsOneBack
from tests.faults.gateways import row_of, serving, states, toml
from tests.gateway.harness import PATIENCE_S, connect
from tests.transport.certificates import needs_openssl
from tests.transport.upstream import Script, ThreadedUpstream

ASK = {"model": "a/b", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
COUNT = 60
SIZE = 247
HURRIED_S = 0.3
"""How long a client waits that expects to wait in vain."""


def event(number):
    """Event `number`, SIZE bytes long."""
    text = f"<{number}>"
    return chunk({"content": text + "." * (SIZE - len(chunk({"content": text})))})


@contextmanager
def upstream_over(kind, scripts, folder, request):
    """(upstream, what an arno.toml must say to trust it)"""
    if kind == "plain":
        with ThreadedUpstream(scripts) as upstream:
            yield upstream, ""
        return
    authority = request.getfixturevalue("authority")
    context = authority.server("IP:127.0.0.1")
    with ThreadedUpstream(scripts, ssl_context=context) as upstream:
        yield upstream, f'[tls]\nca_file = "{authority.ca_file}"\n'


def in_step(kind, folder, request, patience=PATIENCE_S):
    """The check: (head, chunks as the gateway framed them, ledger row), one event at a time."""
    gates = [asyncio.Event() for _ in range(COUNT)]
    steps = [step for number, gate in enumerate(gates) for step in (event(number), gate)]
    scripts = [Script.sse(*steps, STOP, DONE)]
    with (
        upstream_over(kind, scripts, folder, request) as (upstream, more),
        serving(folder, toml(f"{upstream.url}/v1", more=more)) as (url, sink),
        connect(url) as client,
    ):
        client.socket.settimeout(patience)
        client.post(ASK)
        head, chunks = client.read_head(), []
        for number, gate in enumerate(gates):
            chunks.append(client.read_chunk())
            assert f'"<{number}>'.encode() in chunks[-1]
            assert client.waiting == b""
            upstream.release(gate)
        while piece := client.read_chunk():
            chunks.append(piece)
        return head, chunks, row_of(sink)


def check_head(head):
    status, headers = head
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache", "no")


OVER = [pytest.param("plain"), pytest.param("tls", marks=needs_openssl)]


@pytest.mark.parametrize("kind", OVER)
def test_r8_event_k_is_read_before_event_k_plus_1_is_sent(kind, tmp_path, request):
    assert len(event(0)) == len(event(COUNT - 1)) == SIZE
    head, chunks, record = in_step(kind, tmp_path, request)
    check_head(head)
    assert [piece.count(b"\n\n") for piece in chunks[:COUNT]] == [1] * COUNT
    assert b"".join(chunks).endswith(b"data: [DONE]\n\n")
    assert states(record) == ("success", [("alpha", "success")])


def test_r8_a_gateway_that_holds_one_event_back_is_found_out(tmp_path, request, monkeypatch):
    monkeypatch.setattr(engine, "Delivery", HoldsOneBack)
    with pytest.raises(TimeoutError):
        in_step("plain", tmp_path, request, HURRIED_S)


def test_r8_a_head_that_lets_others_buffer_is_found_out(tmp_path, request, monkeypatch):
    monkeypatch.setattr(asgi, "STREAM_FIELDS", ())
    head, _, _ = in_step("plain", tmp_path, request)
    with pytest.raises(KeyError):
        check_head(head)
