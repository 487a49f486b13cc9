"""Rows of the fault matrix that lie in the upstream's answer: 3, 4, 6, 7, 11 to 13, 16, 17, 22, 24.

Through one gateway before real upstreams. Each row says what comes of it alone (the model is
asked of alpha only) and with another candidate behind it, and each check notices its mutant.
"""

import socket

import msgspec
import pytest

from arno.canon.events import ResponseEnd
from arno.canon.failure import FailureKind as K
from arno.dialects import failures
from arno.dialects.chat import ChatDialect
from arno.dialects.chat import failures as chat_failures
from arno.exchange import machine
from arno.routing.failover import GOES_ON
from arno.transport.live import LivePool
from arno.wire import json
from arno.wire.frame import Framing
from arno.wire.framing import FRAMERS
from arno.wire.sse import SSEDecoder
from tests.engine.harness import DONE
from tests.faults.gateways import serving, toml
from tests.faults.world import good
from tests.gateway.harness import get, post
from tests.gateway.test_live import ASK, WHOLE, chunks_of, delta
from tests.gateway.upstream import STREAM, Upstream

ALONE = "alpha/b-upstream"
JSON = "Content-Type: application/json"
SSE = "Content-Type: text/event-stream"


def told(reply):
    """(text, the error or None, whether the end mark came) of a streamed answer."""
    chunks = chunks_of(reply.body)
    text = "".join(c["delta"].get("content") or "" for d in chunks for c in d["choices"])
    return text, chunks[-1].get("error"), b"[DONE]" in reply.body


# before any output: the next candidate, or else an error


def reset_at_once(peer):
    peer.reset()


def reset_behind_the_head(peer):
    peer.send(STREAM)
    peer.reset()


def reset_inside_the_head(peer):
    peer.send(STREAM[:40])
    peer.reset()


def half_a_chunk(peer):
    """Row 6: the connection ends inside a chunk that was announced."""
    peer.send(STREAM + b"%x\r\n" % 1000 + b"data: {")


def end_at_once(peer):
    """Row 7, before output: a stream that ends and has said nothing."""
    peer.send(STREAM)
    peer.end()


def cut_character(peer):
    """Row 16."""
    peer.send(STREAM)
    peer.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"\xe2\x82"}}]}\n\n')
    peer.end()


HTML = b"<html><body>" + b"Bad gateway " * 500 + b"</body></html>"
BEFORE = {
    "3: a reset at once": (reset_at_once, K.UNAVAILABLE),
    "3: a reset inside the head": (reset_inside_the_head, K.UNAVAILABLE),
    "4: a reset behind the head": (reset_behind_the_head, K.TRUNCATED),
    "6: half a chunk": (half_a_chunk, K.TRUNCATED),
    "7: an end at once": (end_at_once, K.TRUNCATED),
    "12: 500": (lambda peer: peer.answer(500, HTML, "Content-Type: text/html"), K.SERVER),
    "12: 502": (lambda peer: peer.answer(502, HTML, "Content-Type: text/html"), K.UNAVAILABLE),
    "12: 503": (lambda peer: peer.answer(503, HTML, "Content-Type: text/html"), K.OVERLOADED),
    "12: 529": (lambda peer: peer.answer(529, HTML, "Content-Type: text/html"), K.OVERLOADED),
    "12: 200": (lambda peer: peer.answer(200, HTML, "Content-Type: text/html"), K.INVALID_ANSWER),
    "16: a cut character": (cut_character, K.INVALID_ANSWER),
    "22: nothing": (lambda peer: peer.answer(200, b""), K.INVALID_ANSWER),
    "22: no JSON": (lambda peer: peer.answer(200, b"", JSON), K.INVALID_ANSWER),
    "22: no event": (lambda peer: peer.answer(200, b"", SSE), K.TRUNCATED),
}


@pytest.mark.parametrize("row", BEFORE)
def test_rows_before_output_go_to_the_next_candidate(row, world):
    script, kind = BEFORE[row]
    reply, record = world.ask(script)
    assert (reply.status, reply.headers["x-provider-name"]) == (200, "beta")
    assert told(reply) == ("Hello", None, True)
    # Nothing was sent to alpha twice, and the client reads nothing of it.
    assert (len(world.alpha.requests), len(world.beta.requests)) == (1, 1)
    assert [e.error_kind for e in record.exchanges] == [kind.value, None]


