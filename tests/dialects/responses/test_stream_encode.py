"""Streams of the responses dialect, written: orders of events that other dialects give."""

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
from arno.canon.parts import (
    Executor,
    MediaKind,
    MediaPart,
    OpaquePart,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects.base import Stamp
from arno.dialects.responses.answer import encode_response
from arno.dialects.responses.stream_encode import ResponsesStreamEncoder
from tests.dialects.responses.building import said
from tests.laws.harness import no_price
from tests.laws.responses import check_grammar, documents_of

START = ResponseStart(id="up", model="m", created=7)
STOP = ChoiceEnd(0, FinishReason.STOP)
BROKEN = Failure(FailureKind.RATE_LIMIT, "slow down", code="429")


def text(index: int = 0, *pieces: str, end: bool = True) -> list[Event]:
    """A text part in pieces."""
    deltas = [PartDelta(index, Slot.TEXT, piece) for piece in pieces]
    return [PartStart(index, TextPart()), *deltas, *([PartEnd(index)] if end else [])]


def written(*events: Event, stamp: Stamp | None = None) -> tuple[bytes, ResponsesStreamEncoder]:
    """The stream that says `events` one by one, and its encoder."""
    encoder = ResponsesStreamEncoder(stamp or Stamp(), no_price)
    return b"".join(encoder.feed([event]) for event in events), encoder


def kinds(documents: list[Any]) -> list[str]:
    return [document["type"].removeprefix("response.") for document in documents]


def test_a_text_from_its_first_event_to_its_last() -> None:
    documents = said([START, *text(0, "Hel", "lo"), STOP, UsageUpdate(Usage(1, 2)), ResponseEnd()])
    assert kinds(documents) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    last = documents[-1]["response"]
    assert last["usage"] == {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert last["output"][0]["content"][0]["text"] == "Hello"


def test_the_stamp_goes_before_what_the_upstream_says() -> None:
    stamp = Stamp(id="gen-1", model="asked", provider="Host", created=9)
    body, _ = written(START, *text(0, "Hi"), STOP, ResponseEnd(), stamp=stamp)
    last = documents_of(body)[-1]["response"]
    assert (last["id"], last["model"], last["provider"]) == ("gen-1", "asked", "Host")
    assert last["created_at"] == 7


def test_ids_of_items_are_the_same_each_time_and_differ_from_each_other() -> None:
    events = [START, *text(0, "a"), PartStart(1, ToolCallPart(call_id="c", name="f")), PartEnd(1)]
    events += [STOP, ResponseEnd()]
    first, second = said(events, Stamp(id="gen-1")), said(events, Stamp(id="gen-1"))
    assert first == second
    other = said(events, Stamp(id="gen-2"))
    ids = [{item["id"] for item in d[-1]["response"]["output"]} for d in (first, other)]
    assert len(ids[0] | ids[1]) == 4


def test_parts_that_stay_open_beside_each_other() -> None:
    """A chat stream ends all of its parts with its finish; nothing waits for that."""
    call = ToolCallPart(call_id="c", name="f")
    body, _ = written(
        START,
        PartStart(0, ReasoningPart()),
        PartDelta(0, Slot.TEXT, "why"),
        PartStart(1, TextPart()),
        PartDelta(1, Slot.TEXT, "Hi"),
        PartStart(2, call),
        PartDelta(2, Slot.ARGUMENTS, "{}"),
        PartDelta(1, Slot.TEXT, " again"),
        *(PartEnd(n) for n in (0, 1, 2)),
        STOP,
        ResponseEnd(),
    )
    check_grammar(body)
    output = documents_of(body)[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call"]
    assert output[1]["content"][0]["text"] == "Hi again"


def test_every_batch_is_told_at_once() -> None:
    """R8: a delta is in the bytes of its own batch."""
    encoder = ResponsesStreamEncoder(Stamp(), no_price)
    encoder.feed([START, PartStart(0, TextPart())])
    for piece in ("a", "b\n", "ü"):
        (document,) = documents_of(encoder.feed([PartDelta(0, Slot.TEXT, piece)]))
        assert document["delta"] == piece


def test_pieces_of_nothing_say_nothing() -> None:
    encoder = ResponsesStreamEncoder(Stamp(), no_price)
    encoder.feed([START, PartStart(0, TextPart())])
    assert encoder.feed([PartDelta(0, Slot.TEXT, ""), Opaque("elsewhere", {}), STOP]) == b""


def test_texts_behind_each_other_are_one_message() -> None:
    documents = said([START, *text(0, "a"), *text(1, "b"), STOP, ResponseEnd()])
    (item,) = documents[-1]["response"]["output"]
    assert [entry["text"] for entry in item["content"]] == ["a", "b"]


def test_summaries_and_their_artefact_are_one_item():
    sealed = ReasoningPart(form=ReasoningForm.SEALED, format="openai-responses-v1", sealed="gA")
    summary = ReasoningPart(form=ReasoningForm.SUMMARY, text="why")
    events = [PartStart(0, summary), PartEnd(0), PartStart(1, summary), PartEnd(1)]
    events += [PartStart(2, sealed), PartEnd(2)]
    documents = said([START, *events, *text(3, "Hi"), STOP, ResponseEnd()])
    reasoning, _ = documents[-1]["response"]["output"]
    assert [entry["text"] for entry in reasoning["summary"]] == ["why", "why"]
    assert reasoning["encrypted_content"] == "gA"


def test_probabilities_stand_with_their_text():
    entries = [{"token": "Hi", "logprob": -1, "bytes": None, "top_logprobs": []}]
    delta = PartDelta(0, Slot.LOGPROBS, {"content": entries})
    events = [PartStart(0, TextPart()), PartDelta(0, Slot.TEXT, "Hi"), delta, PartEnd(0)]
    documents = said([START, *events, STOP, ResponseEnd()])
    assert documents[-1]["response"]["output"][0]["content"][0]["logprobs"] == entries
    (done,) = [d for d in documents if d["type"] == "response.output_text.done"]
    assert done["logprobs"] == entries


def test_what_this_wire_cannot_hold_is_a_loss():
    parts = (
        ToolCallPart(call_id="w", name="search", executor=Executor.PROVIDER),
        MediaPart(kind=MediaKind.AUDIO, data="aGk="),
        OpaquePart(dialect="elsewhere", document={}),
    )
    events: list[Event] = [START]
    for number, part in enumerate(parts):
        events += [PartStart(number, part), PartEnd(number)]
    second = PartStart(9, TextPart(), choice=1)
    events += [
        second,
        PartDelta(9, Slot.TEXT, "?"),
        PartEnd(9),
        *text(3, "Hi"),
        STOP,
        ResponseEnd(),
    ]
    body, encoder = written(*events)
    check_grammar(body)
    assert [loss.path for loss in encoder.losses] == [
        "/choices/0/parts/0",
        "/choices/0/parts/1",
        "/choices/0/parts/2",
        "/choices/1",
    ]
    told = documents_of(body)[-1]["response"]["usage"]["losses"]
    assert [loss["path"] for loss in told] == [loss.path for loss in encoder.losses]


def test_losses_of_the_request_and_the_price_stand_in_the_usage() -> None:
    stamp = Stamp(losses=(Loss("/sampling/seed", "dropped", "no seed"),))
    events = [START, *text(0, "Hi"), STOP, UsageUpdate(Usage(1, 2)), ResponseEnd()]
    usage = said(events, stamp, pricer=lambda usage, by: "0.25")[-1]["response"]["usage"]
    assert str(usage["cost"]) == "0.25"
    assert usage["losses"] == [{"path": "/sampling/seed", "action": "dropped", "why": "no seed"}]


def test_a_client_tool_of_an_unknown_kind_is_told_as_a_function() -> None:
    call = ToolCallPart(call_id="c", name="bash", arguments="{}", kind="bash_of_elsewhere")
    documents = said([START, PartStart(0, call), PartEnd(0), STOP, ResponseEnd()])
    assert documents[-1]["response"]["output"][0]["type"] == "function_call"


CUT: dict[str, tuple[ToolCallPart, FinishReason, str]] = {
    "no arguments": (ToolCallPart(call_id="c", name="f"), FinishReason.LENGTH, "incomplete"),
    "half of them": (
        ToolCallPart(call_id="c", name="f", arguments='{"a"'),
        FinishReason.CONTENT_FILTER,
        "incomplete",
    ),
    "all of them": (
        ToolCallPart(call_id="c", name="f", arguments="{}"),
        FinishReason.LENGTH,
        "completed",
    ),
    "what is no object": (
        ToolCallPart(call_id="c", name="f", arguments="{a}"),
        FinishReason.TOOL_CALLS,
        "completed",
    ),
    "text of which nobody knows the end": (
        ToolCallPart(call_id="c", name="sh", arguments="ls", kind="custom"),
        FinishReason.LENGTH,
        "incomplete",
    ),
    "text": (
        ToolCallPart(call_id="c", name="sh", arguments="ls", kind="custom"),
        FinishReason.STOP,
        "completed",
    ),
}


@pytest.mark.parametrize("case", CUT)
def test_a_call_that_was_cut_off_says_so(case: str) -> None:
    """R3 (i): whole answers and streams alike, and only where it may not be whole."""
    call, reason, status = CUT[case]
    first = ToolCallPart(call_id="b", name="sh", arguments="ls", kind="custom")
    answer = Response(choices=(Choice(parts=(first, call), reason=reason),))
    body, _ = written(*unfold(answer))
    check_grammar(body)
    wanted = ["completed", status]
    output = documents_of(body)[-1]["response"]["output"]
    assert [item["status"] for item in output] == wanted
    document, _ = encode_response(answer)
    assert [item["status"] for item in document["output"]] == wanted


def test_a_failure_in_the_middle_holds_what_was_said() -> None:
    """R5: the next number, no invented end, no invented usage."""
    finished = text(0, "Done.")
    body, _ = written(START, *finished, *text(1, "Hel", end=False), StreamError(BROKEN))
    documents = documents_of(body)
    last = documents[-1]
    assert last["type"] == "response.failed"
    assert last["sequence_number"] == len(documents) - 1
    response = last["response"]
    (item,) = response["output"]
    assert [entry["text"] for entry in item["content"]] == ["Done.", "Hel"]
    assert item["status"] == "incomplete"
    assert (response["status"], response["usage"]) == ("failed", None)
    assert response["error"]["code"] == "rate_limit_exceeded"
    assert response["error"]["metadata"]["provider_code"] == "429"


def test_a_failure_before_anything_has_a_beginning() -> None:
    """Readers want the first event first."""
    documents = said([StreamError(BROKEN)])
    assert kinds(documents) == ["created", "in_progress", "failed"]


def test_an_end_without_a_reason_is_a_failure() -> None:
    documents = said([START, *text(0, "Hi"), ResponseEnd()])
    assert kinds(documents)[-1] == "failed"
    assert "finish reason" in documents[-1]["response"]["error"]["message"]
    assert kinds(said([START, *text(0, "Hi"), STOP, ResponseEnd()]))[-1] == "completed"


def test_incomplete_answers() -> None:
    for reason, word in (
        (FinishReason.LENGTH, "max_output_tokens"),
        (FinishReason.CONTENT_FILTER, "content_filter"),
    ):
        documents = said([START, *text(0, "Hi"), ChoiceEnd(0, reason), ResponseEnd()])
        assert kinds(documents)[-1] == "incomplete"
        assert documents[-1]["response"]["incomplete_details"] == {"reason": word}


def test_a_sign_of_life_is_a_comment() -> None:
    body, _ = written(KeepAlive("ping"))
    assert body.startswith(b": ")
    assert documents_of(body) == []
