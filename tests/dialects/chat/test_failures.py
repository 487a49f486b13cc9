"""Failures of the chat dialect: R21 and rows 11 to 15 of the fault matrix."""

from typing import Any

import pytest

from arno.canon.events import StreamError, UsageUpdate
from arno.canon.failure import Failure, FailureKind, Stage
from arno.dialects.base import Stamp
from arno.dialects.failures import CLIENT_SIDE, KIND_OF_STATUS, RETRYABLE, client_status
from arno.wire import encode_sse, json
from tests.dialects.chat.building import delta, documents_of, stream, whole
from tests.laws.harness import CHAT, decode, frames_of

K = FailureKind
HTML = b"<html><head><title>502</title></head><body>cloudflare sk-or-v1-0123456789</body></html>"


def error(message: str = "no", **members: Any) -> bytes:
    return json.dumps({"error": {"message": message, **members}})


def read(status: int, body: bytes, headers: dict[str, str] | None = None) -> Failure:
    pairs = tuple((headers or {}).items())
    return CHAT.decode_failure(status, pairs, body, Stage.BEFORE_OUTPUT)


ROWS: dict[str, tuple[int, bytes, FailureKind, int, str, bool]] = {
    "429": (429, error(code=429), K.RATE_LIMIT, 429, "rate_limit_exceeded", True),
    "429 in a 500": (500, error(code=429), K.RATE_LIMIT, 429, "rate_limit_exceeded", True),
    "429 as text": (500, error(code="429"), K.RATE_LIMIT, 429, "rate_limit_exceeded", True),
    "usage limits in a 400": (
        *(400, error("You have reached your specified API usage limits.")),
        *(K.RATE_LIMIT, 429, "rate_limit_exceeded", True),
    ),
    "529": (529, error(type="overloaded_error"), K.OVERLOADED, 503, "provider_overloaded", True),
    "overloaded without a body": (529, b"", K.OVERLOADED, 503, "provider_overloaded", True),
    "HTML 502": (502, HTML, K.UNAVAILABLE, 502, "provider_unavailable", True),
    "context too long": (
        *(400, error(code="context_length_exceeded")),
        *(K.CONTEXT_LENGTH, 400, "context_length_exceeded", False),
    ),
    "context too long in words": (
        *(400, error("This model's maximum context length is 8192 tokens.")),
        *(K.CONTEXT_LENGTH, 400, "context_length_exceeded", False),
    ),
    "credit balance": (
        *(400, error("Your credit balance is too low")),
        *(K.PAYMENT_REQUIRED, 502, "provider_unavailable", False),
    ),
    "quota in a 429": (
        *(429, error(code="insufficient_quota")),
        *(K.PAYMENT_REQUIRED, 502, "provider_unavailable", False),
    ),
    "our key refused": (401, error(), K.AUTHENTICATION, 502, "provider_unavailable", False),
    "our account empty": (402, error(), K.PAYMENT_REQUIRED, 502, "provider_unavailable", False),
    "moderation": (
        *(400, error(code="content_policy_violation")),
        *(K.CONTENT_POLICY, 400, "content_policy_violation", False),
    ),
    "message at the top": (
        *(404, json.dumps({"message": "no such model"})),
        *(K.MODEL_NOT_FOUND, 404, "not_found", False),
    ),
    "a path that is not there": (404, error("not found"), K.NOT_FOUND, 404, "not_found", False),
    "detail at the top": (
        *(422, json.dumps({"detail": [{"loc": ["body"]}]})),
        *(K.UNPROCESSABLE, 422, "unprocessable", False),
    ),
    "error as a string": (
        *(503, json.dumps({"error": "loading"})),
        *(K.OVERLOADED, 503, "provider_overloaded", True),
    ),
}
"""What an upstream answers: status, body; then kind, the client's status and type, retryable."""


