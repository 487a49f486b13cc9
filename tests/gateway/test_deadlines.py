"""The header X-Arno-Deadlines: what it may say, and how a wrong one is refused (R11)."""

import io

import pytest

from arno.engine.deadlines import NO_DEADLINES
from arno.exchange.driver import Deadlines
from arno.gateway import deadlines
from arno.gateway.deadlines import asked_deadlines
from arno.gateway.errors import Refusal
from arno.wire import json
from tests.gateway.harness import ASK, ScriptedEngine, connect, gateway_app, hello, post
from tests.gateway.harness import running_gateway as serving

NONE: frozenset[bytes] = frozenset()


def read(value, repeated=NONE):
    return asked_deadlines({b"x-arno-deadlines": value}, repeated)


GOOD = {
    b"first=2, total=30": Deadlines(connect=None, first=2.0, idle=None, total=30.0),
    b"connect=1,first=5,idle=20,total=60": Deadlines(connect=1, first=5, idle=20, total=60),
    b"total=0.001": Deadlines(connect=None, first=None, idle=None, total=0.001),
    b" idle=2.5\t,  connect=999999 ": Deadlines(connect=999999, first=None, idle=2.5, total=None),
}


@pytest.mark.parametrize("value", GOOD)
def test_what_may_be_asked(value):
    assert read(value) == GOOD[value]


def test_without_the_header_nothing_is_asked():
    assert asked_deadlines({}, NONE) is None


BAD = [
    b"",
    b",",
    b"first",
    b"first=",
    b"first=2;total=3",
    b"first=2, first=3",
    b"first=2,",
    b"first=0",
    b"first=0.0",
    b"first=0.000",
    b"first=-1",
    b"first=+1",
    b"first=1e3",
    b"first=inf",
    b"first=nan",
    b"first=1.",
    b"first=.5",
    b"first=1.2345",
    b"first=1000000",
    b"first = 2",
    b"First=2",
    b"forever=2",
    "first=\u0662".encode(),
    b"first=2\xff",
    b"first=" + b"9" * 10_000,
]


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value[:20]))
def test_what_may_not_be_asked(value):
    with pytest.raises(Refusal) as caught:
        read(value)
    assert (caught.value.status, caught.value.reason) == (400, "invalid_deadlines")
    assert "X-Arno-Deadlines" in caught.value.message


def test_two_headers_are_refused():
    with pytest.raises(Refusal):
        read(b"first=2", frozenset({b"x-arno-deadlines"}))


@pytest.fixture(scope="module")
def gateway():
    """(URL, the engine's calls) of a gateway that answers whatever it is asked."""
    engine = ScriptedEngine(hello)
    with serving(gateway_app(engine)) as url:
        yield url, engine.calls


@pytest.mark.parametrize("streamed", [True, False])
def test_a_wrong_header_is_refused_in_the_callers_dialect(streamed, gateway):
    url, calls = gateway
    calls.clear()
    reply = post(url, {**ASK, "stream": streamed}, {"X-Arno-Deadlines": "first=soon"})
    error = reply.document["error"]
    assert reply.status == error["code"] == 400
    assert error["message"].startswith("X-Arno-Deadlines: expected connect, first, idle or total")
    assert reply.reason == "invalid_deadlines"
    assert calls == []


def test_a_wrong_header_is_a_line_of_the_log():
    sheet = io.StringIO()
    with serving(gateway_app(lines=sheet)) as url:
        post(url, ASK, {"X-Arno-Deadlines": "first=soon"})
    [line] = map(json.loads, sheet.getvalue().splitlines())
    assert (line["status"], line["state"], line["reason"]) == (400, "refused", "invalid_deadlines")


def test_a_right_header_reaches_the_engine(gateway):
    url, calls = gateway
    calls.clear()
    assert post(url, ASK, {"x-ARNO-deadlines": "first=2, total=30"}).status == 200
    assert post(url, ASK).status == 200
    assert [call.deadlines for call in calls] == [GOOD[b"first=2, total=30"], None]


def test_the_header_stays_here(gateway):
    """It speaks to this gateway: an upstream is not sent it (R14)."""
    url, calls = gateway
    calls.clear()
    post(url, ASK, {"X-Arno-Deadlines": "first=2"})
    assert calls[0].forward == ()


def test_a_header_that_comes_twice_is_refused(gateway):
    url, calls = gateway
    calls.clear()
    with connect(url) as client:
        client.post(ASK, headers=[("X-Arno-Deadlines", "first=2"), ("X-Arno-Deadlines", "idle=2")])
        assert client.read_head()[0] == 400
    assert calls == []


def test_a_reader_that_ignores_the_rest_is_found_out(monkeypatch):
    """The mutant takes what it understands of a header."""
    monkeypatch.setattr(deadlines, "_ITEM", FirstWord())
    with pytest.raises(pytest.fail.Exception):
        test_what_may_not_be_asked(b"first=2;total=3")


class FirstWord:
    """Matches a beginning where the whole should match."""

    def __init__(self):
        self._item = deadlines._ITEM

    def fullmatch(self, text):
        return self._item.match(text)


def test_no_deadlines_has_none():
    assert Deadlines(connect=None, first=None, idle=None, total=None) == NO_DEADLINES
