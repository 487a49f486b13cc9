"""OpenAI's own SDK reads the streams that we write: its accumulator checks ids, indexes and order.

The gateway's tests do this over sockets; here it is every kind of part, and every kind of end.
"""

import httpx2
import openai
import pytest

from arno.canon.events import Event, StreamError
from arno.canon.failure import Failure, FailureKind
from arno.canon.parts import (
    MediaKind,
    MediaPart,
    ReasoningForm,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Stamp
from arno.wire import json
from tests.laws.harness import decode
from tests.laws.responses import RESPONSES, check_grammar, encode, late, streams
from tests.shared import needs_shared

STAMP = Stamp(id="gen-1", model="m", provider="Host", created=7)
BROKEN = Failure(FailureKind.RATE_LIMIT, "slow down")

PARTS = (
    ReasoningPart(text="think", signature="s", format="anthropic-claude-v1"),
    ReasoningPart(form=ReasoningForm.REDACTED, sealed="r", format="anthropic-claude-v1"),
    ReasoningPart(form=ReasoningForm.SUMMARY, text="why"),
    ReasoningPart(form=ReasoningForm.SEALED, sealed="gAAA", format="openai-responses-v1"),
    TextPart(text="Hello"),
    TextPart(text=" again"),
    RefusalPart(text="No."),
    ToolCallPart(call_id="weather:0", name="weather", arguments='{"a":1}', signature="g"),
    ToolCallPart(call_id="c2", name="shell", arguments="ls", kind="custom"),
    MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="aGk="),
)


def answer(reason: FinishReason = FinishReason.TOOL_CALLS) -> Response:
    choice = Choice(parts=PARTS, reason=reason)
    return Response(choices=(choice,), usage=Usage(input=5, output=6, cache_read=1, reasoning=2))


def client(body: bytes) -> openai.OpenAI:
    """A client whose server answers with `body`."""

    def serve(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=headers, content=body)

    transport = httpx2.MockTransport(serve)
    http = httpx2.Client(transport=transport)
    return openai.OpenAI(api_key="none", base_url="http://here/v1", http_client=http)


@pytest.mark.parametrize("order", [list, late])
def test_the_accumulator_reads_every_kind_of_part(order):
    body = encode([[event] for event in order(list(unfold(answer())))], STAMP)
    check_grammar(body)
    with client(body).responses.stream(model="m", input="Hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == "Hello again"
    assert (final.id, final.usage.total_tokens) == ("gen-1", 11)
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(c.call_id, c.name, c.arguments) for c in calls] == [
        ("weather:0", "weather", '{"a":1}')
    ]
    # What was read goes back as input, whole.
    returned = [item.model_dump() for item in final.output]
    request = RESPONSES.decode_request(openai_body(returned))
    (turn,) = request.messages
    told = [part for part in turn.parts if not isinstance(part, ReasoningPart)]
    assert [type(part) for part in told] == [
        type(part) for part in PARTS if not isinstance(part, ReasoningPart)
    ]
    wanted = {(p.sealed, p.signature, p.format) for p in PARTS if isinstance(p, ReasoningPart)}
    found = {(p.sealed, p.signature, p.format) for p in turn.parts if isinstance(p, ReasoningPart)}
    assert found == wanted


def openai_body(items: list[dict]) -> bytes:
    """The request that sends an answer's items back, null members and all."""
    return json.dumps({"model": "m", "input": items})


def test_an_incomplete_answer_is_read_as_one():
    body = encode([list(unfold(answer(FinishReason.LENGTH)))], STAMP)
    events = list(client(body).responses.create(model="m", input="Hi", stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("kept", [0, 1, 4, 12])
def test_a_failure_is_read_as_one(kept):
    events: list[Event] = [*list(unfold(answer()))[:kept], StreamError(BROKEN)]
    with client(encode([events], STAMP)).responses.stream(model="m", input="Hi") as stream:
        read = list(stream)
    assert read[-1].type == "response.failed"
    assert read[-1].response.error.message == "slow down"


def test_a_failure_without_any_state_raises():
    body = encode([list(unfold(answer()))[:4]], STAMP) + RESPONSES.stream_failure(BROKEN, STAMP)
    with pytest.raises(openai.APIError, match="slow down"):
        list(client(body).responses.create(model="m", input="Hi", stream=True))


def test_heartbeats_raise_nothing():
    """R9."""
    body = encode([list(unfold(answer()))], STAMP)
    frames = body.split(b"\n\n")
    beaten = b"\n\n".join(RESPONSES.heartbeat() + frame for frame in frames[:-1]) + b"\n\n"
    read = list(client(beaten).responses.create(model="m", input="Hi", stream=True))
    assert len(read) == len(frames) - 1


@needs_shared
def test_recorded_streams_told_again_are_read():
    for row in streams():
        body = encode([[e] for e in decode(row.body, RESPONSES.stream_decoder)], STAMP)
        with client(body).responses.stream(model="m", input="Hi") as stream:
            stream.until_done()
            final = stream.get_final_response()
        assert len(final.output) == len(row.last["output"]), row.id