@pytest.mark.parametrize("case", ROWS)
def test_an_upstreams_failure_becomes_the_clients(case: str) -> None:
    status, body, kind, client, error_type, retryable = ROWS[case]
    failure = read(status, body)
    assert (failure.kind, failure.retryable) == (kind, retryable)
    told, document = CHAT.encode_failure(failure, "Some Host")
    assert told == client
    member = document["error"]
    assert member["code"] == client
    assert member["metadata"]["error_type"] == error_type
    assert member["metadata"]["reason"] == kind.value
    assert member["metadata"]["provider_name"] == "Some Host"


def test_every_bad_status_has_a_class_and_clients_never_see_our_own_credentials_fail() -> None:
    """Row 13: the mapping covers all of 400 to 599; an upstream's 401 or 402 is ours."""
    for status in range(400, 600):
        failure = read(status, b"")
        expected = KIND_OF_STATUS.get(status, K.SERVER if status >= 500 else K.INVALID_REQUEST)
        assert failure.kind is expected, status
        assert failure.status == status
        assert failure.retryable is (failure.kind in RETRYABLE)
        assert client_status(failure) in {400, 403, 404, 413, 422, 424, 429, 502, 503, 504}, status


def test_every_kind_has_a_row_for_clients() -> None:
    assert set(CLIENT_SIDE) == set(FailureKind)
    assert set(KIND_OF_STATUS.values()) < set(FailureKind)


@pytest.mark.parametrize("body", [HTML, b"", b"\xff\xfe", b"null", b"[1]", b'{"a":1}'])
def test_a_body_that_tells_nothing_is_never_forwarded(body: bytes) -> None:
    """Row 12: HTML and the like stay here; the message names the status and the type."""
    failure = read(502, body, {"content-type": "text/html; charset=utf-8"})
    assert failure.message == "upstream answered 502 (text/html)"
    assert b"cloudflare" not in json.dumps(CHAT.encode_failure(failure)[1])


def test_upstream_words_are_kept_short_and_without_secrets() -> None:
    body = error("Incorrect API key provided: sk-proj-0123456789abcdef", code="sk-0123456789")
    failure = read(400, body)
    text = json.dumps(CHAT.encode_failure(failure)[1]) + CHAT.stream_failure(failure, Stamp())
    assert b"0123456789" not in text
    assert b"Incorrect API key provided: [redacted]" in text


def test_the_upstreams_own_code_and_words_are_kept() -> None:
    body = error(
        "Provider returned error",
        code=429,
        metadata={"raw": "model is rate-limited upstream\nkey=abc", "provider_name": "Google"},
    )
    metadata = CHAT.encode_failure(read(429, body))[1]["error"]["metadata"]
    assert metadata["provider_code"] == "429"
    assert metadata["raw"] == "model is rate-limited upstream [redacted]"


GOOD_STATUS: dict[str, bytes] = {
    "an error member": error(code=429),
    "an error in a choice": json.dumps(
        {"choices": [{"index": 0, "message": {}, "error": {"code": 429, "message": "slow down"}}]}
    ),
}


CLIENTS_WORDS = [
    "tool 'set_timeout' has invalid schema",
    "'server_error' is not one of the allowed values",
    "cannot fetch https://x.test/overloaded.png",
    "tools[0].name: rate_limit is not allowed",
    "messages[1]: content_filter must be a string",
]
"""What hosts say of a request, quoting it."""


@pytest.mark.parametrize("message", CLIENTS_WORDS)
def test_a_message_that_quotes_the_request_makes_no_upstream_fault(message: str) -> None:
    assert read(400, error(message, type="invalid_request_error")).kind is K.INVALID_REQUEST


@pytest.mark.parametrize("message", ["the context length is 8192", "prompt is too long: 9 > 8"])
def test_a_prompt_that_is_too_long_is_told_as_one(message: str) -> None:
    assert read(400, error(message)).kind is K.CONTEXT_LENGTH


