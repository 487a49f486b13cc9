"""Failures of messages, both ways (R21, rows 11 to 13 of the fault matrix)."""

import pytest

from arno.canon.failure import Failure, FailureKind, Previous, Stage
from arno.dialects.base import Stamp
from arno.dialects.failures import CLIENT_SIDE
from arno.wire import json
from tests.dialects.messages.documents import MESSAGES, whole
from tests.laws import messages_grammar as grammar

K = FailureKind


def body(type_, message):
    error = {"type": type_, "message": message}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"})


def decoded(status, type_, message="why", headers=()):
    return MESSAGES.decode_failure(status, headers, body(type_, message), Stage.BEFORE_HEAD)


@pytest.mark.parametrize(
    ("status", "type_", "message", "kind"),
    [
        (400, "invalid_request_error", "messages: at least one", K.INVALID_REQUEST),
        (400, "invalid_request_error", "prompt is too long: 9 tokens", K.CONTEXT_LENGTH),
        (400, "invalid_request_error", "You have reached your API usage limits.", K.RATE_LIMIT),
        (400, "invalid_request_error", "Your credit balance is too low", K.PAYMENT_REQUIRED),
        (401, "authentication_error", "invalid x-api-key", K.AUTHENTICATION),
        (402, "billing_error", "x", K.PAYMENT_REQUIRED),
        (403, "permission_error", "x", K.PERMISSION),
        (404, "not_found_error", "model: claude-0", K.MODEL_NOT_FOUND),
        (404, "not_found_error", "x", K.NOT_FOUND),
        (413, "request_too_large", "x", K.PAYLOAD_TOO_LARGE),
        (429, "rate_limit_error", "x", K.RATE_LIMIT),
        (500, "api_error", "x", K.SERVER),
        (529, "overloaded_error", "x", K.OVERLOADED),
    ],
)
def test_what_an_upstream_refuses(status, type_, message, kind):
    failure = decoded(status, type_, message)
    assert (failure.kind, failure.status) == (kind, status)


def test_retry_after_is_told_on():
    headers = (("retry-after", "7"), ("content-type", "application/json"))
    assert decoded(429, "rate_limit_error", headers=headers).retry_after == 7


def test_what_is_said_of_the_operator_s_account_is_not_for_clients():
    failure = decoded(401, "authentication_error", "key sk-ant-secret1234 is wrong")
    status, document = MESSAGES.encode_failure(failure)
    assert status == 502
    assert document["error"]["type"] == "api_error"
    assert b"secret" not in json.dumps(document)
    assert "wrong" not in document["error"]["message"]


def test_html_is_not_passed_on():
    failure = MESSAGES.decode_failure(
        502, (("content-type", "text/html"),), b"<html>" * 999, Stage.BEFORE_HEAD
    )
    assert failure.message == "upstream answered 502 (text/html)"
    assert failure.kind is K.UNAVAILABLE


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", K.INVALID_ANSWER),
        (b"{", K.INVALID_ANSWER),
        (b"[]", K.INVALID_ANSWER),
        (b"{}", K.INVALID_ANSWER),
        (whole({"type": "tool_use", "id": "a"}), K.INVALID_ANSWER),
        (whole(content="x"), K.INVALID_ANSWER),
        (body("overloaded_error", "x"), K.OVERLOADED),
        (body("rate_limit_error", "x"), K.RATE_LIMIT),
        (b'{"error": "odd"}', K.SERVER),
    ],
)
def test_good_statuses_with_bad_bodies(answer, kind):
    assert not isinstance(MESSAGES.decode_response(whole()), Failure)
    failure = MESSAGES.decode_response(answer)
    assert isinstance(failure, Failure)
    assert failure.kind is kind
    assert MESSAGES.glance(answer) is None


@pytest.mark.parametrize("kind", list(K))
def test_every_kind_reads_as_an_error_of_this_wire(kind):
    status, document = MESSAGES.encode_failure(Failure(kind, "why"), "Host")
    expected, error_type = CLIENT_SIDE[kind]
    assert status == expected
    assert document["type"] == "error"
    assert document["request_id"] is None
    error = document["error"]
    assert error["type"].endswith(("_error", "_large"))
    assert (error["message"], error["error_type"]) == ("why", error_type)
    assert (error["reason"], error["provider_name"]) == (kind.value, "Host")


def test_earlier_attempts_and_the_upstream_s_code_are_told():
    failure = Failure(K.SERVER, "why", code="x1", previous=(Previous("A", "busy", 529),))
    error = MESSAGES.encode_failure(failure)[1]["error"]
    assert error["provider_code"] == "x1"
    assert error["previous_errors"] == [{"provider": "A", "code": "busy", "status": 529}]


def test_the_frame_that_ends_a_stream():
    frame = MESSAGES.stream_failure(Failure(K.TIMEOUT, "slow"), Stamp(id="gen-1"))
    (document,) = grammar.documents(frame)
    assert document["error"]["type"] == "timeout_error"
    assert document["request_id"] == "gen-1"


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
    ],
)
def test_refusals_of_the_gateway(status, type_):
    document = MESSAGES.encode_refusal(status, "why", "word")
    assert document["error"]["type"] == type_
    assert document["error"]["reason"] == "word"
