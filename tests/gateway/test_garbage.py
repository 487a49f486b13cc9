"""Requests through the whole server leave nothing for the garbage collector, however they end.

A cycle for each would grow the process until the collector comes by, and its passes stop every
stream (`arno.gateway.server` lets it come rarely).
"""

import asyncio
import gc
import time

import pytest

from arno.gateway import cycle
from tests.gateway.harness import ASK, ScriptedEngine, connect, gateway_app, hello, running_gateway

REQUESTS = 60
STREAM = (("content-type", "text/event-stream"),)


async def whole(_call, down):
    await down.whole(200, (("content-type", "application/json"), ("content-length", "2")), b"{}")


async def endless(_call, down):
    await down.head(200, STREAM)
    while True:
        await down.body(b"data: 1\n\n")
        await asyncio.sleep(0.001)


SCRIPTS = {"a stream": (hello, b"0\r\n\r\n"), "a whole answer": (whole, b"{}")}


def left_by(url, ends):
    """Objects in cycles after many requests on one connection."""
    with connect(url) as client:
        for _ in range(5):
            client.post(ASK)
            client.read_until(ends)
        gc.collect()
        gc.disable()
        try:
            for _ in range(REQUESTS):
                client.post(ASK)
                client.read_until(ends)
            time.sleep(0.05)
            return gc.collect()
        finally:
            gc.enable()


@pytest.mark.parametrize("name", SCRIPTS)
def test_requests_leave_no_cycles(name):
    script, ends = SCRIPTS[name]
    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        assert left_by(url, ends) < REQUESTS / 2


def test_clients_that_leave_leave_no_cycles():
    """A connection's own objects may refer to each other; that of a request may not stay."""
    app = gateway_app(ScriptedEngine(endless))
    with running_gateway(app) as url:
        counts = []
        for _ in range(3):
            gc.collect()
            for _ in range(20):
                with connect(url) as client:
                    client.post(ASK)
                    client.read_until(b"data: 1")
            while len(app.gateway.inflight):
                time.sleep(0.01)
            time.sleep(0.05)
            gc.collect()
            counts.append(len(gc.get_objects()))
        assert counts[2] - counts[1] < 100


def test_a_cycle_of_each_request_is_noticed(monkeypatch):
    monkeypatch.setattr(cycle.Answer, "_let_go", lambda self: None)
    script, ends = SCRIPTS["a stream"]
    with running_gateway(gateway_app(ScriptedEngine(script))) as url:
        assert left_by(url, ends) >= REQUESTS
