"""One exchange without a socket: streams to feed it, and what is left of them.

`feed` plays the driver: head, pieces, then the end of the body or a break.
"""

from arno.canon.events import TERMINAL, KeepAlive
from arno.canon.failure import Failure, FailureKind
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.exchange.machine import DEFAULT_LIMITS, Exchange
from arno.exchange.writers import Encode, Restamp, Silent, Verbatim
from arno.wire import json

CHAT = DIALECTS["chat"]
STAMP = Stamp(id="gen-1", model="test/model", provider="Plain", created=7)
STREAM = (("content-type", "text/event-stream; charset=utf-8"),)
WHOLE = (("content-type", "application/json"),)
BROKEN = Failure(FailureKind.TRUNCATED, "the connection was cut", retryable=True)


def no_price(usage, served_by):
    return None


WRITERS = {
    "contract": lambda: Verbatim(CHAT, STAMP),
    "plain": lambda: Restamp(CHAT, STAMP, no_price, include_usage=True),
    "encode": lambda: Encode(CHAT, STAMP, no_price, include_usage=True),
    "silent": Silent,
}


def exchange(row="silent", *, streamed=True, limits=DEFAULT_LIMITS):

    def spare():
        return Encode(CHAT, STAMP, no_price, include_usage=True)

    return Exchange(CHAT, WRITERS[row](), streamed=streamed, spare=spare, limits=limits)


def feed(machine, pieces, *, status=200, headers=STREAM, broken=None):
    """All steps of an attempt, the head's first."""
    steps = [machine.head(status, headers)]
    steps += [machine.data(piece) for piece in pieces]
    steps.append(machine.end() if broken is None else machine.broken(broken))
    return steps


def output(steps):
    return b"".join(step.output for step in steps)


def events(steps):
    """The canonical events without signs of life."""
    found = [event for step in steps for event in step.events]
    return [event for event in found if not isinstance(event, KeepAlive)]


def terminals(steps):
    return [event for step in steps for event in step.events if isinstance(event, TERMINAL)]


def delta(content, **members):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    document = {"id": "up-1", "created": 7, "model": "m", "choices": [choice], **members}
    return b"data: " + json.dumps(document) + b"\n\n"


def finish(reason="stop"):
    choice = {"index": 0, "delta": {}, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "up-1", "choices": [choice]}) + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
WORDS = "北京你好🙂é"
SMALL = b": HELLO\n\n" + b"".join(map(delta, (*WORDS[:3], WORDS[3:]))) + finish() + USAGE + DONE
"""A small stream that holds characters of one to four bytes."""