UNDER_A_STATUS: list[tuple[int, dict[str, Any], FailureKind]] = [
    (503, {"type": "server_error"}, K.OVERLOADED),
    (504, {"code": "rate_limit_exceeded"}, K.TIMEOUT),
    (403, {"type": "server_error"}, K.PERMISSION),
    (429, {"type": "server_error"}, K.RATE_LIMIT),
    (500, {"code": 400}, K.SERVER),
    (500, {"code": "401"}, K.SERVER),
    (502, {"code": 404}, K.UNAVAILABLE),
    (502, {"code": 402}, K.PAYMENT_REQUIRED),
    (503, {"code": 429}, K.RATE_LIMIT),
    (500, {"code": 529}, K.OVERLOADED),
    (400, {"code": 429}, K.INVALID_REQUEST),
    (404, {"status_code": 500}, K.NOT_FOUND),
    (500, {"type": "overloaded_error"}, K.OVERLOADED),
    (400, {"type": "server_error_in_your_schema"}, K.INVALID_REQUEST),
    (400, {"code": "invalid_api_key"}, K.AUTHENTICATION),
]


@pytest.mark.parametrize(("status", "members", "kind"), UNDER_A_STATUS)
def test_the_raw_status_decides_where_it_says_something(
    status: int, members: dict[str, Any], kind: FailureKind
) -> None:
    """R28. What stands in the body counts under a status that hosts use for anything."""
    failure = read(status, error(**members))
    assert (failure.kind, failure.status) == (kind, status)


@pytest.mark.parametrize("code", [400, 404, 429, 503, "529"])
def test_under_a_good_status_the_bodys_number_decides(code: Any) -> None:
    failure = CHAT.decode_response(error(code=code))
    last = decode(encode_sse(error(code=code)))[-1]
    assert isinstance(failure, Failure)
    assert isinstance(last, StreamError)
    assert failure.kind is last.failure.kind is KIND_OF_STATUS[int(code)]
    assert failure.status is last.failure.status is None


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize(
    "document",
    [
        {"message": "no", "code": "model_not_found"},
        {"message": "The model `gpt-9` does not exist or you do not have access to it."},
        {"message": "Model not found"},
        {"message": "model 'llama9' not found, try pulling it first"},
        {"message": "models/gemini-9 is not found for API version v1beta"},
        {"message": "model: claude-9", "type": "not_found_error"},
        {"message": "acme/large is not a valid model ID"},
        {"message": "No endpoints found for acme/large."},
    ],
)
def test_a_model_that_an_endpoint_lacks_has_a_kind_of_its_own(
    status: int, document: dict[str, Any]
) -> None:
    failure = read(status, json.dumps({"error": document}))
    assert failure.kind is K.MODEL_NOT_FOUND
    assert client_status(failure) == 404


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "no such path"),
        (404, "file for the model was not uploaded, tool 'x' not found"),
        (400, "tool choice: function 'model' was given, but 'f' does not exist"),
        (500, "model not found"),
    ],
)
def test_other_things_that_are_missing_are_no_missing_model(status: int, message: str) -> None:
    assert read(status, error(message)).kind is not K.MODEL_NOT_FOUND


OPERATORS_OWN = "Incorrect key sk-0123456789 of org-acme, see your plan"


@pytest.mark.parametrize("status", [401, 402])
def test_what_is_said_of_the_operators_account_stays_with_the_operator(status: int) -> None:
    body = error(OPERATORS_OWN, code="bad_key", metadata={"raw": "org-acme"})
    failure = read(status, body)
    told = json.dumps(CHAT.encode_failure(failure)[1]) + CHAT.stream_failure(failure, Stamp())
    for word in (b"Incorrect", b"acme", b"plan", b"bad_key", b"redacted"):
        assert word not in told
    assert b"the gateway's" in told
    assert failure.detail == "Incorrect key [redacted] of org-acme, see your plan (bad_key)"
    assert (failure.code, failure.native, failure.status) == (None, None, status)


