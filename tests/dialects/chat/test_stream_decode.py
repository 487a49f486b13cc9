"""Streams of the chat dialect: terminal evidence, the cut rule, and what each member means.

Serves the cut rule (architecture, section 3), R5 and rows 5 to 8 and 19 of the fault matrix.
"""

from typing import Any

import pytest

from arno.canon.events import (
    ChoiceEnd,
    KeepAlive,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import (
    MediaKind,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
)
from arno.canon.response import FinishReason, Response
from arno.wire import encode_sse, json
from tests.dialects.chat.building import Document, delta, entry, piece, stream
from tests.laws.harness import CHAT, RESET, bare, checked, decode, failed, folded, frames_of

TEXT, STOP = delta(content="a"), delta("stop")
LATER = delta(index=1, content="b")
CALL = piece(entry("{}", index=0, id="a", name="f"))

ENDS: dict[str, tuple[list[Document], bool, bool, bool]] = {
    "nothing": ([], False, True, True),
    "nothing but the mark": ([], True, True, True),
    "a role alone": ([delta(role="assistant")], True, True, False),
    "text, then the end": ([TEXT], False, True, True),
    "text, then the mark": ([TEXT], True, True, False),
    "a call, then the end": ([CALL], False, True, True),
    "a call, then the mark": ([CALL], True, True, False),
    "a finish, then the end": ([TEXT, STOP], False, False, False),
    "a finish, then the mark": ([TEXT, STOP], True, False, False),
    "a finish alone": ([STOP], False, False, False),
    "an empty finish": ([TEXT, delta("")], False, True, True),
    "one finish for two choices": ([TEXT, LATER, STOP], False, True, True),
    "one finish for two choices, then the mark": ([TEXT, LATER, STOP], True, True, False),
    "both finishes": ([TEXT, LATER, STOP, delta("length", index=1)], False, False, False),
}
"""Chunks, and whether `[DONE]` follows; then: a failure? also where a finish is optional?"""


@pytest.mark.parametrize("case", ENDS)
def test_the_cut_rule(case: str) -> None:
    chunks, done, fails, fails_without_finish = ENDS[case]
    body = stream(*chunks, done=done)
    assert failed(decode(body)) is fails
    optional = decode(body, lambda: CHAT.stream_decoder(finish_optional=True))
    assert failed(optional) is fails_without_finish


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    ("chunks", "stage"),
    [
        ([], Stage.BEFORE_OUTPUT),
        ([delta(role="assistant", content="")], Stage.BEFORE_OUTPUT),
        ([TEXT], Stage.MID_STREAM),
        ([CALL], Stage.MID_STREAM),
    ],
)
def test_a_cut_tells_whether_output_was_seen(
    chunks: list[Document], stage: Stage, done: bool
) -> None:
    last = decode(stream(*chunks, done=done))[-1]
    assert isinstance(last, StreamError)
    assert (last.failure.kind, last.failure.stage) == (FailureKind.TRUNCATED, stage)
    assert last.failure.retryable


def test_the_events_of_a_small_stream() -> None:
    usage = {"prompt_tokens": 1}
    events = decode(
        b": OPENROUTER PROCESSING\n\n"
        + stream(delta(role="assistant", content=""), TEXT, STOP, {"choices": [], "usage": usage})
    )
    assert [type(event) for event in events] == [
        *(KeepAlive, ResponseStart, PartStart, PartDelta, PartEnd, ChoiceEnd),
        *(UsageUpdate, ResponseEnd),
    ]
    assert events[0] == KeepAlive("OPENROUTER PROCESSING")
    assert events[1] == ResponseStart(id="up-1", model="upstream/model", created=7)
    assert events[5] == ChoiceEnd(0, FinishReason.STOP, "stop")


def test_a_comment_inside_data_is_no_event() -> None:
    """R2: one host writes `data: : keepalive`."""
    body = b"data: : keepalive\n\ndata:\n\n" + stream(TEXT, STOP)
    assert decode(body)[0] == KeepAlive("keepalive")
    assert folded(decode(body)) == folded(decode(stream(TEXT, STOP)))


