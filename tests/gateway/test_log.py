"""The log: one line a request, nothing of its content, nothing that could forge a line."""

import io
import threading

import pytest

from arno.gateway import log
from arno.gateway.keys import KeyRing
from arno.gateway.log import Facts, RequestLog, visible
from arno.wire import json
from tests.gateway.harness import ASK, CHAT, gateway_app, get, post, running_gateway

KEY = "sk-canary-0123456789abcdef"


def lines_of(sheet):
    return [json.loads(line) for line in sheet.getvalue().splitlines()]


def test_a_served_request_is_one_line():
    sheet = io.StringIO()
    app = gateway_app(lines=sheet, keys=KeyRing([("team", KEY)]))
    with running_gateway(app) as url:
        reply = post(url, ASK, {"Authorization": f"Bearer {KEY}"})
    [line] = lines_of(sheet)
    assert line["ts"].endswith("Z")
    assert isinstance(line["ms"], int)
    del line["ts"], line["ms"]
    assert line == {
        "event": "request",
        "generation_id": reply.headers["x-generation-id"],
        "key": "team",
        "method": "POST",
        "path": CHAT,
        "model": "arno/harbour-1",
        "status": 200,
        "state": "success",
        "reason": None,
        "first_output_ms": 5,
        "served_by": "Northpier",
        "attempts": 1,
        "input_tokens": 68,
        "output_tokens": 31,
        "cost_usd": "0.0002582",
    }


def test_no_content_and_no_secret_is_written():
    sheet = io.StringIO()
    canary = "canary-3f9a"
    with running_gateway(gateway_app(lines=sheet, keys=KeyRing([("team", KEY)]))) as url:
        ask = {"model": "a/b", "messages": [{"role": "user", "content": canary}]}
        post(url, ask, {"Authorization": f"Bearer {KEY}", "X-Title": canary})
        post(url, ask, {"Authorization": f"Bearer {KEY}{canary}"})
        post(url, {**ask, "model": {canary: 1}}, {"x-api-key": KEY})
        get(url, f"/v1/generation?id={canary}", {"x-api-key": KEY})
    assert [line["status"] for line in lines_of(sheet)] == [200, 401, 400, 404]
    assert canary not in sheet.getvalue()
    assert KEY not in sheet.getvalue()


def test_health_calls_are_not_logged():
    sheet = io.StringIO()
    with running_gateway(gateway_app(lines=sheet)) as url:
        get(url, "/healthz")
        get(url, "/readyz")
        get(url, "/v1/nothing")
    assert [line["path"] for line in lines_of(sheet)] == ["/v1/nothing"]


def test_a_path_cannot_forge_a_line():
    sheet = io.StringIO()
    with running_gateway(gateway_app(lines=sheet)) as url:
        get(url, "/a%0A%7B%22event%22:%22request%22%7D%1B[31m%E2%80%A8" + "b" * 4000)
    [line] = lines_of(sheet)
    assert line["path"].startswith('/a\\u000a{"event":"request"}\\u001b[31m\\u2028bbb')
    assert len(line["path"]) < 200
    assert sheet.getvalue().isprintable() or sheet.getvalue()[:-1].isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, None),
        ("moonshotai/kimi-k2-0905", "moonshotai/kimi-k2-0905"),
        ("北京", "北京"),
        ("a\nb", "a\\u000ab"),
        ("\x1b[0m\x7f\x85", "\\u001b[0m\\u007f\\u0085"),
        ("x" * 128, "x" * 128),
        ("x" * 129, "x" * 127 + "…"),
    ],
)
def test_text_of_a_client_is_made_visible(text, shown):
    assert visible(text) == shown


def put(request_log, count):
    facts = Facts(status=200, state="ok")
    for _ in range(count):
        request_log.request(wall_ns=0, key_id=None, method="GET", path="/", ms=0, facts=facts)


def test_a_stalled_reader_of_the_log_stalls_nobody(monkeypatch):
    monkeypatch.setattr(log, "MAX_WAITING", 10)
    release = threading.Event()

    class Stalled(io.StringIO):
        def write(self, text):
            release.wait()
            return super().write(text)

    sheet = Stalled()
    request_log = RequestLog(sheet)
    put(request_log, 100)
    assert 89 <= request_log.dropped <= 90
    release.set()
    request_log.close()
    assert len(lines_of(sheet)) + request_log.dropped == 100


def test_a_log_that_is_gone_ends_nothing():
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    request_log = RequestLog(Gone())
    put(request_log, 3)
    request_log.close()
