"""R28: the failover table, row by row, through one gateway before two real upstreams.

The upstream alpha misbehaves as the row says, beta serves. The decision goes by the raw status,
the reply names who served and whose attempts failed, the ledger has a row for each attempt.
"""

import socket
import threading

import pytest

from arno.canon.failure import FailureKind as K
from arno.engine import engine
from arno.routing.failover import GOES_ON
from tests.faults.gateways import row_of
from tests.faults.world import good, stall
from tests.gateway.harness import PATIENCE_S
from tests.gateway.test_live import chunks_of, delta
from tests.gateway.upstream import STREAM

JSON = "Content-Type: application/json"


def status(code, message, **more):
    """An answer with a bad status."""
    member = "".join(f',"{name}":"{value}"' for name, value in more.items())
    body = f'{{"error":{{"message":"{message}"{member}}}}}'.encode()
    return lambda peer: peer.answer(code, body, JSON)


def error_first(peer):
    """A 200 whose first event is an error."""
    if b"event-stream" in peer.head:
        peer.send(STREAM)
        peer.chunk(b'data: {"error":{"code":500,"message":"worker lost"}}\n\n')
        peer.end()
    else:
        peer.answer(200, b'{"error":{"code":500,"message":"worker lost"}}', JSON)


def role_then_reset(peer):
    """What is not output may still be followed by another candidate's."""
    peer.send(STREAM)
    peer.chunk(b": ping\n\n" + delta(""))
    peer.reset()


NEXT = {
    "401": (status(401, "bad key"), K.AUTHENTICATION),
    "402": (status(402, "no money"), K.PAYMENT_REQUIRED),
    "403": (status(403, "not here"), K.PERMISSION),
    "408": (status(408, "late"), K.TIMEOUT),
    "429": (status(429, "slow down"), K.RATE_LIMIT),
    "500": (status(500, "oops"), K.SERVER),
    "502": (status(502, "gone"), K.UNAVAILABLE),
    "503": (status(503, "busy"), K.OVERLOADED),
    "529": (status(529, "busy", type="overloaded_error"), K.OVERLOADED),
    "an error first": (error_first, K.SERVER),
    "first-token timeout": (stall, K.TIMEOUT),
    "a reset before output": (role_then_reset, K.TRUNCATED),
    "404 of the model": (status(404, "The model `b-upstream` does not exist"), K.MODEL_NOT_FOUND),
    "400 of the account": (status(400, "Your credit balance is too low"), K.PAYMENT_REQUIRED),
}
HERE = {
    "400": (status(400, "bad temperature"), K.INVALID_REQUEST, 400),
    "404": (status(404, "no such path"), K.NOT_FOUND, 404),
    "413": (status(413, "too large"), K.PAYLOAD_TOO_LARGE, 413),
    "422": (status(422, "bad schema"), K.UNPROCESSABLE, 422),
}
STREAMED = {"stream": True, "whole": False}


def served_by_beta(world, reply, record, kind, streamed):
    """What the table says of a failure that is the endpoint's own."""
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "beta")
    documents = chunks_of(reply.body) if streamed else [reply.document]
    assert {document["provider"] for document in documents} == {"beta"}
    assert b"Hello" in reply.body
    assert b'"error"' not in reply.body
    assert len(world.beta.requests) == 1
    failed, served = record.exchanges
    assert (failed.endpoint, failed.state, failed.error_kind) == ("alpha", "error", kind.value)
    assert (served.endpoint, served.state, served.error_kind) == ("beta", "success", None)
    assert (record.generation.state, record.generation.attempts) == ("success", 2)
    assert (record.generation.endpoint, record.generation.served_by) == ("beta", "beta")
    told = str(failed.http_status) if (failed.http_status or 0) >= 400 else ""
    assert reply.headers["x-failed-attempts"].startswith(f"alpha: {told}")


@pytest.mark.parametrize("streamed", STREAMED)
@pytest.mark.parametrize("row", NEXT)
def test_r28_the_endpoints_fault_goes_to_the_next_candidate(row, streamed, world):
    script, kind = NEXT[row]
    if row == "a reset before output" and streamed == "whole":
        kind = K.INVALID_ANSWER  # a stream that was not asked for
    reply, record = world.ask(script, STREAMED[streamed])
    assert len(world.alpha.requests) == 1
    served_by_beta(world, reply, record, kind, STREAMED[streamed])


