"""The official SDK reads our streams, answers and failures (codec level, no sockets)."""

from typing import Any

import anthropic
import httpx2
import pytest

from arno.canon.events import ResponseStart, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import ReasoningPart, TextPart, ToolCallPart
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Stamp
from arno.wire import SSEDecoder, json
from tests.dialects.messages.documents import MESSAGES
from tests.laws.harness import no_price

ANSWER = Response(
    id="gen-1",
    model="m",
    choices=(
        Choice(
            parts=(
                ReasoningPart(text="Hm", signature="sig", format="anthropic-claude-v1"),
                TextPart(text="Sums: "),
                ToolCallPart(call_id="functions.add:0", name="add", arguments='{"a": 1}'),
                ToolCallPart(call_id="functions.add:1", name="add"),
            ),
            reason=FinishReason.TOOL_CALLS,
        ),
    ),
    usage=Usage(input=10, output=5, cache_read=4),
)
FAILURE = Failure(FailureKind.OVERLOADED, "busy", retryable=True, stage=Stage.MID_STREAM)


def client(body: bytes, media_type: str, status: int = 200) -> anthropic.Anthropic:
    """The SDK in front of an upstream that always answers so."""
    headers = {"content-type": media_type}
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(status, headers=headers, content=body)
    )
    http = httpx2.Client(transport=transport)
    return anthropic.Anthropic(api_key="k", http_client=http, max_retries=0)


def ask(body: bytes, media_type: str = "application/json", status: int = 200):
    with client(body, media_type, status) as api:
        return api.messages.create(model="m", max_tokens=9, messages=TURN)


TURN: Any = [{"role": "user", "content": "Hi"}]


def stream(body: bytes):
    with (
        client(body, "text/event-stream") as api,
        api.messages.stream(model="m", max_tokens=9, messages=TURN) as events,
    ):
        return events.get_final_message()


def encoded(events) -> bytes:
    encoder = MESSAGES.stream_encoder(Stamp(), no_price, include_usage=True)
    return b"".join(encoder.feed([event]) for event in events)


def check(message) -> None:
    thinking, text, one, two = message.content
    assert (thinking.thinking, thinking.signature) == ("Hm", "sig")
    assert text.text == "Sums: "
    assert (one.id, one.name, one.input) == ("functions.add:0", "add", {"a": 1})
    assert (two.id, two.input) == ("functions.add:1", {})
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (6, 4)
    assert message.usage.output_tokens == 5


def test_a_stream():
    check(stream(encoded(unfold(ANSWER))))


def test_a_whole_answer():
    check(ask(json.dumps(MESSAGES.encode_response(ANSWER)[0])))


def test_usage_that_is_not_known():
    answer = Response(choices=(Choice(parts=(TextPart(text="x"),), reason=FinishReason.STOP),))
    message = stream(encoded(unfold(answer)))
    assert message.content[0].text == "x"
    assert message.usage.output_tokens == 0
    assert message.usage.to_dict()["unknown"] == ["input_tokens", "output_tokens"]


def test_usage_that_was_not_known_at_first_is_known_at_the_end():
    """The SDK adds the counts up; its list of the unknown ones stays that of the start."""
    body = encoded(unfold(ANSWER))
    frames = [json.loads(frame.data) for frame in SSEDecoder().feed(body)]
    [end] = [frame for frame in frames if frame["type"] == "message_delta"]
    assert frames[0]["message"]["usage"]["unknown"] == ["input_tokens", "output_tokens"]
    assert end["usage"]["unknown"] == []
    message = stream(body)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (6, 5)


def test_a_failure_in_mid_stream_is_raised_as_what_it_is():
    events = [e for e in unfold(ANSWER) if not isinstance(e, ResponseStart)][:3]
    body = encoded([ResponseStart(), *events, StreamError(FAILURE)])
    with pytest.raises(anthropic.APIStatusError, match="busy"):
        stream(body)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FailureKind.RATE_LIMIT, anthropic.RateLimitError),
        (FailureKind.INVALID_REQUEST, anthropic.BadRequestError),
        (FailureKind.CONTEXT_LENGTH, anthropic.BadRequestError),
        (FailureKind.MODEL_NOT_FOUND, anthropic.NotFoundError),
        (FailureKind.OVERLOADED, anthropic.InternalServerError),
        (FailureKind.AUTHENTICATION, anthropic.InternalServerError),
    ],
)
def test_failures_raise_the_sdk_s_own_errors(kind, error):
    """R21."""
    status, document = MESSAGES.encode_failure(Failure(kind, "why"))
    with pytest.raises(error) as caught:
        ask(json.dumps(document), status=status)
    assert caught.value.body["error"]["reason"] == kind.value