def test_the_start_waits_for_the_first_chunk_with_choices() -> None:
    """Azure's first chunk has no model yet."""
    first = {"choices": [], "id": "x", "model": "", "created": 0}
    answer = folded(decode(stream(first, TEXT, STOP)))
    assert (answer.id, answer.model, answer.created) == ("up-1", "upstream/model", 7)


def test_the_first_finish_counts_and_what_follows_the_mark_is_dropped() -> None:
    body = stream(TEXT, STOP, delta("length")) + stream(delta(content="ghost"))
    choice = folded(decode(body)).choices[0]
    assert bare(choice.parts) == bare((TextPart(text="a"),))
    assert (choice.reason, choice.native_reason) == (FinishReason.STOP, "stop")


def test_nothing_follows_the_end() -> None:
    decoder = CHAT.stream_decoder()
    batches = [decoder.feed(frame) for frame in frames_of(stream(TEXT, STOP))]
    late = frames_of(stream(TEXT))[0]
    for batch in (decoder.feed(late), decoder.close(), decoder.abort(RESET), decoder.close()):
        assert batch.events == ()
    checked([event for batch in batches for event in batch.events])


@pytest.mark.parametrize("chunks", [[], [TEXT], [TEXT, STOP]])
def test_a_broken_connection_ends_the_stream_with_its_failure(chunks: list[Document]) -> None:
    decoder = CHAT.stream_decoder()
    events = [
        e for frame in frames_of(stream(*chunks, done=False)) for e in decoder.feed(frame).events
    ]
    assert checked([*events, *decoder.abort(RESET).events])[-1] == StreamError(RESET)
    assert decoder.close().events == ()


CITED = {"type": "@chat", "@chat": {"x": 1}}
BLOCK = {"type": "image_url", "image_url": {"url": "https://x.test/a"}}
PICTURE = MediaPart(kind=MediaKind.IMAGE, url="https://x.test/a")
MEMBERS: dict[str, tuple[list[dict[str, Any]], tuple[Any, ...]]] = {
    "text": ([{"content": "a"}, {"content": ""}, {"content": None}, {"content": "b"}], ("ab",)),
    "text blocks": (
        [{"content": [{"type": "text", "text": "a"}]}, {"content": "b"}, {"content": []}],
        ("ab",),
    ),
    "a block with annotations": (
        [{"content": [{"type": "text", "text": "a", "annotations": [{"x": 1}]}]}],
        (TextPart(text="a", annotations=(CITED,)),),
    ),
    "thinking blocks": (
        [
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "w"}]}]},
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hy"}]}]},
            {"content": "a"},
        ],
        (ReasoningPart(text="why"), "a"),
    ),
    "an unknown block": (
        [{"content": [{"type": "new", "x": 1}]}],
        (OpaquePart(dialect="chat", document={"type": "new", "x": 1}),),
    ),
    "content of another shape": (
        [{"content": {"x": 1}}],
        (OpaquePart(dialect="chat", document={"x": 1}),),
    ),
    "refusal": ([{"refusal": "n"}, {"refusal": "o"}], (RefusalPart(text="no"),)),
    "annotations before their text": (
        [{"annotations": [{"x": 1}]}, {"annotations": [{"x": 2}], "content": "a"}],
        (TextPart(text="a", annotations=(CITED, {"type": "@chat", "@chat": {"x": 2}})),),
    ),
    "one annotation that is no list": (
        [{"content": "a"}, {"annotations": {"x": 1}}],
        (TextPart(text="a", annotations=(CITED,)),),
    ),
    "images": ([{"images": [BLOCK]}, {"images": [BLOCK]}], (PICTURE, PICTURE)),
    "audio": (
        [
            {"audio": {"expires_at": 5}},
            {"audio": {"id": "x", "transcript": "he"}},
            {"audio": {"id": "x", "data": "AA", "transcript": "llo"}},
            {"audio": {"data": "=="}},
        ],
        (MediaPart(kind=MediaKind.AUDIO, id="x", data="AA==", transcript="hello"),),
    ),
    "nothing": ([{}, {"role": None}, {"audio": None, "images": None, "refusal": None}], ()),
}
"""Deltas of one choice, and the parts they make (a string stands for a text)."""


