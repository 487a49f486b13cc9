"""What we write, read by the vendor's own SDK: its parsers and its description of the service."""

from typing import Any

import pytest
from botocore.exceptions import EventStreamError
from hypothesis import given, settings

from arno.canon.events import KeepAlive, ResponseStart, StreamError
from arno.canon.failure import Failure, FailureKind
from arno.canon.request import Request
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.converse.building import (
    METADATA,
    START,
    begin,
    complaints,
    delta,
    end,
    sdk_answer,
    sdk_events,
    stop,
)
from tests.laws import converse_recordings as recordings
from tests.laws.converse_harness import CONVERSE, batches_of, encode, frames_of
from tests.laws.converse_values import requests, responses
from tests.shared import needs_shared

few = settings(max_examples=50)

HARMLESS = ("Invalid length for parameter", "Invalid value for parameter inferenceConfig.")
"""Generated names and numbers may be longer or larger than the service takes."""


@given(request=requests())
@few
def test_the_sdk_would_send_every_request(request: Request) -> None:
    found = complaints(json.loads(CONVERSE.encode_request(request)[0]))
    assert [line for line in found.splitlines() if not line.startswith(HARMLESS)] == []


def test_the_sdk_notices_a_member_it_does_not_know() -> None:
    """The control of the test above."""
    good = {"messages": [{"role": "user", "content": [{"text": "a"}]}]}
    assert complaints(good) == ""
    assert "Unknown parameter" in complaints({**good, "stream": True})
    assert "Missing required" in complaints({"messages": [{"role": "user"}]})


def text_of(blocks: list[Any]) -> str:
    return "".join(block.get("text", "") for block in blocks)


@given(answer=responses())
@few
def test_the_sdk_reads_every_answer(answer: Response) -> None:
    document: Any = json.loads(json.dumps(CONVERSE.encode_response(answer)[0]))
    read = sdk_answer(document)
    assert read["stopReason"] == document["stopReason"]
    content = read["output"]["message"]["content"]
    assert [list(block) for block in content] == [
        list(block) for block in document["output"]["message"]["content"]
    ]
    calls = [block["toolUse"] for block in content if "toolUse" in block]
    wanted = [b["toolUse"] for b in document["output"]["message"]["content"] if "toolUse" in b]
    assert [(call["toolUseId"], call["name"]) for call in calls] == [
        (call["toolUseId"], call["name"]) for call in wanted
    ]


@given(answer=responses())
@few
def test_the_sdk_reads_every_stream(answer: Response) -> None:
    body = encode([list(unfold(answer))])
    events = sdk_events(body)
    assert list(events[0]) == ["messageStart"]
    assert sum("messageStop" in event for event in events) == 1
    streamed = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
    document: Any = json.loads(json.dumps(CONVERSE.encode_response(answer)[0]))
    whole = document["output"]["message"]["content"]
    cited = [b["citationsContent"]["content"][0] for b in whole if "citationsContent" in b]
    assert sorted(text_of(streamed)) == sorted(text_of(whole) + text_of(cited))


KINDS = {
    FailureKind.RATE_LIMIT: "throttlingException",
    FailureKind.INVALID_REQUEST: "validationException",
    FailureKind.TRUNCATED: "modelStreamErrorException",
    FailureKind.SERVER: "internalServerException",
    FailureKind.OVERLOADED: "serviceUnavailableException",
    FailureKind.TIMEOUT: "serviceUnavailableException",
    FailureKind.NOT_FOUND: "validationException",
}


@pytest.mark.parametrize(("kind", "name"), KINDS.items())
def test_the_sdk_raises_our_failures(kind: FailureKind, name: str) -> None:
    body = encode([[ResponseStart(), StreamError(Failure(kind, "it went wrong"))]])
    assert body.endswith(CONVERSE.stream_failure(Failure(kind, "it went wrong"), Stamp()))
    with pytest.raises(EventStreamError) as caught:
        sdk_events(body)
    assert caught.value.response["Error"]["Code"] == name
    assert "it went wrong" in str(caught.value)


def test_the_sdk_passes_over_a_heartbeat() -> None:
    beat = CONVERSE.heartbeat()
    stream = START + delta(text="a") + end() + stop() + METADATA
    with_beats = beat + START + beat + delta(text="a") + beat + end() + stop() + beat + METADATA
    assert sdk_events(with_beats) == sdk_events(stream)
    assert len(sdk_events(stream)) == 5
    assert encode([[KeepAlive()]]) == beat


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("kind", FailureKind)
def test_the_sdk_reads_the_name_of_a_failure(kind: FailureKind, status: int) -> None:
    _, document = CONVERSE.encode_failure(Failure(kind, "no"))
    read = sdk_answer(document, status)
    assert read["Error"]["Message"] == "no"
    assert read["Error"]["Code"] == document["__type"]


def test_the_sdk_reads_a_refusal_of_the_gateway() -> None:
    read = sdk_answer(CONVERSE.encode_refusal(401, "no key", "missing_key"), 401)
    assert read["Error"] == {"Code": "UnrecognizedClientException", "Message": "no key"}


def read_again(body: bytes) -> bytes:
    """A stream told anew from what it means."""
    return encode([batch.events for batch in batches_of(frames_of(body))])


STREAMS = {
    "text": START + delta(text="a") + delta(text="b") + end() + stop() + METADATA,
    "redacted": START + delta(reasoningContent={"redactedContent": "YWJj"}) + end() + stop(),
    "signed": START
    + delta(reasoningContent={"text": "t"})
    + delta(reasoningContent={"signature": "s"})
    + end()
    + stop(),
    "call": START
    + begin(toolUse={"toolUseId": "t", "name": "f"})
    + delta(toolUse={"input": '{"a"'})
    + delta(toolUse={"input": ":1}"})
    + end()
    + stop("tool_use"),
    "run by the provider": START
    + begin(toolUse={"toolUseId": "t", "name": "f", "type": "server_tool_use"})
    + delta(toolUse={"input": "{}"})
    + end()
    + begin(1, toolResult={"toolUseId": "t", "type": "f", "status": "success"})
    + delta(1, toolResult=[{"text": "found"}])
    + end(1)
    + delta(2, citation={"title": "T", "location": {"web": {"url": "https://x.test"}}})
    + delta(2, text="so")
    + end(2)
    + stop(),
    "image": START
    + begin(image={"format": "png"})
    + delta(image={"source": {"bytes": "YWJj"}})
    + end()
    + stop(),
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_the_sdk_reads_a_stream_told_by_us_as_it_reads_the_services(body: bytes) -> None:
    assert sdk_events(body)
    assert sdk_events(read_again(body)) == sdk_events(body)


@needs_shared
def test_the_sdk_reads_recorded_streams_told_by_us_as_it_reads_the_recordings() -> None:
    count = 0
    for case in recordings.streams():
        assert sdk_events(read_again(case.body)) == sdk_events(case.body), case.id
        count += 1
    assert count == 6


@needs_shared
def test_the_sdk_reads_recorded_answers_told_by_us_as_it_reads_the_recordings() -> None:
    count = 0
    for case in recordings.answers():
        answer = CONVERSE.decode_response(case.body)
        assert isinstance(answer, Response)
        ours = sdk_answer(json.loads(json.dumps(CONVERSE.encode_response(answer)[0])))
        assert ours == sdk_answer(json.loads(case.body)), case.id
        count += 1
    assert count == 56
