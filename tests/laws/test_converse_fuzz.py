"""Whatever a peer sends, the converse dialect answers with a value: no exception, one end.

Serves bad inputs and rows 14, 16, 19 and 41 of the fault matrix: arbitrary JSON built from the
dialect's own words, full documents with one member replaced, and bytes that are no JSON.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.failure import Failure, RequestError, Stage
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch, RequestLine, Stamp
from arno.dialects.converse.messages import EVENTS
from arno.dialects.converse.stream_decode import ConverseStreamDecoder
from arno.wire import Frame, encode_message, json
from tests.laws.converse_harness import CONVERSE, MakeDecoder, batches_of, encode, frames_of
from tests.laws.harness import checked, no_price
from tests.laws.test_chat_fuzz import VALUES, replaced

pytestmark = pytest.mark.slow

LINE = RequestLine(model="m")

WORDS = (
    "messages system role content text image document video audio format source bytes s3Location "
    "uri name toolUse toolUseId input type toolResult status json cachePoint ttl reasoningContent "
    "reasoningText signature redactedContent form guardContent qualifiers citationsContent "
    "citations citation location web url sourceContent title toolConfig tools toolSpec inputSchema "
    "strict description toolChoice auto any tool inferenceConfig maxTokens temperature topP "
    "stopSequences outputConfig textFormat structure jsonSchema schema effort thinking "
    "additionalModelRequestFields budget_tokens requestMetadata serviceTier output message "
    "stopReason usage inputTokens outputTokens cacheReadInputTokens cacheWriteInputTokens "
    "cacheDetails serverToolUsage metrics latencyMs contentBlockIndex delta start p cost "
    "originalStatusCode __type"
).split()
scalars = st.sampled_from(VALUES) | st.sampled_from(["end_turn", "tool_use", "default", "YQ=="])
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4)
    ),
    max_leaves=20,
)
numbers = st.integers(0, 2) | scalars
pieces = st.fixed_dictionaries(
    {},
    optional={
        word: scalars | anything
        for word in ("text", "toolUse", "toolResult", "reasoningContent", "citation", "image")
    },
)
starts = st.fixed_dictionaries(
    {},
    optional={
        "toolUse": st.just({"toolUseId": "t", "name": "f"}) | anything,
        "toolResult": st.just({"toolUseId": "t"}) | anything,
        "image": anything,
    },
)
EVENT_DOCUMENTS = {
    "contentBlockStart": st.fixed_dictionaries({"contentBlockIndex": numbers, "start": starts}),
    "contentBlockDelta": st.fixed_dictionaries({"contentBlockIndex": numbers, "delta": pieces}),
    "contentBlockStop": st.fixed_dictionaries({"contentBlockIndex": numbers}),
    "messageStop": st.fixed_dictionaries({"stopReason": scalars}),
}


def frame_of(name: str, data: bytes) -> Frame:
    kind = "exception" if name[:1] == "!" else "event"
    headers = {f":{kind}-type": name.removeprefix("!"), ":message-type": kind}
    (frame,) = frames_of(encode_message(headers, data))
    return frame


@st.composite
def events(draw: st.DrawFn) -> Frame:
    """One message of any of the dialect's types."""
    name = draw(st.sampled_from([*EVENTS, "!throttlingException", "ping", "new", ""]))
    document = draw(EVENT_DOCUMENTS.get(name, anything) | anything)
    return frame_of(name, json.dumps(document))


def run_stream(frames: list[Frame], make: MakeDecoder = CONVERSE.stream_decoder) -> None:
    """Decode as a gateway does: every batch is also restamped and told anew."""
    batches: list[Batch] = batches_of(frames, make)
    checked([event for batch in batches for event in batch.events])
    encode([batch.events for batch in batches])
    restamper = CONVERSE.stream_restamper(Stamp(id="gen-1"), no_price, include_usage=True)
    for batch in batches:
        frames_of(restamper.feed(batch))