def test_what_is_said_of_the_operators_account_in_a_stream_does_not_pass() -> None:
    chunk = {**delta(), "error": {"message": OPERATORS_OWN, "code": 402}}
    batch = CHAT.stream_decoder().feed(frames_of(stream(chunk))[0])
    assert batch.readable_error is False
    assert isinstance(batch.events[-1], StreamError)
    assert "acme" not in batch.events[-1].failure.message
    chunk["error"]["code"] = 502
    assert CHAT.stream_decoder().feed(frames_of(stream(chunk))[0]).readable_error is True


def test_a_list_of_details_is_told_as_json() -> None:
    details = [{"loc": ["body", "n"], "msg": "it's None", "ctx": None}]
    failure = read(422, json.dumps({"detail": details}))
    assert json.loads(failure.message.encode()) == details
    assert read(400, json.dumps({"error": [{"a": None}]})).message == '[{"a":null}]'
    body = error("no", metadata={"raw": {"a": True}})
    assert CHAT.encode_failure(read(400, body))[1]["error"]["metadata"]["raw"] == '{"a":true}'


@pytest.mark.parametrize("case", GOOD_STATUS)
def test_retry_after_survives_inside_a_good_status(case: str) -> None:
    failure = CHAT.decode_response(GOOD_STATUS[case], (("retry-after", "7"),))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retry_after) == (K.RATE_LIMIT, 7.0)


@pytest.mark.parametrize(
    ("status", "seconds"),
    [(429, 7.0), (503, 7.0), (529, 7.0), (500, None), (502, None), (401, None), (400, None)],
)
@pytest.mark.parametrize("body", [b"", error()])
def test_only_a_failure_that_passes_tells_when(
    status: int, seconds: float | None, body: bytes
) -> None:
    """Retry-After belongs to 429 and 503."""
    assert read(status, body, {"retry-after": "7"}).retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
        (
            {
                "retry-after": "Wed, 21 Oct 2015 07:28:30 GMT",
                "date": "Wed, 21 Oct 2015 07:28:00 GMT",
            },
            30.0,
        ),
        (
            {
                "retry-after": "Wed, 21 Oct 2015 07:27:00 GMT",
                "date": "Wed, 21 Oct 2015 07:28:00 GMT",
            },
            0.0,
        ),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "yesterday"}, None),
    ],
)
@pytest.mark.parametrize("body", [b"", error(code=429)])
def test_retry_after_in_seconds_or_as_a_date(
    headers: dict[str, str], seconds: float | None, body: bytes
) -> None:
    """Row 11. A date is read against the answer's own Date: no clock is needed."""
    assert read(429, body, headers).retry_after == seconds


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"no such model"}', "no such model"),
        (b'{"detail":"no such model"}', "no such model"),
        (b'{"error":{"detail":"no such model"}}', "no such model"),
        (b'{"error":{"code":404}}', "upstream reported an error"),
        (b'{"error":"no such model"}', "no such model"),
    ],
)
def test_the_message_is_found_wherever_hosts_put_it(body: bytes, message: str) -> None:
    assert read(404, body).message == message


def test_the_stage_is_the_callers() -> None:
    failure = CHAT.decode_failure(429, (), b"", Stage.BEFORE_HEAD)
    assert failure.stage is Stage.BEFORE_HEAD


@pytest.mark.parametrize("case", GOOD_STATUS)
def test_a_rate_limit_inside_a_200_is_a_rate_limit(case: str) -> None:
    failure = CHAT.decode_response(GOOD_STATUS[case])
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retryable) == (K.RATE_LIMIT, True)
    assert client_status(failure) == 429


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        HTML,
        b"[]",
        b"{}",
        b'{"choices":null}',
        b'{"choices":[]}',
        b'{"choices":[{}]}',
        b'{"choices":[{"message":null}]}',
        whole({"content": "x"})[:-1],
    ],
)
def test_a_200_that_is_no_answer_is_a_failure(body: bytes) -> None:
    """Row 22, and a whole answer that was cut."""
    failure = CHAT.decode_response(body)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.retryable) == (K.INVALID_ANSWER, True)
    assert failure.stage is Stage.BEFORE_OUTPUT