@pytest.mark.parametrize("row", BEFORE)
def test_rows_before_output_are_an_error_where_nobody_else_is(row, world):
    reply, record = world.ask(BEFORE[row][0], model=ALONE)
    error = reply.document["error"]
    assert reply.status == error["code"] >= 502
    assert len(reply.body) < 2048
    assert b"<html" not in reply.body
    assert len(world.alpha.requests) == 1
    assert (record.generation.state, record.generation.cost_nano) == ("error", None)


# after output: an error in the stream


def after_two(tail):
    """A script: two pieces of text, then `tail`."""

    def script(peer):
        peer.send(STREAM)
        peer.chunk(delta("one"))
        peer.chunk(delta("two"))
        tail(peer)

    return script


AFTER = {
    "6: half a chunk": lambda peer: peer.send(b"%x\r\n" % 1000 + b"data: {"),
    "6: half a chunk's size": lambda peer: peer.send(b"3"),
    "6: no last chunk": lambda peer: None,
    "7: an end": lambda peer: peer.end(),
    "7: an end with its mark": lambda peer: (peer.chunk(b"data: [DONE]\n\n"), peer.end()),
    "16: a cut character": lambda peer: (
        peer.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"\xe2\x82"}}]}\n\n'),
        peer.end(),
    ),
}


@pytest.mark.parametrize("row", AFTER)
def test_rows_after_output_are_an_error_in_the_stream(row, world):
    reply, record = world.ask(after_two(AFTER[row]))
    text, error, done = told(reply)
    assert (text, error["code"], done) == ("onetwo", 502, False)
    assert b"\\ufffd" not in reply.body
    assert "\ufffd".encode() not in reply.body
    assert world.beta.requests == []
    entry = record.generation
    assert (entry.state, entry.cost_nano, entry.output_tokens) == ("truncated", None, None)


def test_a_good_answer_is_no_fault(world):
    """The control of all these tables."""
    reply, record = world.ask(
        after_two(lambda peer: (peer.chunk(delta("", "stop") + b"data: [DONE]\n\n"), peer.end()))
    )
    assert told(reply) == ("onetwo", None, True)
    assert (record.generation.state, len(record.exchanges)) == ("success", 1)


# row 11


WAIT = {
    "seconds": ["Retry-After: 7"],
    "a date": [
        "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT",
        "Date: Fri, 31 Dec 1999 23:59:52 GMT",
    ],
}


@pytest.mark.parametrize("how", WAIT)
@pytest.mark.parametrize("code", [429, 503])
def test_row_11_a_retry_after_is_told_on(code, how, world):
    def script(peer):
        peer.answer(code, b'{"error":{"message":"later"}}', *WAIT[how])

    reply, _ = world.ask(script, model=ALONE)
    assert (reply.status, reply.headers["retry-after"]) == (code, "7")
    assert world.ask(script)[0].headers["x-provider-name"] == "beta"


# row 13


SEEN = {
    **{code: 400 for code in range(400, 500)},
    **{code: 502 for code in range(500, 600)},
    **{code: code for code in (403, 404, 413, 422, 424, 429, 503, 504)},
    **{401: 502, 402: 502, 408: 504, 524: 504, 529: 503},
}
"""What a client sees of an upstream's status: its own fault, ours, or later."""


def test_row_13_every_status_has_its_place(world):
    for code, seen in SEEN.items():
        reply, record = world.ask(
            lambda peer, code=code: peer.answer(code, b'{"error":{"message":"no"}}', JSON),
            streamed=False,
            model=ALONE,
        )
        assert (code, reply.status) == (code, seen)
        assert reply.document["error"]["code"] == seen
        assert reply.document["error"]["metadata"]["error_type"]
        assert [e.http_status for e in record.exchanges] == [code]


# row 17


WORDS = "北京你好🙂é"


def test_row_17_every_byte_in_a_segment_of_its_own(world):
    body = delta(WORDS) + delta("", "stop") + b"data: [DONE]\n\n"

    def split(peer):
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.send(STREAM)
        for place in range(len(body)):
            peer.chunk(body[place : place + 1])
            if body[place] >= 0x80:
                # Once it has answered this, the gateway has read that byte, and alone.
                assert get(world.url, "/healthz").status == 200
        peer.end()

    def whole(peer):
        peer.send(STREAM)
        peer.chunk(body)
        peer.end()

    (first, _), (second, _) = world.ask(split), world.ask(whole)
    assert told(first) == told(second) == (WORDS, None, True)
    for one, other in zip(chunks_of(first.body), chunks_of(second.body), strict=True):
        assert {**one, "id": ""} == {**other, "id": ""}