@pytest.mark.parametrize("streamed", STREAMED)
@pytest.mark.parametrize("row", HERE)
def test_r28_the_requests_own_fault_does_not(row, streamed, world):
    script, kind, seen = HERE[row]
    reply, record = world.ask(script, STREAMED[streamed])
    assert reply.status == seen
    assert reply.document["error"]["code"] == seen
    assert world.beta.requests == []
    assert [(e.endpoint, e.error_kind) for e in record.exchanges] == [("alpha", kind.value)]
    assert (record.generation.state, record.generation.attempts) == ("error", 1)
    metadata = reply.document["error"]["metadata"]
    assert (metadata["provider_name"], "previous_errors" in metadata) == ("alpha", False)


@pytest.mark.parametrize("streamed", STREAMED)
def test_r28_a_good_answer_is_the_only_attempt(streamed, world):
    """The control of the table."""
    reply, record = world.ask(good, STREAMED[streamed])
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "alpha")
    assert "x-failed-attempts" not in reply.headers
    assert [e.state for e in record.exchanges] == ["success"]
    assert world.beta.requests == []


def test_r28_a_refused_connection_goes_to_the_next_candidate(world):
    reply, record = world.ask(good, model="a/refused")
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "beta")
    assert reply.headers["x-failed-attempts"] == "gamma: provider_unavailable"
    refused, served = record.exchanges
    assert (refused.state, refused.error_kind) == ("error", "provider_unavailable")
    assert (refused.http_status, served.state) == (None, "success")


def test_r28_when_all_are_refused_the_error_names_the_attempts(world):
    """Fault row 1: 502, with the providers that were tried, and no address."""
    reply, record = world.ask(good, model="a/all-refused")
    error = reply.document["error"]
    assert reply.status == error["code"] == 502
    assert error["metadata"]["provider_name"] == "epsilon"
    [before] = error["metadata"]["previous_errors"]
    assert (before["provider"], before["status"]) == ("gamma", None)
    assert b"127.0.0.1" not in reply.body
    assert [e.state for e in record.exchanges] == ["error", "error"]


ONE = delta("one")
MID_STREAM = {
    "a reset": lambda peer: (peer.send(STREAM), peer.chunk(ONE), peer.reset()),
    "a close": lambda peer: (peer.send(STREAM), peer.chunk(ONE)),
    "an error": lambda peer: (
        peer.send(STREAM),
        peer.chunk(ONE),
        peer.chunk(b'data: {"error":{"code":503,"message":"worker lost"}}\n\n'),
        peer.end(),
    ),
}


def no_switch(world, how):
    """The check: after the first byte the client is told, and nobody else is asked."""
    got_one = threading.Event()
    play = MID_STREAM[how]

    def script(peer):
        # A reset may overtake what was sent before it: it waits until the client has that.
        if how == "a reset":
            peer.send(STREAM)
            peer.chunk(ONE)
            assert got_one.wait(PATIENCE_S)
            peer.reset()
        else:
            play(peer)

    world.alpha.script = script
    world.beta.requests.clear()
    with socket.create_connection(("127.0.0.1", int(world.url.rpartition(":")[2]))) as client:
        client.settimeout(PATIENCE_S)
        body = b'{"model":"a/b","messages":[{"role":"user","content":"Hi"}],"stream":true}'
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        got = b""
        while piece := client.recv(65536):
            got += piece
            if b'"one"' in got:
                got_one.set()
    record = row_of(world.sink)
    assert world.beta.requests == []
    assert b'"finish_reason":"error"' in got
    assert b"Hello" not in got
    assert [(e.endpoint, e.state) for e in record.exchanges] == [("alpha", "truncated")]


@pytest.mark.parametrize("how", MID_STREAM)
def test_r28_after_the_first_byte_nobody_else_is_asked(how, world):
    no_switch(world, how)


# mutants: each row of the table the other way round, and an engine that switches mid-stream


@pytest.mark.parametrize("row", [*NEXT, *HERE])
def test_r28_a_row_the_other_way_round_is_found_out(row, world, monkeypatch):
    _, kind, *_ = {**NEXT, **HERE}[row]
    monkeypatch.setitem(GOES_ON, kind, not GOES_ON[kind])
    check = (
        test_r28_the_endpoints_fault_goes_to_the_next_candidate
        if row in NEXT
        else test_r28_the_requests_own_fault_does_not
    )
    with pytest.raises((AssertionError, KeyError)):
        check(row, "stream", world)


class SwitchesMidStream(engine.Generation):
    """Appends another candidate's answer to one that broke."""

    async def _finish(self, step, exchange, plan):
        if exchange.seen.failure is None:
            await super()._finish(step, exchange, plan)

    async def _round(self, candidates):
        for candidate in candidates:
            await self._attempt(candidate)
            if self.book.last.seen.complete:
                break
        return []


def test_r28_an_engine_that_switches_mid_stream_is_found_out(world, monkeypatch):
    monkeypatch.setattr(engine, "Generation", SwitchesMidStream)
    with pytest.raises(AssertionError):
        no_switch(world, "a close")
