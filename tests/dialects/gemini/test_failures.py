"""Errors both ways: statuses, words, details, and what stays with the operator."""

import pytest

from arno.canon.failure import Failure, FailureKind, Previous, Stage
from arno.dialects.base import Stamp
from arno.dialects.failures import CLIENT_SIDE
from arno.dialects.gemini.failures import KIND_OF_WORD
from arno.wire import json
from tests.laws.gemini import GEMINI, decode, failure_of

K = FailureKind
RPC = "type.googleapis.com/google.rpc."


def failure(status: int, error: object, headers: tuple = ()) -> Failure:
    body = json.dumps({"error": error})
    return GEMINI.decode_failure(status, headers, body, Stage.BEFORE_OUTPUT)


@pytest.mark.parametrize(("word", "kind"), KIND_OF_WORD.items())
def test_the_status_word_tells_the_kind(word, kind):
    told = failure(400, {"code": 400, "message": "x", "status": word})
    assert told.kind is kind
    assert told.status == 400


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"status": "INVALID_ARGUMENT", "message": "API key not valid."}, K.AUTHENTICATION),
        (
            400,
            {
                "status": "INVALID_ARGUMENT",
                "message": "The input token count (9) exceeds the maximum number of tokens (8).",
            },
            K.CONTEXT_LENGTH,
        ),
        (
            404,
            {"status": "NOT_FOUND", "message": "models/x is not found for API version v1beta"},
            K.MODEL_NOT_FOUND,
        ),
        (
            404,
            {"status": "NOT_FOUND", "message": "Publisher Model `projects/p/x` was not found"},
            K.MODEL_NOT_FOUND,
        ),
        (404, {"status": "NOT_FOUND", "message": "cachedContents/1"}, K.NOT_FOUND),
        (
            429,
            {"status": "RESOURCE_EXHAUSTED", "message": "Your prepayment credits are depleted."},
            K.PAYMENT_REQUIRED,
        ),
        (
            403,
            {
                "status": "PERMISSION_DENIED",
                "details": [{"@type": f"{RPC}ErrorInfo", "reason": "SERVICE_DISABLED"}],
            },
            K.AUTHENTICATION,
        ),
        (503, {"code": 503}, K.OVERLOADED),
        (500, "plain words", K.SERVER),
    ],
)
def test_what_else_tells_the_kind(status, error, kind):
    assert failure(status, error).kind is kind


def test_how_long_to_wait():
    details = [{"@type": f"{RPC}RetryInfo", "retryDelay": "7.5s"}]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": details}
    told = failure(429, error)
    assert (told.kind, told.retryable, told.retry_after) == (K.RATE_LIMIT, True, 7.5)
    assert failure(429, {**error, "details": []}, (("retry-after", "3"),)).retry_after == 3
    assert failure(429, {**error, "details": [{"retryDelay": "7s"}]}).retry_after is None
    odd = [{"@type": f"{RPC}RetryInfo", "retryDelay": "soon"}]
    assert failure(429, {**error, "details": odd}).retry_after is None


def test_what_is_said_of_the_operators_account_stays_there():
    error = {"status": "UNAUTHENTICATED", "message": "key AIzaSyA1234567890 of project 7"}
    told = failure(401, error)
    assert told.message == "the upstream refused the gateway's credentials"
    assert told.detail is not None
    assert "AIzaSy" not in told.detail
    assert told.native is None
    assert GEMINI.encode_failure(told)[0] == 502


@pytest.mark.parametrize("body", [b"", b"<html><h1>502</h1></html>", b"[]", b"7"])
def test_bodies_that_are_no_errors(body):
    told = GEMINI.decode_failure(502, (("content-type", "text/html"),), body, Stage.BEFORE_HEAD)
    assert (told.kind, told.retryable) == (K.UNAVAILABLE, True)
    assert "<" not in told.message


def test_an_array_of_one_error_is_the_error():
    body = b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"m"}}]'
    assert GEMINI.decode_failure(429, (), body, Stage.BEFORE_HEAD).kind is K.RATE_LIMIT


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_is_told_and_known_again(kind):
    given = Failure(kind, "why", code="X", retry_after=7.0, previous=(Previous("Host", "c", 500),))
    status, document = GEMINI.encode_failure(given, "Other")
    error = document["error"]
    assert status == error["code"] == CLIENT_SIDE[kind][0]
    info, delay = error["details"]
    assert (info["domain"], info["reason"]) == ("arno", kind.value)
    assert all(isinstance(value, str) for value in info["metadata"].values())
    assert info["metadata"]["provider_name"] == "Other"
    assert delay == {"@type": f"{RPC}RetryInfo", "retryDelay": "7s"}
    again = GEMINI.decode_failure(status, (), json.dumps(document), Stage.BEFORE_OUTPUT)
    assert again.kind is kind
    streamed = failure_of(decode(GEMINI.stream_failure(given, Stamp())))
    assert streamed.kind is kind


def test_another_domain_does_not_tell_our_kinds():
    info = {"@type": f"{RPC}ErrorInfo", "reason": "upstream_truncated", "domain": "x.test"}
    assert failure(429, {"status": "RESOURCE_EXHAUSTED", "details": [info]}).kind is K.RATE_LIMIT


def test_refusals_of_the_gateway():
    assert GEMINI.encode_refusal(401, "who are you?", "unknown_key") == {
        "error": {
            "code": 401,
            "message": "who are you?",
            "status": "UNAUTHENTICATED",
            "details": [
                {
                    "@type": f"{RPC}ErrorInfo",
                    "reason": "unknown_key",
                    "domain": "arno",
                    "metadata": {},
                }
            ],
        }
    }