def test_an_answer_that_ended_with_an_error_is_a_failure_streamed_and_not() -> None:
    answer = CHAT.decode_response(whole({"content": "par"}, "error"))
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    events = decode(stream(delta(content="par"), {**delta("error", content="t"), "usage": usage}))
    assert isinstance(events[-1], StreamError)
    assert isinstance(answer, Failure)
    assert answer.kind is events[-1].failure.kind is K.SERVER
    assert answer.retryable is events[-1].failure.retryable is True
    assert isinstance(events[-2], UsageUpdate)


ERRORS_IN_A_STREAM: dict[str, bytes] = {
    "beside a choice": encode_sse(
        json.dumps({**delta(), "error": {"code": 502, "message": "gone"}})
    ),
    "beside no choices": encode_sse(b'{"choices":[],"error":{"code":502,"message":"gone"}}'),
    "alone": encode_sse(b'{"error":{"code":"502","message":"gone"}}'),
    "as text": encode_sse(b'{"error":"gone"}'),
    "under an event name": encode_sse(b'{"message":"gone","status_code":502}', "error"),
    "under an event name, wrapped": encode_sse(b'{"error":{"message":"gone"}}', "error"),
}


@pytest.mark.parametrize("case", ERRORS_IN_A_STREAM)
@pytest.mark.parametrize("before", [(), (delta(content="a"),), (delta(content="a"), delta("stop"))])
def test_an_error_in_a_stream_ends_it_wherever_it_stands(case: str, before: tuple) -> None:
    """Row 15; even behind a finish, and whatever follows it."""
    body = stream(*before, done=False) + ERRORS_IN_A_STREAM[case] + stream(delta(content="ghost"))
    last = decode(body)[-1]
    assert isinstance(last, StreamError)
    assert last.failure.message == "gone"
    assert last.failure.stage is (Stage.MID_STREAM if before else Stage.BEFORE_OUTPUT)
    assert last.failure.status is None


@pytest.mark.parametrize("data", [b"{", b"[1]", b"7", b'{"choices":7}', b'{"choices":[7]}'])
@pytest.mark.parametrize("before", [0, 1])
def test_an_event_that_is_no_chunk_ends_the_stream(data: bytes, before: int) -> None:
    """Rows 14 and 16."""
    opening = stream(*[delta(content="a")] * before, done=False)
    last = decode(opening + encode_sse(data) + stream(delta("stop")))[-1]
    assert isinstance(last, StreamError)
    assert last.failure.kind is K.INVALID_ANSWER
    assert last.failure.stage is (Stage.MID_STREAM if before else Stage.BEFORE_OUTPUT)


def test_a_cut_character_is_a_failure_without_any_exception_text() -> None:
    body = stream(delta(content="a"), done=False) + b'data: {"choices":"\xe5\x8c\n\n'
    last = decode(body)[-1]
    assert isinstance(last, StreamError)
    assert "Traceback" not in last.failure.message


def test_the_chunk_that_ends_a_stream_with_a_failure() -> None:
    """R5: a top-level error and finish_reason error, which no client takes for a good end."""
    failure = read(503, error("overloaded"))
    stamp = Stamp(id="gen-1", model="m", provider="Some Host", created=7)
    (document,) = documents_of(CHAT.stream_failure(failure, stamp))
    assert document["error"]["code"] == 503
    assert document["error"]["metadata"]["provider_name"] == "Some Host"
    assert document["choices"][0]["finish_reason"] == "error"
    assert (document["id"], document["model"]) == ("gen-1", "m")