# row 24


def redirected(folder, pool=None):
    """The check: where an upstream points to is not gone to."""
    with (
        Upstream(lambda peer: peer.answer(200, WHOLE)) as canary,
        Upstream(
            lambda peer: peer.answer(code(peer), b"", f"Location: {canary.url}/chat/completions")
        ) as alpha,
        Upstream(good) as beta,
        serving(folder, toml(alpha, beta), pool=pool) as (url, _),
    ):
        for status in REDIRECTS:
            ask = {**ASK, "stream": False, "seed": status}
            assert post(url, {**ask, "model": ALONE}).status == 502
            assert post(url, ask).headers["x-provider-name"] == "beta"
        assert canary.requests == []


REDIRECTS = (301, 302, 303, 307, 308, 304, 300)


def code(peer):
    return json.loads(peer.body)["seed"]


def test_row_24_a_redirect_is_never_followed(tmp_path):
    redirected(tmp_path)


# mutants


class Follows(LivePool):
    """Goes where it is sent, with the credentials."""

    async def send(self, request):
        response = await super().send(request)
        place = dict(response.headers).get("location")
        if place is None:
            return response
        response.abort()
        return await super().send(msgspec.structs.replace(request, url=place))


def test_row_24_a_transport_that_follows_is_found_out(tmp_path):
    with pytest.raises(AssertionError):
        redirected(tmp_path, Follows())


@pytest.mark.parametrize("row", BEFORE)
def test_a_table_that_stops_at_a_row_is_found_out(row, world, monkeypatch):
    monkeypatch.setitem(GOES_ON, BEFORE[row][1], False)
    with pytest.raises((AssertionError, KeyError)):
        test_rows_before_output_go_to_the_next_candidate(row, world)


class HidesFailures(machine.Exchange):
    """Makes an end of every failure."""

    def _step(self, batches):
        step = super()._step(batches)
        if self.seen.failure is None:
            return step
        self.seen.failure, self.seen.complete = None, True
        return machine.Step(DONE, (ResponseEnd(),))


@pytest.mark.parametrize("row", AFTER)
def test_an_engine_that_hides_a_break_is_found_out(row, world, monkeypatch):
    monkeypatch.setattr("arno.engine.plan.Exchange", HidesFailures)
    with pytest.raises((AssertionError, IndexError, TypeError)):
        test_rows_after_output_are_an_error_in_the_stream(row, world)


def page(status, headers, body, stage):
    """Shows the client what the upstream said, as it came."""
    return failures._failure(K.UNAVAILABLE, body.decode(), stage, status, headers)


MUTANTS = {
    "11: forgets the time": (
        "_retry_after",
        lambda headers: None,
        lambda world: test_row_11_a_retry_after_is_told_on(429, "seconds", world),
    ),
    "11: reads no dates": (
        "_until",
        lambda text, now: None,
        lambda world: test_row_11_a_retry_after_is_told_on(429, "a date", world),
    ),
    "12: hands pages on": (
        "decode_failure",
        page,
        lambda world: test_rows_before_output_are_an_error_where_nobody_else_is("12: 502", world),
    ),
    "13: blames the client": (
        "CLIENT_SIDE",
        {**failures.CLIENT_SIDE, K.AUTHENTICATION: (401, "authentication")},
        test_row_13_every_status_has_its_place,
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_of_the_dialect_is_found_out(mutant, world, monkeypatch):
    name, changed, check = MUTANTS[mutant]
    for module in (failures, chat_failures):
        monkeypatch.setattr(module, name, changed, raising=False)
    if name == "decode_failure":
        monkeypatch.setattr(ChatDialect, name, staticmethod(changed))
    with pytest.raises((AssertionError, KeyError)):
        check(world)


class ByTheSegment:
    """A reader that takes what has come for whole characters."""

    def __init__(self, limit):
        self._inner = SSEDecoder(limit)

    def feed(self, data):
        return self._inner.feed(data.decode(errors="replace").encode())

    def close(self):
        return self._inner.close()


def test_row_17_a_reader_of_segments_is_found_out(world, monkeypatch):
    monkeypatch.setitem(FRAMERS, Framing.SSE, ByTheSegment)
    with pytest.raises(AssertionError):
        test_row_17_every_byte_in_a_segment_of_its_own(world)
