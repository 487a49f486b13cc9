"""Documents of messages with any value anywhere: decoders never raise, orders stay legal.

Each mutation puts an arbitrary JSON value in the place of one value of a good document. Streams end
with exactly one terminal event, and what encoders make of their events is grammatical.
"""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.failure import Failure, RequestError, Stage
from arno.canon.response import Response
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.wire import encode_sse, json
from tests.dialects.messages.documents import STOP, block, call, ended, started, text
from tests.dialects.test_golden import FILES
from tests.laws import messages_grammar as grammar
from tests.laws.harness import decode, failed, frames_of, no_price

pytestmark = pytest.mark.slow

MESSAGES = DIALECTS["messages"]
quick = settings(max_examples=100)

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4)
values: st.SearchStrategy[Any] = scalars | st.sampled_from(
    ([], {}, [None], [{}], {"type": "text"}, {"type": "tool_use"}, "arno:{}", "error")
)

THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Hm"},
    {"type": "signature_delta", "signature": "c2ln"},
)
CITED = {"type": "citations_delta", "citation": {"type": "web_search_result_location"}}
BODY = (
    started()
    + THINKING
    + block(1, {"type": "redacted_thinking", "data": 'arno:{"on":"","signature":"s"}'})
    + block(2, {"type": "text", "text": ""}, CITED, {"type": "text_delta", "text": "Hi"})
    + call(3, "a", "{}")
    + text(4, "So")
    + ended("tool_use")
    + STOP
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path]
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(item, (*path, key))
    return found


def put(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = put(copy[path[0]], path[1:], value)
    return copy


def mutated(draw: Any, document: Any) -> Any:
    return put(document, draw(st.sampled_from(places(document))), draw(values))


@st.composite
def streams(draw: Any) -> bytes:
    """The stream with one document changed in one place."""
    frames = frames_of(BODY)
    at = draw(st.integers(0, len(frames) - 1))
    document = mutated(draw, json.loads(frames[at].data or b""))
    changed = encode_sse(json.dumps(document), frames[at].event)
    return b"".join(changed if n == at else frame.raw for n, frame in enumerate(frames))


@given(body=streams())
@settings(max_examples=400)
def test_streams_with_any_value_anywhere(body: bytes) -> None:
    events = decode(body, MESSAGES.stream_decoder)
    encoder = MESSAGES.stream_encoder(Stamp(), no_price, include_usage=True)
    written = encoder.feed(events)
    end = grammar.documents(written)[-1]["type"]
    assert end == ("error" if failed(events) else "message_stop")
    decoder = MESSAGES.stream_decoder()
    restamper = MESSAGES.stream_restamper(Stamp(id="gen-1"), no_price, include_usage=True)
    batches = [decoder.feed(frame) for frame in frames_of(body)] + [decoder.close()]
    passed = b"".join(restamper.feed(batch) for batch in batches)
    assert failed(decode(passed, MESSAGES.stream_decoder)) is failed(events)


@given(data=st.data(), case=st.sampled_from(FILES["messages"].answers))
@quick
def test_whole_answers_with_any_value_anywhere(data: st.DataObject, case: str) -> None:
    body = json.dumps(mutated(data.draw, FILES["messages"].kept(case, "source")))
    answer, glanced = MESSAGES.decode_response(body), MESSAGES.glance(body)
    if isinstance(answer, Failure):
        assert glanced is None
        return
    document, _ = MESSAGES.encode_response(answer)
    assert isinstance(MESSAGES.decode_response(json.dumps(document)), Response)
    stamp = Stamp(id="gen-1", provider="Host")
    stamped = MESSAGES.restamp_response(body, answer, stamp, no_price)
    assert isinstance(MESSAGES.decode_response(stamped), Response)
    if glanced is not None:
        assert MESSAGES.restamp_glanced(glanced, stamp, no_price) == stamped


@given(data=st.data(), case=st.sampled_from(FILES["messages"].requests))
@quick
def test_requests_with_any_value_anywhere(data: st.DataObject, case: str) -> None:
    body = json.dumps(mutated(data.draw, FILES["messages"].kept(case, "source")))
    with suppress(RequestError):
        written, _ = MESSAGES.encode_request(MESSAGES.decode_request(body))
        MESSAGES.decode_request(written)
    with suppress(RequestError):
        MESSAGES.peek(body)
        MESSAGES.edit_request(body, model="up", contract=False, ask_usage=True)


@given(data=st.data())
@quick
def test_failures_with_any_value_anywhere(data: st.DataObject) -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "m"}, "request_id": "r"}
    body = json.dumps(mutated(data.draw, error))
    failure = MESSAGES.decode_failure(500, (), body, Stage.BEFORE_HEAD)
    assert MESSAGES.encode_failure(failure)[0] >= 400
