"""What goes wrong, as every official client sees it: its own error class, our status and message.

Serves R21 and R39 (before an answer begins) and R5 (in the middle of one: what came before is
delivered, then the client's own error is raised).
"""

import pytest

from arno.wire import json
from tests.case0.cases import SHIPPED, every_case
from tests.engine.harness import HELLO, MODEL, STOP
from tests.sdk.clients import conversation, job
from tests.sdk.gateways import RIGHT_KEY, fronting
from tests.transport.upstream import End, Framing, Script

MESSAGES = [{"role": "user", "content": "Hello"}]
ASK = {"model": MODEL, "messages": MESSAGES, "stream": True}
WRONG_KEY = "sk-arno-sdk-tests-wrong"


def refused(client, todo):
    """(class, status, message) of a job that must read nothing."""
    found = client.run(todo)
    assert (found["readings"], found["models"]) == ([], [])
    error = found["error"]
    return error["kind"], error["status"], error["message"]


@every_case
def test_an_unknown_model(client, gateway_of, case):
    kind, status, message = refused(client, job(gateway_of(case), {**ASK, "model": "no/such"}))
    assert (kind, status) == (client.class_of("BadRequestError"), 400)
    assert message == "no/such is not a valid model ID"


def test_a_request_without_messages(plain_client, gateway_of):
    request = {"model": SHIPPED.model, "stream": True}
    kind, status, message = refused(plain_client, job(gateway_of(SHIPPED), request))
    assert (kind, status) == (plain_client.class_of("BadRequestError"), 400)
    assert message.startswith("messages: ")


def unrecorded(url, case):
    """A job whose request differs in one member from a recorded one."""
    todo = conversation(url, case)
    return {**todo, "request": {**todo["request"], "max_tokens": 7}}


def check_unmatched(client, url, case):
    """The refusal of a request without a recording says what comes nearest and what differs."""
    kind, status, message = refused(client, unrecorded(url, case))
    assert (kind, status) == (client.class_of("APIStatusError"), 424)
    recorded = case.agent["max_output_tokens"]
    assert "nearest is #0 of " in message
    assert f"/max_tokens: recorded {recorded}, got 7" in message


@every_case
def test_a_request_without_a_recording(client, gateway_of, case):
    check_unmatched(client, gateway_of(case), case)


def test_a_request_without_a_recording_at_the_replay_server(client, replay_of):
    check_unmatched(client, replay_of(SHIPPED), SHIPPED)


def test_a_wrong_key(client, locked_gateway):
    kind, status, message = refused(client, conversation(locked_gateway, SHIPPED, key=WRONG_KEY))
    assert (kind, status) == (client.class_of("AuthenticationError"), 401)
    assert message == "No valid API key was given"


def test_the_right_key(client, locked_gateway):
    found = client.run(conversation(locked_gateway, SHIPPED, key=RIGHT_KEY))
    assert found["error"] is None
    assert [reading["text"] for reading in found["readings"]] == [s.text for s in SHIPPED.steps]


every_upstream = pytest.mark.parametrize("contract", [False, True], ids=["restamped", "verbatim"])


def limited():
    """An upstream that has had enough."""
    document = {"error": {"code": 429, "message": "slow down"}}
    headers = [("content-type", "application/json"), ("retry-after", "7")]
    return Script([json.dumps(document)], 429, headers, framing=Framing.LENGTH)


@every_upstream
def test_r21_a_rate_limit_keeps_its_retry_after(client, contract):
    with fronting([limited()], contract) as url:
        found = client.run(job(url, ASK))
    assert found["readings"] == []
    assert found["error"] == {
        "kind": client.class_of("RateLimitError"),
        "status": 429,
        "message": "slow down",
        "retry_after": "7",
    }


FELL_OVER = b"data: " + json.dumps({"error": {"code": 502, "message": "it fell over"}}) + b"\n\n"

FAILURES = {
    "error-event": (Script.sse(*HELLO, FELL_OVER), "it fell over"),
    "clean-end": (Script.sse(*HELLO), "without a finish reason"),
    "connection-closed": (Script.sse(*HELLO, end=End.CUT), "broke off before its end"),
    "connection-reset": (Script.sse(*HELLO, end=End.RESET), "broke off before its end"),
}
"""An upstream that fails after two deltas, and a part of what the client is told."""


@every_upstream
@pytest.mark.parametrize("failure", FAILURES)
def test_r5_a_broken_stream_is_an_error_after_what_was_delivered(client, failure, contract):
    script, told = FAILURES[failure]
    with fronting([script], contract) as url:
        found = client.run(job(url, ASK))
    [reading] = found["readings"]
    assert (reading["text"], reading["reasons"], reading["usage"]) == ("Hello", [], None)
    error = found["error"]
    assert error["kind"] == client.class_of("APIError")
    assert told in error["message"]


def test_a_finish_without_the_end_mark_is_a_success(client):
    with fronting([Script.sse(*HELLO, STOP)]) as url:
        found = client.run(job(url, ASK))
    [reading] = found["readings"]
    assert (reading["text"], reading["reasons"]) == ("Hello", ["stop"])
    assert found["error"] is None
