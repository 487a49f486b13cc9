"""Events told as chat chunks, byte for byte: the uniform layout, contract sections 4.2 and 4.8."""

from typing import Any

import pytest

from arno.canon.events import (
    ChoiceEnd,
    Event,
    KeepAlive,
    Opaque,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.ext import Loss
from arno.canon.failure import Failure, FailureKind
from arno.canon.fold import fold
from arno.canon.parts import (
    MediaKind,
    MediaPart,
    OpaquePart,
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
from arno.wire import encode_sse, json
from tests.dialects.chat.building import documents_of
from tests.laws.harness import CHAT, checked, decode, encode, no_price

STAMP = Stamp(id="gen-1", model="m/x", provider="Host", created=7)
START = ResponseStart(id="up", model="up/m")
HEAD = '{"id":"gen-1","object":"chat.completion.chunk","created":7,"model":"m/x","provider":"Host"'


def said(*events: Event, include_usage: bool = True) -> str:
    """What the encoder writes for `events`, as text."""
    encoder = CHAT.stream_encoder(STAMP, no_price, include_usage=include_usage)
    return encoder.feed(list(events)).decode()


def chunk(delta: str, finish: str = "null", native: str = "null", choice: int = 0) -> str:
    """One frame as it must be written."""
    return (
        f'data: {HEAD},"choices":[{{"index":{choice},"delta":{{{delta}}},'
        f'"finish_reason":{finish},"native_finish_reason":{native}}}]}}\n\n'
    )


TEXT = PartStart(0, TextPart())
CALL = PartStart(0, ToolCallPart(call_id="weather:0", name="weather"))
IN_IMAGES, IN_AUDIO = ({"chat": {"@member": name}} for name in ("images", "audio"))
CASES: dict[str, tuple[tuple[Event, ...], str]] = {
    "nothing to say": ((START, TEXT, PartEnd(0)), ""),
    "text": (
        (START, TEXT, PartDelta(0, Slot.TEXT, "héllo\n")),
        chunk('"role":"assistant","content":"héllo\\n"'),
    ),
    "refusal": (
        (START, PartStart(0, RefusalPart()), PartDelta(0, Slot.TEXT, "no")),
        chunk('"role":"assistant","content":"","refusal":"no"'),
    ),
    "a call opens": (
        (START, CALL),
        chunk(
            '"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"weather:0",'
            '"type":"function","function":{"name":"weather","arguments":""}}]'
        ),
    ),
    "a custom call opens": (
        (START, PartStart(0, ToolCallPart(call_id="a", name="sh", kind="custom"))),
        chunk(
            '"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a",'
            '"type":"custom","custom":{"name":"sh","input":""}}]'
        ),
    ),
    "reasoning": (
        (START, PartStart(0, ReasoningPart(format="f-v1")), PartDelta(0, Slot.TEXT, "why")),
        chunk(
            '"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.text",'
            '"text":"why","format":"f-v1","index":0}],"reasoning":"why"'
        ),
    ),
    "reasoning the part began with": (
        (START, PartStart(0, ReasoningPart(text="why", format="f"))),
        chunk(
            '"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.text",'
            '"text":"why","format":"f","index":0}],"reasoning":"why"'
        ),
    ),
    "an artefact the part began with": (
        (
            START,
            PartStart(0, ReasoningPart(sealed="x", form=ReasoningForm.SEALED, format="f")),
        ),
        chunk(
            '"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.encrypted",'
            '"data":"x","format":"f","index":0}]'
        ),
    ),
    "a signature the part began with": (
        (START, PartStart(0, ReasoningPart(signature="s", format="f"))),
        chunk(
            '"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.text",'
            '"signature":"s","format":"f","index":0}]'
        ),
    ),
    "a signature": (
        (START, PartStart(0, ReasoningPart(format="f")), PartDelta(0, Slot.SIGNATURE, "c2ln")),
        chunk(
            '"role":"assistant","content":"","reasoning_details":[{"type":"reasoning.text",'
            '"signature":"c2ln","format":"f","index":0}]'
        ),
    ),
    "an annotation": (
        (START, TEXT, PartDelta(0, Slot.ANNOTATION, {"type": "url_citation"})),
        chunk('"role":"assistant","content":"","annotations":[{"type":"url_citation"}]'),
    ),
    "annotations the text began with": (
        (
            START,
            PartStart(0, TextPart(annotations=({"type": "@chat", "@chat": {"type": "file"}},))),
        ),
        chunk('"role":"assistant","content":"","annotations":[{"type":"file"}]'),
    ),
    "an image": (
        (START, PartStart(0, MediaPart(kind=MediaKind.IMAGE, url="https://x.test/a.png"))),
        chunk(
            '"role":"assistant","content":"","images":[{"type":"image_url",'
            '"image_url":{"url":"https://x.test/a.png"}}]'
        ),
    ),
    "audio": (
        (START, PartStart(0, MediaPart(kind=MediaKind.AUDIO)), PartDelta(0, Slot.MEDIA, "AA==")),
        chunk('"role":"assistant","content":null,"audio":{}')
        + chunk('"content":null,"audio":{"data":"AA=="}'),
    ),
    "a comment": ((START, KeepAlive("ping")), ": ARNO PROCESSING\n"),
    "a document of its own": (
        (START, Opaque("chat", {"x": 1})),
        'data: {"x":1}\n\n',
    ),
    "a document of another dialect": ((START, Opaque("gemini", {"x": 1})), ""),
    "an unknown block": (
        (START, PartStart(0, OpaquePart(dialect="chat", document={"type": "new"}))),
        chunk('"role":"assistant","content":[{"type":"new"}]'),
    ),
    "an unknown image": (
        (START, PartStart(0, OpaquePart(dialect="chat", document={"x": 1}, ext=IN_IMAGES))),
        chunk('"role":"assistant","content":"","images":[{"x":1}]'),
    ),
    "audio of another shape": (
        (START, PartStart(0, OpaquePart(dialect="chat", document="x", ext=IN_AUDIO))),
        chunk('"role":"assistant","content":"","audio":"x"'),
    ),
    "a part of another dialect": (
        (START, PartStart(0, OpaquePart(dialect="gemini", document={}))),
        "",
    ),
    "a signature the wire has no place for": (
        (START, TEXT, PartDelta(0, Slot.SIGNATURE, "c2ln")),
        "",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_events_as_text(case: str) -> None:
    events, text = CASES[case]
    assert said(*events) == text


def test_a_signature_on_a_call_never_reaches_its_arguments() -> None:
    opened = said(START, CALL)
    assert said(START, CALL, PartDelta(0, Slot.SIGNATURE, "c2ln")) == opened


def test_calls_count_from_zero_in_each_choice() -> None:
    events: list[Event] = [
        START,
        TEXT,
        PartDelta(0, Slot.TEXT, "a"),
        PartStart(4, ToolCallPart(call_id="a", name="f")),
        PartStart(5, ToolCallPart(call_id="b", name="g"), 1),
        PartStart(9, ToolCallPart(call_id="c", name="h")),
        PartDelta(4, Slot.ARGUMENTS, "{}"),
        PartDelta(5, Slot.ARGUMENTS, "{}"),
    ]
    choices = [document["choices"][0] for document in documents_of(said(*events).encode())[1:]]
    places = [(c["index"], c["delta"]["tool_calls"][0]["index"]) for c in choices]
    assert places == [(0, 0), (1, 0), (0, 1), (0, 0), (1, 0)]
    assert [sorted(c["delta"]["tool_calls"][0]) for c in choices[3:]] == [["function", "index"]] * 2


END = ChoiceEnd(0, FinishReason.TOOL_CALLS, "STOP")
FINISH = chunk('"role":"assistant","content":""', '"tool_calls"', '"STOP"')
USAGE_TEXT = '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
DONE = "data: [DONE]\n\n"


def test_the_end_with_usage_asked_for() -> None:
    events = (START, END, UsageUpdate(Usage(input=3, output=2)), ResponseEnd())
    assert said(*events) == FINISH + f'data: {HEAD},"choices":[],{USAGE_TEXT}}}\n\n' + DONE


def test_the_end_with_usage_not_asked_for() -> None:
    events = (START, END, UsageUpdate(Usage(input=3, output=2)), ResponseEnd())
    merged = FINISH.replace("}]}\n\n", f"}}],{USAGE_TEXT}}}\n\n")
    assert said(*events, include_usage=False) == merged + DONE


@pytest.mark.parametrize("include_usage", [True, False])
def test_the_end_without_usage(include_usage: bool) -> None:
    assert said(START, END, ResponseEnd(), include_usage=include_usage) == FINISH + DONE


def test_only_the_last_usage_is_told() -> None:
    first, last = UsageUpdate(Usage(input=1)), UsageUpdate(Usage(input=3))
    documents = documents_of(said(START, first, END, last, ResponseEnd()).encode())
    assert [document.get("usage") for document in documents] == [None, {"prompt_tokens": 3}]


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_choice_ends_once_and_the_first_reason_counts(include_usage: bool) -> None:
    again = ChoiceEnd(0, FinishReason.STOP, "stop")
    text = said(START, END, again, ResponseEnd(), include_usage=include_usage)
    assert text == FINISH + DONE


def test_a_finish_waits_for_usage_that_was_not_asked_for() -> None:
    encoder = CHAT.stream_encoder(STAMP, no_price, include_usage=False)
    assert encoder.feed([START, END]) == b""
    assert encoder.feed([UsageUpdate(Usage(input=3))]) == b""
    assert encoder.feed([ResponseEnd()]) != b""


def test_a_failure_behind_a_waiting_finish_is_the_only_end() -> None:
    failure = Failure(FailureKind.TRUNCATED, "cut", retryable=True)
    events = checked([START, TEXT, PartEnd(0), END, StreamError(failure)])
    (document,) = documents_of(said(*events, include_usage=False).encode())
    assert document["error"]["code"] == 502
    assert document["choices"][0]["finish_reason"] == "error"


def test_a_failure_as_text() -> None:
    failure = Failure(FailureKind.OVERLOADED, "busy", status=529, code="529")
    assert said(START, StreamError(failure)) == (
        f'data: {HEAD},"error":{{"code":503,"message":"busy","metadata":'
        '{"error_type":"provider_overloaded","reason":"provider_overloaded",'
        '"provider_name":"Host","provider_code":"529"}},"choices":[{"index":0,'
        '"delta":{"content":""},"finish_reason":"error","native_finish_reason":null}]}\n\n'
    )


@pytest.mark.parametrize("include_usage", [True, False])
def test_an_answer_that_never_said_why_it_ended_is_no_good_stream(include_usage: bool) -> None:
    """R5: no invented stop; a waiting finish of another choice is not said either."""
    other = PartStart(1, TextPart(), 1)
    pieces: list[Event] = [TEXT, PartDelta(0, Slot.TEXT, "a"), PartEnd(0), other, PartEnd(1), END]
    documents = documents_of(
        said(START, *pieces, ResponseEnd(), include_usage=include_usage).encode()
    )
    assert documents[0]["choices"][0]["delta"]["content"] == "a"
    assert documents[-1]["error"]["metadata"]["reason"] == "invalid_answer"
    assert documents[-1]["choices"][0]["finish_reason"] == "error"
    assert len(documents) == (3 if include_usage else 2)
    assert DONE not in said(START, *pieces, ResponseEnd(), include_usage=include_usage)


@pytest.mark.parametrize("word", ["language", "recitation", None])
def test_an_end_without_a_word_of_the_contract_is_a_stop_with_its_own_word(
    word: str | None,
) -> None:
    end = ChoiceEnd(0, FinishReason.OTHER, word)
    (document,) = documents_of(said(START, end, ResponseEnd()).encode())
    choice = document["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", word)


def test_logprobs_stand_beside_the_delta() -> None:
    value: dict[str, Any] = {"content": [{"token": "a"}]}
    (document,) = documents_of(said(START, TEXT, PartDelta(0, Slot.LOGPROBS, value)).encode())
    assert document["choices"][0]["logprobs"] == value
    assert document["choices"][0]["delta"] == {"content": "", "role": "assistant"}


@pytest.mark.parametrize(
    ("start", "stamp", "expected"),
    [
        (ResponseStart(id="up", model="u"), Stamp(), ("up", "u", None)),
        (ResponseStart(id="up", model="u"), Stamp(id="gen", model="m"), ("gen", "m", None)),
        (ResponseStart(served_by="DeepInfra"), Stamp(provider="Host"), (None, None, "DeepInfra")),
        (ResponseStart(), Stamp(provider="Host"), (None, None, "Host")),
    ],
)
def test_the_stamp_wins_but_for_who_served(
    start: ResponseStart, stamp: Stamp, expected: tuple[str | None, ...]
) -> None:
    encoder = CHAT.stream_encoder(stamp, no_price, include_usage=True)
    (document,) = documents_of(encoder.feed([start, TEXT, PartDelta(0, Slot.TEXT, "a")]))
    assert tuple(document.get(name) for name in ("id", "model", "provider")) == expected


def test_heartbeat_and_end_mark() -> None:
    assert CHAT.heartbeat() == b": ARNO PROCESSING\n"
    assert CHAT.stream_done() == DONE.encode()


LOGPROBS: dict[str, Any] = {"content": [{"token": "a"}], "refusal": None}


def test_logprobs_of_a_whole_answer_are_told_with_the_finish() -> None:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "a"},
        "logprobs": LOGPROBS,
        "finish_reason": "stop",
    }
    answer = CHAT.decode_response(json.dumps({"id": "x", "choices": [choice]}))
    assert isinstance(answer, Response)
    documents = documents_of(said(*unfold(answer)).encode())
    assert [d["choices"][0].get("logprobs") for d in documents] == [None, LOGPROBS]
    body = b"".join(encode_sse(json.dumps(document)) for document in documents)
    assert fold(decode(body)).logprobs == {0: [LOGPROBS]}


def test_members_that_each_chunk_repeats() -> None:
    start = ResponseStart(id="up", ext={"chat": {"system_fingerprint": "fp", "odd": 1}})
    (document,) = documents_of(said(start, TEXT, PartDelta(0, Slot.TEXT, "a")).encode())
    assert document["system_fingerprint"] == "fp"
    assert "odd" not in document


def test_losses_of_the_request_and_of_the_answer_stand_in_the_usage() -> None:
    stamp = Stamp(losses=(Loss("/stop", "dropped", "no place"),))
    encoder = CHAT.stream_encoder(stamp, no_price, include_usage=True)
    film = PartStart(1, MediaPart(kind=MediaKind.VIDEO, url="u"))
    text: list[Event] = [TEXT, PartDelta(0, Slot.TEXT, "a"), PartEnd(0)]
    end: list[Event] = [film, PartEnd(1), END, UsageUpdate(Usage(input=1)), ResponseEnd()]
    *_, usage = documents_of(encoder.feed([START, *text, *end]))
    assert [loss["path"] for loss in usage["usage"]["losses"]] == ["/stop", "/choices/0/parts/1"]


def test_an_answer_that_says_nothing_at_all_is_no_good_stream() -> None:
    (document,) = documents_of(said(START, ResponseEnd()).encode())
    assert document["error"]["metadata"]["reason"] == "invalid_answer"


def test_the_role_is_said_once_a_choice() -> None:
    """The official SDK joins the words of a role as it joins those of a text."""
    parts = (ReasoningPart(text="hm"), TextPart(text="a"), ToolCallPart(call_id="c", name="f"))
    choices = tuple(Choice(n, parts, FinishReason.TOOL_CALLS) for n in range(2))
    body = encode([list(unfold(Response(choices=choices)))])
    assert body.count(b'"role"') == 2
    for number in range(2):
        first = body.find(b'"index":%d,"delta":' % number)
        assert body[first:].startswith(b'"index":%d,"delta":{"role":"assistant",' % number)