@given(frames=st.lists(events(), max_size=6))
@settings(max_examples=60)
def test_any_documents_make_a_stream_with_one_end(frames: list[Frame]) -> None:
    run_stream(frames)


@given(data=st.binary(max_size=40), name=st.sampled_from([*EVENTS, "!x"]))
@settings(max_examples=60)
def test_any_bytes_make_a_stream_with_one_end(data: bytes, name: str) -> None:
    run_stream([frame_of(name, data)])


def check_answer(body: bytes) -> None:
    """A whole answer decodes to a value, and what decodes can be told in both forms."""
    answer = CONVERSE.decode_response(body)
    if isinstance(answer, Failure):
        CONVERSE.encode_failure(answer)
        return
    assert isinstance(answer, Response)
    json.loads(CONVERSE.restamp_response(body, answer, Stamp(id="gen-1"), no_price))
    json.dumps(CONVERSE.encode_response(answer)[0])
    frames_of(encode([checked(list(unfold(answer)))]))


T = TypeVar("T")


def or_refused(read: Callable[[bytes], T], body: bytes) -> T | None:
    """What `read` makes of the body; None if it says why it cannot."""
    try:
        return read(body)
    except RequestError as error:
        return None if error.message else pytest.fail("refused without a reason")


def check_request(body: bytes) -> None:
    """A request decodes or is refused with a RequestError; what decodes can be encoded."""
    if or_refused(lambda body: CONVERSE.peek(body, LINE), body) is not None:
        CONVERSE.edit_request(body, model="x", contract=False, ask_usage=True)
    request = or_refused(lambda body: CONVERSE.decode_request(body, LINE), body)
    if request is not None:
        json.loads(CONVERSE.encode_request(request)[0])


def check_failure(body: bytes) -> None:
    """Any body of a bad status is a failure that can be told to a client."""
    for status in (400, 403, 424, 429, 599):
        failure = CONVERSE.decode_failure(status, (), body, Stage.BEFORE_OUTPUT)
        json.dumps(CONVERSE.encode_failure(failure)[1])
        frames_of(CONVERSE.stream_failure(failure, Stamp()))


blocks = st.lists(pieces | anything, max_size=3)
turns = st.fixed_dictionaries({"role": st.just("user") | scalars, "content": blocks | anything})
answers = st.fixed_dictionaries(
    {"output": st.fixed_dictionaries({"message": turns | anything})},
    optional={"stopReason": scalars, "usage": anything, "serviceTier": anything},
)
requests = st.fixed_dictionaries(
    {"messages": st.lists(turns | anything, min_size=1, max_size=3)},
    optional={"system": blocks, "toolConfig": anything, "outputConfig": anything},
)


@given(document=answers | requests | anything)
@settings(max_examples=60)
def test_any_document_is_a_value_or_refused(document: Any) -> None:
    for check in (check_answer, check_request, check_failure):
        check(json.dumps(document))


