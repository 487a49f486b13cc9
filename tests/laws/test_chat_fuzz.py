"""Whatever a peer sends, the chat dialect answers with a value: no exception, one terminal event.

Serves bad inputs and rows 14, 16, 19 and 41 of the fault matrix: arbitrary JSON built from the
dialect's own words, recorded documents with one member replaced, and bytes that are no JSON.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import Event
from arno.canon.failure import Failure, RequestError, Stage
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch, Stamp
from arno.dialects.chat.restamp import ChatRestamper
from arno.dialects.chat.stream_decode import ChatStreamDecoder
from arno.wire import Frame, encode_sse, json
from tests.laws import recordings
from tests.laws.harness import CHAT, checked, encode, frames_of, no_price
from tests.shared import needs_shared

pytestmark = pytest.mark.slow

T = TypeVar("T")

WORDS = (
    "id choices index delta message content role tool_calls function custom type name arguments "
    "input finish_reason native_finish_reason usage prompt_tokens completion_tokens cost error "
    "code metadata raw reasoning reasoning_content reasoning_details text summary data signature "
    "format annotations images image_url url audio transcript refusal logprobs model created "
    "provider messages tools tool_choice stop stream stream_options include_usage n max_tokens "
    "response_format json_schema schema tool_call_id file file_data thinking cache_control ttl "
    "completion_tokens_details reasoning_tokens total_tokens top_p seed status_code detail"
).split()
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**70, 1.5, "", "stop", "error", "tool_calls", "assistant"),
    *("user", "tool", "function", "custom", "reasoning.text", "image_url", "ephemeral", "{}"),
    *([], {}, [[]], [{}], {"": []}, [None], ["x"], {"x": {"y": [1, {"z": None}]}}, [1] * 3),
)

keys = st.sampled_from(WORDS)
scalars = st.sampled_from(VALUES)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)
junk = scalars | anything
deltas = st.fixed_dictionaries(
    {},
    optional={
        "content": junk,
        "reasoning": junk,
        "reasoning_details": st.lists(junk, max_size=2) | junk,
        "tool_calls": st.lists(junk, max_size=3) | junk,
        "annotations": junk,
        "images": junk,
        "audio": junk,
        "refusal": junk,
    },
)
chunks = st.fixed_dictionaries(
    {
        "choices": st.lists(
            st.fixed_dictionaries(
                {"delta": deltas},
                optional={"finish_reason": scalars, "index": scalars, "logprobs": junk},
            ),
            min_size=1,
            max_size=2,
        )
    },
    optional={"usage": junk, "id": scalars, "provider": scalars},
)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every member and item of a document."""
    inside: Any = ()
    if isinstance(document, dict):
        inside = document.items()
    elif isinstance(document, list):
        inside = enumerate(document)
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def run_stream(
    frames: list[Frame], make: Callable[[], ChatStreamDecoder] = ChatStreamDecoder
) -> list[Event]:
    """Decode as a gateway does: every batch is also restamped and told in the uniform layout."""
    decoder = make()
    batches: list[Batch] = [decoder.feed(frame) for frame in frames]
    batches.append(decoder.close())
    events = checked([event for batch in batches for event in batch.events])
    encode([batch.events for batch in batches], include_usage=False)
    for include_usage in (True, False):
        restamper = ChatRestamper(Stamp(id="gen-1"), no_price, include_usage=include_usage)
        for batch in batches:
            restamper.feed(batch)
    return events


def frame_of(document: Any, event: str | None = None) -> Frame:
    (frame,) = frames_of(encode_sse(json.dumps(document), event))
    return frame


DONE = frames_of(b"data: [DONE]\n\n")


@given(documents=st.lists(chunks, max_size=4), last=st.none() | anything, done=st.booleans())
@settings(max_examples=300)
def test_any_documents_make_a_stream_with_one_end(
    documents: list[Any], last: Any, done: bool
) -> None:
    frames = [frame_of(document) for document in documents]
    frames += [] if last is None else [frame_of(last)]
    run_stream(frames + DONE if done else frames)


@given(body=st.binary(max_size=60), event=st.sampled_from(["", "event: error\n"]))
@settings(max_examples=200)
def test_any_bytes_make_a_stream_with_one_end(body: bytes, event: str) -> None:
    run_stream(frames_of(event.encode() + b"data: " + body + b"\n\n"))


def check_answer(body: bytes) -> None:
    """A whole answer decodes to a value, and what decodes can be told in both forms."""
    answer = CHAT.decode_response(body)
    if isinstance(answer, Failure):
        CHAT.encode_failure(answer)
        return
    assert isinstance(answer, Response)
    json.loads(CHAT.restamp_response(body, answer, Stamp(id="gen-1"), no_price))
    json.dumps(CHAT.encode_response(answer)[0])
    encode([checked(list(unfold(answer)))])


def or_refused(read: Callable[[bytes], T], body: bytes) -> T | None:
    """What `read` makes of the body; None if it says why it cannot."""
    try:
        return read(body)
    except RequestError as error:
        return None if error.message else pytest.fail("refused without a reason")


