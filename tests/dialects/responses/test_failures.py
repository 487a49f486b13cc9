"""Failures of the responses dialect: error objects, statuses, codes that clients go by."""

from typing import Any

import pytest

from arno.canon.failure import Failure, FailureKind, Previous, Stage
from arno.canon.response import Response
from arno.dialects.responses.events import failed_response
from arno.dialects.responses.failures import encode_refusal
from arno.wire import json
from tests.laws.responses import RESPONSES

K = FailureKind

KINDS: dict[FailureKind, tuple[int, str, str]] = {
    K.INVALID_REQUEST: (400, "invalid_request_error", "invalid_prompt"),
    K.CONTEXT_LENGTH: (400, "invalid_request_error", "context_length_exceeded"),
    K.CONTENT_POLICY: (400, "invalid_request_error", "image_content_policy_violation"),
    K.AUTHENTICATION: (502, "server_error", "server_error"),
    K.PAYMENT_REQUIRED: (502, "server_error", "server_error"),
    K.PERMISSION: (403, "permission_error", "server_error"),
    K.NOT_FOUND: (404, "not_found_error", "server_error"),
    K.MODEL_NOT_FOUND: (404, "not_found_error", "server_error"),
    K.PAYLOAD_TOO_LARGE: (413, "invalid_request_error", "invalid_prompt"),
    K.UNPROCESSABLE: (422, "invalid_request_error", "invalid_prompt"),
    K.RATE_LIMIT: (429, "rate_limit_error", "rate_limit_exceeded"),
    K.SERVER: (502, "server_error", "server_error"),
    K.UNAVAILABLE: (502, "server_error", "server_error"),
    K.OVERLOADED: (503, "server_error", "server_error"),
    K.INVALID_ANSWER: (502, "server_error", "server_error"),
    K.TIMEOUT: (504, "server_error", "server_error"),
    K.TRUNCATED: (502, "server_error", "server_error"),
    K.UNMATCHED: (424, "invalid_request_error", "server_error"),
}


@pytest.mark.parametrize("kind", list(K))
def test_every_kind_has_its_place(kind: FailureKind) -> None:
    status, type_, code = KINDS[kind]
    told, document = RESPONSES.encode_failure(Failure(kind, "words"))
    assert told == status
    error: Any = document["error"]
    assert (error["type"], error["code"], error["message"]) == (type_, kind.value, "words")
    failed = failed_response(Failure(kind, "words"), {}, None)
    assert failed["error"]["code"] == code
    assert failed["error"]["metadata"]["reason"] == kind.value


def test_who_failed_is_told() -> None:
    failure = Failure(K.SERVER, "boom", code="x", previous=(Previous("A", "429", 429),))
    error: Any = RESPONSES.encode_failure(failure, "B")[1]["error"]
    assert error["metadata"]["provider_name"] == "B"
    assert error["metadata"]["provider_code"] == "x"
    assert error["metadata"]["previous_errors"] == [{"provider": "A", "code": "429", "status": 429}]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": "context_length_exceeded", "message": "x"}, K.CONTEXT_LENGTH),
        (429, {"code": "insufficient_quota", "message": "x"}, K.PAYMENT_REQUIRED),
        (429, {"code": "rate_limit_exceeded", "message": "x"}, K.RATE_LIMIT),
        (400, {"code": "model_not_found", "message": "x"}, K.MODEL_NOT_FOUND),
        (503, {"message": "x"}, K.OVERLOADED),
    ],
)
def test_what_an_upstream_means(status: int, error: Any, kind: FailureKind) -> None:
    body = json.dumps({"error": error})
    headers = (("retry-after", "7"),)
    failure = RESPONSES.decode_failure(status, headers, body, Stage.BEFORE_OUTPUT)
    assert failure.kind is kind
    assert failure.retry_after == (7.0 if kind in (K.RATE_LIMIT, K.OVERLOADED) else None)


def test_a_failure_inside_a_good_status_is_one():
    for document in (
        {"error": {"code": 429, "message": "slow down"}},
        {"object": "response", "status": "failed", "output": []},
        {"object": "response", "status": "completed"},
        {"object": "response", "status": "completed", "output": [{"type": "function_call"}]},
        {"object": "response", "status": "queued", "output": []},
        {"object": "response", "status": "in_progress", "output": [], "background": False},
        [],
    ):
        assert isinstance(RESPONSES.decode_response(json.dumps(document)), Failure)
    for body in (b"", b"<html>"):
        assert isinstance(RESPONSES.decode_response(body), Failure)


def test_an_answer_in_the_background_is_one_without_a_reason() -> None:
    """The control: it was asked for, and says so."""
    document = {"object": "response", "status": "queued", "output": [], "background": True}
    answer = RESPONSES.decode_response(json.dumps(document))
    assert isinstance(answer, Response)
    assert answer.choices[0].reason is None


def test_a_refusal_of_the_gateway_has_the_same_shape() -> None:
    error = encode_refusal(401, "No key", "missing_key")["error"]
    assert (error["type"], error["code"]) == ("authentication_error", "missing_key")