MEDIA = {"format": "png", "name": "n", "source": {"bytes": "YQ=="}}
WEB = {"title": "t", "sourceContent": [{"text": "c"}], "location": {"web": {"url": "u"}}}
CONTENT = [
    {"text": "t"},
    {"image": MEDIA},
    {"document": MEDIA},
    {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/k", "bucketOwner": "1"}}}},
    {"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}, "type": "tool_use"}},
    {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}], "status": "error"}},
    {"toolResult": {"toolUseId": "t", "content": [{"text": "t"}, {"json": 1}, {"image": MEDIA}]}},
    {"cachePoint": {"type": "default", "ttl": "5m"}},
    {"reasoningContent": {"reasoningText": {"text": "t", "signature": "s", "form": "summary"}}},
    {"reasoningContent": {"redactedContent": "YQ=="}},
    {"guardContent": {"text": {"text": "t", "qualifiers": ["query"]}}},
    {"citationsContent": {"content": [{"text": "t"}], "citations": [WEB]}},
]
FULL_REQUEST = {
    "messages": [{"role": "user", "content": CONTENT}, {"role": "assistant", "content": CONTENT}],
    "system": [{"text": "s"}, {"cachePoint": {"type": "default"}}],
    "inferenceConfig": {"maxTokens": 9, "temperature": 1, "topP": 1, "stopSequences": ["a"]},
    "toolConfig": {
        "tools": [
            {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "a"}}}},
            {"cachePoint": {"type": "default"}},
            {"systemTool": {"name": "g"}},
        ],
        "toolChoice": {"tool": {"name": "f"}},
    },
    "outputConfig": {
        "textFormat": {
            "type": "json_schema",
            "structure": {"jsonSchema": {"schema": "{}", "name": "n"}},
        },
        "effort": "low",
    },
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 9}},
    "requestMetadata": {"a": "b"},
    "serviceTier": {"type": "flex"},
    "provider": {"order": ["a"]},
    "models": ["a"],
    "session_id": "s",
}
USAGE = {
    "inputTokens": 3,
    "outputTokens": 2,
    "cacheReadInputTokens": 1,
    "cacheWriteInputTokens": 1,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 1}],
    "serverToolUsage": {"a": 1},
    "cost": 0.5,
}
FULL_ANSWER = {
    "output": {"message": {"role": "assistant", "content": CONTENT}},
    "stopReason": "tool_use",
    "usage": USAGE,
    "serviceTier": {"type": "flex"},
    "id": "i",
    "created": 1,
}
FULL_FAILURE = {"message": "m", "__type": "t", "originalStatusCode": 429}
STREAM: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant", "id": "i", "provider": "p", "created": 1}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "t", "citation": WEB}}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    (
        "contentBlockDelta",
        {
            "contentBlockIndex": 2,
            "delta": {"reasoningContent": {"text": "t", "signature": "s"}},
            "form": "summary",
        },
    ),
    (
        "contentBlockStart",
        {"contentBlockIndex": 3, "start": {"toolResult": {"toolUseId": "t", "status": "error"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"toolResult": [{"text": "t"}]}}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "serviceTier": {"type": "flex"}}),
]


@pytest.mark.parametrize(
    ("check", "document"),
    [(check_answer, FULL_ANSWER), (check_failure, FULL_FAILURE), (check_request, FULL_REQUEST)],
)
def test_every_member_may_have_any_type(check: Callable[[bytes], None], document: Any) -> None:
    check(json.dumps(document))
    for path, value, changed in replaced(document):
        try:
            check(json.dumps(changed))
        except Exception as error:
            error.add_note(f"with {value!r} at {'/'.join(map(str, path))}")
            raise


def stream_with(place: int, document: Any) -> list[Frame]:
    told = [*STREAM[:place], (STREAM[place][0], document), *STREAM[place + 1 :]]
    return [frame_of(name, json.dumps(one)) for name, one in told]


@pytest.mark.parametrize("place", range(len(STREAM)))
def test_every_member_of_a_stream_may_have_any_type(place: int) -> None:
    run_stream(stream_with(place, STREAM[place][1]))
    for path, value, changed in replaced(STREAM[place][1]):
        try:
            run_stream(stream_with(place, changed))
        except Exception as error:
            error.add_note(f"with {value!r} at {'/'.join(map(str, path))}")
            raise


class Trusts(ConverseStreamDecoder):
    """A decoder with the fault that the fuzz is for: it takes a member's type for granted."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        if isinstance(batch.document, dict):
            batch.document.get("contentBlockIndex", 0) + 1
        return batch


def test_the_fuzz_notices_a_decoder_that_trusts_its_input() -> None:
    run_stream(stream_with(4, STREAM[4][1]), Trusts)
    noticed = 0
    for _, _, changed in replaced(STREAM[4][1]):
        try:
            run_stream(stream_with(4, changed), Trusts)
        except TypeError:
            noticed += 1
    assert noticed