@pytest.mark.parametrize("case", MEMBERS)
def test_members_of_a_delta(case: str) -> None:
    deltas, expected = MEMBERS[case]
    body = stream(*[delta(**members) for members in deltas], STOP)
    parts = tuple(TextPart(text=part) if isinstance(part, str) else part for part in expected)
    assert bare(folded(decode(body)).choices[0].parts) == bare(parts)


def test_logprobs_belong_to_the_text() -> None:
    chunk = delta(content="a")
    chunk["choices"][0]["logprobs"] = {"content": [{"token": "a"}]}
    pieces = [event for event in decode(stream(chunk, STOP)) if isinstance(event, PartDelta)]
    assert [(piece.slot, piece.value) for piece in pieces] == [
        (Slot.TEXT, "a"),
        (Slot.LOGPROBS, {"content": [{"token": "a"}]}),
    ]


def test_only_uniform_documents_are_regular() -> None:
    opened = {"index": 0, "id": "a", "type": "function", "function": {"name": "f"}}
    cases = [
        (TEXT, True),
        (piece(opened), True),
        (piece(entry("{}", index=0)), True),
        (piece(entry("", index=0, id="a")), False),
        (piece({**opened, "index": 3, "id": "b"}), False),
        (delta("stop"), False),
    ]
    decoder = CHAT.stream_decoder()
    frames = frames_of(stream(*[chunk for chunk, _ in cases], done=False))
    assert [decoder.feed(frame).regular for frame in frames] == [regular for _, regular in cases]


USAGE = {"prompt_tokens": 3, "completion_tokens": 1}
GONE = {"code": 502, "message": "gone"}


def test_usage_beside_an_error_in_the_first_document_counts() -> None:
    events = decode(encode_sse(json.dumps({"id": "up-1", "error": GONE, "usage": USAGE})))
    assert [type(event) for event in events] == [ResponseStart, UsageUpdate, StreamError]
    assert events[0] == ResponseStart(id="up-1")


def test_what_a_choice_says_beside_an_error_is_read_and_its_finish_is_not() -> None:
    """R5: what was received is delivered."""
    events = decode(stream({**delta("stop", content="bye"), "error": GONE, "usage": USAGE}))
    assert [type(event) for event in events] == [
        *(ResponseStart, PartStart, PartDelta, UsageUpdate, StreamError),
    ]
    assert isinstance(events[-1], StreamError)
    assert (events[-1].failure.message, events[-1].failure.stage) == ("gone", Stage.MID_STREAM)


@pytest.mark.parametrize("choices", [7, [7], [{"delta": {"tool_calls": [7]}}]])
def test_beside_an_error_only_the_error_is_the_failure(choices: Any) -> None:
    last = decode(encode_sse(json.dumps({"choices": choices, "error": GONE})))[-1]
    assert isinstance(last, StreamError)
    assert last.failure.message == "gone"


MESSAGE = {"role": "assistant", "content": "a"}
ERROR_WORDS = ["error", "network_error", "MALFORMED_FUNCTION_CALL"]


@pytest.mark.parametrize("finish", ["stop", "tool_calls", "", None])
@pytest.mark.parametrize("native", ERROR_WORDS)
def test_a_native_word_for_an_error_is_a_failure_whatever_stands_beside_it(
    finish: str | None, native: str
) -> None:
    last = delta(finish)
    last["choices"][0]["native_finish_reason"] = native
    end = decode(stream(TEXT, last))[-1]
    assert isinstance(end, StreamError)
    assert end.failure.kind is FailureKind.SERVER
    assert native in end.failure.message
    answer = {"choices": [{**last["choices"][0], "message": {"content": "a"}}]}
    failure = CHAT.decode_response(json.dumps(answer))
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.SERVER


@pytest.mark.parametrize("word", ERROR_WORDS)
def test_a_word_for_an_error_is_a_failure(word: str) -> None:
    assert failed(decode(stream(TEXT, delta(word))))


