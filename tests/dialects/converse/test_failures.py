"""Failures of the converse dialect: R21 and rows 11 to 15 of the fault matrix."""

from typing import Any

import pytest

from arno.canon.failure import Failure, FailureKind, Previous, Stage
from arno.canon.response import Response
from arno.dialects.converse.failures import EXCEPTIONS, STATUSES
from arno.wire import json
from tests.dialects.converse.building import whole
from tests.laws.converse_harness import CONVERSE

K = FailureKind
HTML = b"<html><title>502</title>AKIAIOSFODNN7EXAMPLE</html>"


def read(status: int, name: str | None = None, message: str = "m", **headers: str) -> Failure:
    fields = {"content-type": "application/json", **headers}
    if name is not None:
        fields["x-amzn-errortype"] = name
    body = json.dumps({"message": message})
    return CONVERSE.decode_failure(status, tuple(fields.items()), body, Stage.BEFORE_OUTPUT)


ROWS: dict[str, tuple[int, str | None, str, FailureKind, bool]] = {
    "throttled": (429, "ThrottlingException", "Too many requests", K.RATE_LIMIT, True),
    "throttled without a name": (429, None, "m", K.RATE_LIMIT, True),
    "with a namespace": (429, "ThrottlingException:http://internal.test/", "m", K.RATE_LIMIT, True),
    "with a prefix": (400, "com.test.coral#ValidationException", "m", K.INVALID_REQUEST, False),
    "quota": (400, "ServiceQuotaExceededException", "m", K.RATE_LIMIT, True),
    "not ready": (429, "ModelNotReadyException", "m", K.OVERLOADED, True),
    "unavailable": (503, "ServiceUnavailableException", "m", K.OVERLOADED, True),
    "internal": (500, "InternalServerException", "m", K.SERVER, True),
    "the model failed": (424, "ModelErrorException", "m", K.SERVER, True),
    "the model failed without a name": (424, None, "m", K.SERVER, True),
    "too slow": (408, "ModelTimeoutException", "m", K.TIMEOUT, True),
    "invalid": (400, "ValidationException", "m", K.INVALID_REQUEST, False),
    "too long": (
        *(400, "ValidationException", "Input is too long for requested model."),
        *(K.CONTEXT_LENGTH, False),
    ),
    "no such model": (
        *(400, "ValidationException", "The provided model identifier is invalid."),
        *(K.MODEL_NOT_FOUND, False),
    ),
    "not found": (404, "ResourceNotFoundException", "m", K.MODEL_NOT_FOUND, False),
    "our role": (
        403,
        "AccessDeniedException",
        "User arn:aws:iam::1:role/x",
        K.AUTHENTICATION,
        False,
    ),
    "our token": (403, "ExpiredTokenException", "m", K.AUTHENTICATION, False),
    "our signature": (403, "InvalidSignatureException", "m", K.AUTHENTICATION, False),
    "forbidden without a name": (403, None, "m", K.AUTHENTICATION, False),
    "a new name": (400, "SomethingNewException", "m", K.INVALID_REQUEST, False),
    "a new status": (418, None, "m", K.INVALID_REQUEST, False),
    "a new status of theirs": (599, None, "m", K.SERVER, True),
}


@pytest.mark.parametrize(("status", "name", "message", "kind", "again"), ROWS.values(), ids=ROWS)
def test_kinds(status: int, name: str | None, message: str, kind: K, again: bool) -> None:
    failure = read(status, name, message)
    assert (failure.kind, failure.retryable, failure.status) == (kind, again, status)
    assert "arn:" not in failure.message


def test_when_to_come_again() -> None:
    assert read(429, "ThrottlingException", **{"retry-after": "7"}).retry_after == 7
    assert read(400, "ValidationException", **{"retry-after": "7"}).retry_after is None


@pytest.mark.parametrize("body", [b"", HTML, b"\xff", b"[]", b"{}", b'{"message":3}', b"null"])
def test_any_body_is_a_short_clean_failure(body: bytes) -> None:
    fields = (("content-type", "text/html; charset=utf-8"),)
    failure = CONVERSE.decode_failure(502, fields, body, Stage.BEFORE_OUTPUT)
    assert failure.kind is K.UNAVAILABLE
    assert "AKIA" not in failure.message
    assert 0 < len(failure.message) < 100


def test_a_failure_inside_a_good_status() -> None:
    body = json.dumps({"__type": "ThrottlingException", "message": "slow"})
    found = CONVERSE.decode_response(body)
    assert isinstance(found, Failure)
    assert (found.kind, found.message, found.stage) == (K.RATE_LIMIT, "slow", Stage.BEFORE_OUTPUT)
    named = CONVERSE.decode_response(json.dumps({}), (("x-amzn-errortype", "ThrottlingException"),))
    assert isinstance(named, Failure)
    assert named.kind is K.RATE_LIMIT
    assert isinstance(CONVERSE.decode_response(whole({"text": "a"})), Response)


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>",
    "no object": b"[]",
    "no output": b"{}",
    "no message": b'{"output":{}}',
    "no content": b'{"output":{"message":{}}}',
    "content as text": b'{"output":{"message":{"content":"a"}}}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_a_failure(body: bytes) -> None:
    found = CONVERSE.decode_response(body)
    assert isinstance(found, Failure)
    assert found.kind is K.INVALID_ANSWER


@pytest.mark.parametrize("word", ["malformed_model_output", "malformed_tool_use"])
def test_an_answer_that_cannot_be_used_is_a_failure(word: str) -> None:
    found = CONVERSE.decode_response(whole({"text": "a"}, word=word))
    assert isinstance(found, Failure)
    assert found.kind is K.INVALID_ANSWER


@pytest.mark.parametrize("kind", FailureKind)
def test_every_kind_is_told_and_read_again(kind: FailureKind) -> None:
    previous = (Previous("a", "429", 429),)
    failure = Failure(kind, "it broke", status=500, previous=previous)
    status, document = CONVERSE.encode_failure(failure, "Host")
    assert document["message"] == "it broke"
    assert document["reason"] == kind.value
    assert document["provider"] == "Host"
    assert document["previousErrors"] == [{"provider": "a", "code": "429", "status": 429}]
    again = CONVERSE.decode_failure(status, (), json.dumps(document), Stage.BEFORE_OUTPUT)
    assert again.retryable == (status in (408, 429, 500, 502, 503, 504))


def test_names_and_statuses_of_the_tables() -> None:
    assert set(EXCEPTIONS) <= set(FailureKind)
    assert all(isinstance(kind, FailureKind) for kind in STATUSES.values())


def test_a_refusal_of_the_gateway() -> None:
    document: Any = CONVERSE.encode_refusal(404, "nothing here", "not_found")
    assert document == {
        "__type": "ResourceNotFoundException",
        "message": "nothing here",
        "errorType": "not_found",
    }
    assert CONVERSE.encode_refusal(418, "m", "r")["__type"] == "ValidationException"
