"""ASGI messages to bytes: what goes out, in how many writes, and what is refused."""

import asyncio
import logging

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from arno.gateway.cycle import Answer

DATE = (b"date", b"Sat, 28 Nov 2026 16:00:00 GMT")
PLAIN = [(b"content-type", b"text/plain")]


class Line:
    """Keeps what is written."""

    def __init__(self):
        self.writes = []
        self.closed = False
        self.aborted = False

    def abort(self):
        self.aborted = True

    def write(self, data):
        self.writes.append(data)

    def close(self):
        self.closed = True


def answer_of(method="POST", *, keep_alive=True, version="1.1", stall_s=60.0):
    line = Line()
    cycle = RequestResponseCycle(
        scope={
            "type": "http",
            "method": method,
            "http_version": version,
            "extensions": {},
        },
        transport=line,
        flow=FlowControl(line),
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=False,
        default_headers=[DATE],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: None,
    )
    return Answer(cycle, asyncio.get_running_loop(), stall_s), cycle, line


def start(status=200, headers=PLAIN):
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def sent(*messages, turns=(), **options):
    """The writes of an answer; `turns`: after which messages the loop has a turn."""

    async def main():
        answer, cycle, line = answer_of(**options)
        for number, message in enumerate(messages):
            await answer.send(message)
            if number in turns:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return line.writes, cycle.response_complete, line.closed

    return asyncio.run(main())


HEAD = b"HTTP/1.1 200 OK\r\ndate: " + DATE[1] + b"\r\ncontent-type: text/plain\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
LENGTH = [*PLAIN, (b"content-length", b"2")]


def test_a_head_and_its_body_are_one_write():
    writes, complete, closed = sent(start(headers=LENGTH), body(b"ok"))
    assert writes == [HEAD + b"content-length: 2\r\n\r\nok"]
    assert complete
    assert not closed


def test_without_a_length_the_body_is_chunked():
    writes, *_ = sent(start(), body(b"a", more=True), body(b"", more=True), body(b"bc"))
    assert writes == [HEAD + CHUNKED + b"1\r\na\r\n", b"2\r\nbc\r\n0\r\n\r\n"]


def test_a_head_that_waits_for_its_body_goes_out_in_the_same_turn():
    writes, *_ = sent(start(), body(b"a"), turns=(0,))
    assert writes == [HEAD + CHUNKED, b"1\r\na\r\n0\r\n\r\n"]


def test_an_answer_to_head_has_no_body():
    writes, complete, _ = sent(start(headers=LENGTH), body(b""), method="HEAD")
    assert writes == [HEAD + b"content-length: 2\r\n\r\n"]
    assert complete


def test_no_content_has_no_framing():
    writes, *_ = sent(start(204, []), body())
    assert writes == [b"HTTP/1.1 204 No Content\r\ndate: " + DATE[1] + b"\r\n\r\n"]


@pytest.mark.parametrize("asked", [True, False])
def test_a_connection_that_is_not_kept_is_said_to_close_once(asked):
    headers = [*LENGTH, (b"connection", b"close")] if asked else LENGTH
    writes, _, closed = sent(start(headers=headers), body(b"ok"), keep_alive=asked)
    assert writes[0].lower().count(b"connection: close\r\n") == 1
    assert closed


@pytest.mark.parametrize(
    "messages",
    [
        (body(b"x"),),
        (start(), start()),
        (start(headers=LENGTH), body(b"long")),
        (start(headers=LENGTH), body(b"1")),
        (start(headers=LENGTH), body(b"ok"), body(b"more")),
        (start(headers=[(b"x-name", b"a\r\nx-other: b")]),),
        (start(headers=[(b"x-name", b"a\x00b")]),),
        (start(headers=[(b"x-na\nme", b"a")]),),
    ],
)
def test_what_is_out_of_order_or_unsafe_is_refused(messages):
    with pytest.raises(RuntimeError):
        sent(*messages)


def test_a_client_of_http_1_0_gets_no_chunks():
    writes, _, closed = sent(
        start(), body(b"a", more=True), body(b"bc"), version="1.0", keep_alive=False
    )
    assert writes == [HEAD + b"connection: close\r\n\r\na", b"bc"]
    assert closed


def test_a_client_that_never_reads_is_cut_off():
    """No clock of an upstream's runs while nobody reads, so this one must."""

    async def main(stall_s):
        answer, cycle, line = answer_of(stall_s=stall_s)
        gone = asyncio.Event()
        answer.on_gone(gone.set)
        await answer.send(start())
        cycle.flow.pause_writing()
        sending = asyncio.ensure_future(answer.send(body(b"x", more=True)))
        await asyncio.wait({sending}, timeout=5 if stall_s < 1 else 0.05)
        ended = sending.done()
        sending.cancel()
        return ended, line.aborted, gone.is_set()

    assert asyncio.run(main(0.01)) == (True, True, True)
    assert asyncio.run(main(60.0)) == (False, False, False)


def test_a_client_that_has_left_is_written_nothing():
    async def main():
        answer, cycle, line = answer_of()
        cycle.disconnected = True
        told = asyncio.Event()
        answer.on_gone(told.set)
        await answer.send(start())
        await asyncio.wait_for(told.wait(), 10)
        return line.writes

    assert asyncio.run(main()) == []


class WritesHeadsAlone(Answer):
    """As the server library does."""

    def _start(self, status, headers):
        super()._start(status, headers)
        self._flush()


def test_two_writes_for_one_answer_are_noticed(monkeypatch):
    monkeypatch.setattr("tests.gateway.test_cycle.Answer", WritesHeadsAlone)
    with pytest.raises(AssertionError):
        test_a_head_and_its_body_are_one_write()