@pytest.mark.parametrize(
    "word", ["SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "content_filter"]
)
def test_words_for_filtered_content(word: str) -> None:
    choice = folded(decode(stream(TEXT, delta(word)))).choices[0]
    assert (choice.reason, choice.native_reason) == (FinishReason.CONTENT_FILTER, word)


@pytest.mark.parametrize("word", ["RECITATION", "LANGUAGE", "STOP"])
def test_words_outside_the_contract_come_back_as_they_were(word: str) -> None:
    """GetPut; a client is told one of the contract's words by the restamper."""
    document = {"choices": [{"index": 0, "finish_reason": word, "message": MESSAGE}]}
    answer = CHAT.decode_response(json.dumps(document))
    assert isinstance(answer, Response)
    assert json.equal(CHAT.encode_response(answer)[0], document)


def test_a_host_that_never_says_why_it_ends_means_a_stop() -> None:
    """`finish_optional`: its end mark is all it says."""
    events = decode(stream(TEXT), lambda: CHAT.stream_decoder(finish_optional=True))
    assert events[-2:] == [ChoiceEnd(0, FinishReason.STOP, None), ResponseEnd()]


LOGPROBS = {"content": [{"token": "a", "logprob": -0.5}], "refusal": []}


def test_logprobs_go_to_the_open_text_or_refusal() -> None:
    for chunk in (delta(content="a"), delta(refusal="a")):
        chunk["choices"][0]["logprobs"] = LOGPROBS
        events = decode(stream(chunk, delta("stop")))
        (piece,) = [e for e in events if isinstance(e, PartDelta) and e.slot is Slot.LOGPROBS]
        assert json.equal(piece.value, LOGPROBS)


def test_logprobs_without_a_text_stand_at_the_end_of_their_choice() -> None:
    first, last = delta(role="assistant"), delta("stop")
    for chunk in (first, last):
        chunk["choices"][0]["logprobs"] = LOGPROBS
    ends = [event for event in decode(stream(first, last)) if isinstance(event, ChoiceEnd)]
    (token,) = LOGPROBS["content"]
    told = json.loads(json.dumps({"content": [token, token], "refusal": None}))
    assert json.equal(ends[0].ext["chat"]["logprobs"], told)


def test_what_later_pieces_of_audio_tell_is_kept() -> None:
    late = delta(audio={"data": "AA==", "expires_at": 5})
    body = stream(delta(audio={"id": "a"}), late, delta("stop"))
    (part,) = folded(decode(body)).choices[0].parts
    assert part.ext["chat"] == {"@member": "audio", "expires_at": 5}


def parts_of(*chunks: Document) -> Any:
    """The parts that a good stream spells."""
    return folded(decode(stream(*chunks))).choices[0].parts


def test_a_whole_message_instead_of_deltas_is_read_once() -> None:
    """Nothing that was said is lost, and nothing is said twice."""
    head = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    said = {"role": "assistant", "content": "hey"}
    whole = {**head, "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    assert [part.text for part in parts_of(whole)] == ["hey"]
    whole = {**head, "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    assert [part.text for part in parts_of(delta(content="hey"), whole)] == ["hey"]


def test_pieces_of_text_instead_of_deltas_are_read() -> None:
    head = {"id": "a", "object": "text_completion", "created": 1, "model": "m"}
    one, two = ({**head, "choices": [{"index": 0, "text": text}]} for text in ("he", "llo"))
    assert [part.text for part in parts_of(one, two, delta("stop"))] == ["hello"]


def test_r3_whole_calls_under_one_index_are_never_merged() -> None:
    one = piece(entry('{"x":1}', index=0, name="f"))
    two = piece(entry('{"x":2}', index=0, name="f"))
    parts = parts_of(one, two, delta("tool_calls"))
    assert [part.arguments for part in parts] == ['{"x":1}', '{"x":2}']
    assert len({part.call_id for part in parts}) == 2


@pytest.mark.parametrize("more", [entry('{"x":2}', index=0), entry('{"x":2}', id="a", name="f")])
def test_r3_arguments_behind_a_complete_call_are_a_failure(more: Document) -> None:
    first = piece(entry('{"x":1}', index=0, id="a", name="f"))
    assert failed(decode(stream(first, piece(more), delta("tool_calls"))))
    assert not failed(decode(stream(first, piece(entry(" ", index=0)), delta("tool_calls"))))