def check_request(body: bytes) -> None:
    """A request decodes or is refused with a RequestError; what decodes can be encoded."""
    envelope = or_refused(CHAT.peek, body)
    if envelope is not None:
        CHAT.edit_request(body, model=envelope.model + "x", contract=False, ask_usage=True)
    request = or_refused(CHAT.decode_request, body)
    if request is not None:
        json.loads(CHAT.encode_request(request)[0])


def check_failure(body: bytes) -> None:
    """Any body of a bad status is a failure that can be told to a client."""
    for status in (400, 429, 500, 599):
        failure = CHAT.decode_failure(status, (), body, Stage.BEFORE_OUTPUT)
        json.dumps(CHAT.encode_failure(failure)[1])
        CHAT.stream_failure(failure, Stamp())


answers = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"message": deltas | anything}), max_size=2)},
    optional={"usage": anything, "error": anything, "id": anything},
)


@given(document=answers | anything)
@settings(max_examples=200)
def test_any_document_is_an_answer_or_a_failure(document: Any) -> None:
    check_answer(json.dumps(document))
    check_failure(json.dumps(document))


requests = st.fixed_dictionaries(
    {
        "model": st.just("m") | scalars,
        "messages": st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "assistant", "tool", "function", 1])},
                optional={
                    "content": junk,
                    "tool_calls": junk,
                    "name": scalars,
                    "tool_call_id": scalars,
                },
            )
            | anything,
            max_size=3,
        )
        | anything,
    },
)


@given(document=requests | anything)
@settings(max_examples=150)
def test_any_document_is_a_request_or_refused(document: Any) -> None:
    check_request(json.dumps(document))


@given(body=st.binary(max_size=40))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    check_answer(body)
    check_request(body)
    check_failure(body)


@given(
    after=st.one_of(st.text(max_size=12), st.sampled_from(["nan", "inf", "-1", "1e400", "7"])),
    date=st.one_of(st.none(), st.text(max_size=12), st.just("Mon, 01 Jan 2024 00:00:00 GMT")),
)
def test_any_headers_of_a_failure_are_read(after: str, date: str | None) -> None:
    headers = {"retry-after": after} | ({} if date is None else {"date": date})
    failure = CHAT.decode_failure(429, tuple(headers.items()), b"", Stage.BEFORE_HEAD)
    assert failure.retry_after is None or 0 <= failure.retry_after < 1e9


def mutated(document: Any, random: Random) -> Any:
    """A copy of `document` with one member replaced, removed or doubled."""
    copy = json.loads(json.dumps(document))
    *above, last = random.choice(list(places(copy)))
    target: Any = copy
    for key in above:
        target = target[key]
    how = random.randrange(4)
    if how == 0:
        del target[last]
    elif how == 1:
        target[last] = [target[last], target[last]]
    else:
        target[last] = random.choice(VALUES)
    return copy


STRIDE = 2
ROUNDS = 20


@needs_shared
def test_recorded_streams_with_one_member_changed_have_one_end() -> None:
    random = Random("streams")
    count = 0
    for case in recordings.streams()[::STRIDE]:
        frames = frames_of(case.body)
        carrying = [n for n, frame in enumerate(frames) if (frame.data or b"")[:1] == b"{"]
        for _ in range(ROUNDS):
            number = random.choice(carrying)
            changed = mutated(json.loads(frames[number].data or b""), random)
            try:
                run_stream([*frames[:number], frame_of(changed), *frames[number + 1 :]])
            except Exception as error:
                error.add_note(f"in {case.id}, event {number}: {changed}")
                raise
            count += 1
    assert count == len(recordings.streams()[::STRIDE]) * ROUNDS


@needs_shared
@pytest.mark.parametrize(
    ("check", "member"),
    [(check_answer, "body"), (check_failure, "body"), (check_request, "request")],
)
def test_recorded_documents_with_one_member_changed_are_read(
    check: Callable[[bytes], None], member: str
) -> None:
    random = Random(member)
    for case in recordings.answers()[::STRIDE]:
        document = json.loads(case.body) if member == "body" else case.request
        for _ in range(ROUNDS):
            changed = mutated(document, random)
            try:
                check(json.dumps(changed))
            except Exception as error:
                error.add_note(f"in {case.id}: {changed}")
                raise


DETAIL = {
    "type": "reasoning.text",
    "text": "a",
    "signature": "s",
    "format": "f",
    "id": "r",
    "index": 0,
}
CALL = {
    "index": 0,
    "id": "c",
    "type": "function",
    "function": {"name": "f", "arguments": "{}"},
}
BLOCKS = [
    {
        "type": "text",
        "text": "t",
        "annotations": [{"type": "url_citation"}],
        "cache_control": {"type": "ephemeral", "ttl": "5m"},
    },
    {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
    {"type": "video_url", "video_url": {"url": "https://x.test"}},
    {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    {
        "type": "file",
        "file": {"file_data": "data:a/b;base64,AA==", "file_id": "i", "filename": "n"},
    },
]
SIGNED = ("content:1", "images:0")
SPOKEN = {
    "role": "assistant",
    "content": BLOCKS,
    "reasoning": "r",
    "reasoning_details": [
        DETAIL,
        {"type": "reasoning.encrypted", "data": "d"},
        {"type": "reasoning.encrypted", "data": "d", "id": "c"},
        {"type": "reasoning.encrypted", "data": "d", "id": "later"},
        *({"type": "reasoning.encrypted", "data": "d", "id": id_} for id_ in SIGNED),
    ],
    "function_call": {"name": "f", "arguments": "{}"},
    "tool_calls": [CALL, {"id": "d", "type": "custom", "custom": {"name": "g", "input": "x"}}],
    "refusal": "no",
    "annotations": [{"type": "url_citation"}],
    "images": [BLOCKS[2]],
    "audio": {"id": "a", "data": "AA==", "transcript": "t"},
}
USAGE = {
    "prompt_tokens": 3,
    "completion_tokens": 2,
    "total_tokens": 7,
    "cost": 0.5,
    "prompt_tokens_details": {"cached_tokens": 1, "cache_write_1h_tokens": 1, "tool_tokens": 1},
    "service_tier": "flex",
    "server_tools": {"search": 1},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
HEAD = {"id": "x", "model": "m", "provider": "p", "created": 1, "usage": USAGE}
END = {
    "finish_reason": "tool_calls",
    "native_finish_reason": "tool_use",
    "logprobs": {"content": []},
}
FULL_CHUNK = {**HEAD, "choices": [{"index": 0, "delta": SPOKEN, **END}]}
FULL_ANSWER = {**HEAD, "choices": [{"index": 0, "message": SPOKEN, **END}]}
FULL_FAILURE = {
    "error": {
        "code": 400,
        "message": "m",
        "type": "t",
        "status_code": 400,
        "metadata": {"raw": "r"},
    }
}
FULL_REQUEST = {
    "model": "m",
    "messages": [
        {"role": "user", "content": BLOCKS, "name": "n"},
        SPOKEN,
        {"role": "tool", "tool_call_id": "c", "content": "x", "name": "f"},
        {"role": "function", "content": "x", "name": "f"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": {"a": 1}, "strict": True},
        }
    ],
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "auto",
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
    },
    "functions": [{"name": "g", "parameters": {}}],
    "function_call": {"name": "g"},
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
    "service_tier": "flex",
    "store": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
    },
    "reasoning": {"effort": "low", "max_tokens": 5, "exclude": False, "enabled": True},
    "reasoning_effort": "low",
    "stream_options": {"include_usage": True},
    "usage": {"include": True},
    "provider": {"order": ["a"]},
    "models": ["a"],
    "stop": ["a"],
    "stream": True,
    "parallel_tool_calls": True,
    "user": "u",
    "metadata": {"a": "b"},
    "n": 1,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "temperature": 1,
    "top_p": 1,
    "seed": 1,
    "logit_bias": {"1": 1},
    "logprobs": True,
    "top_logprobs": 1,
}
"""Documents with every member the dialect looks into."""


def replaced(document: Any) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Every member of `document` in turn, replaced by every value: (path, value, document)."""
    for path in places(document):
        for value in VALUES:
            copy = json.loads(json.dumps(document))
            target: Any = copy
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = value
            yield path, value, copy


def check_stream(body: bytes) -> None:
    """The document as the only one, behind a good one, and under the name of an error."""
    frame, *_ = frames_of(encode_sse(body))
    run_stream([frame, *DONE])
    run_stream([frame_of(FULL_CHUNK), frame, *DONE])


def check_error_event(body: bytes) -> None:
    """The document as the one of an error event."""
    run_stream(frames_of(encode_sse(body, "error")))


@pytest.mark.parametrize(
    ("check", "document"),
    [
        (check_stream, FULL_CHUNK),
        (check_stream, FULL_FAILURE),
        (check_error_event, FULL_FAILURE),
        (check_answer, FULL_ANSWER),
        (check_failure, FULL_FAILURE),
        (check_request, FULL_REQUEST),
    ],
)
def test_every_member_may_have_any_type(check: Callable[[bytes], None], document: Any) -> None:
    check(json.dumps(document))
    for path, value, changed in replaced(document):
        try:
            check(json.dumps(changed))
        except Exception as error:
            error.add_note(f"with {value!r} at {'/'.join(map(str, path))}")
            raise


class Trusts(ChatStreamDecoder):
    """A decoder with the fault that the fuzz is for: it takes a member's type for granted."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        if isinstance(batch.document, dict):
            sum(choice["index"] for choice in batch.document.get("choices", ()))
        return batch


@needs_shared
def test_the_fuzz_notices_a_decoder_that_trusts_its_input() -> None:
    random = Random("trust")
    frames = frames_of(recordings.seed()[0])
    run_stream(frames, Trusts)
    noticed = 0
    for _ in range(200):
        changed = mutated(json.loads(frames[3].data or b""), random)
        try:
            run_stream([*frames[:3], frame_of(changed), *frames[4:]], Trusts)
        except (TypeError, KeyError, AttributeError):
            noticed += 1
    assert noticed
