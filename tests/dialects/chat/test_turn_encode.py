"""Parts of other dialects told on the chat wire, whole and as a stream: what has a place, and what
is a Loss."""

from typing import Any

import pytest

from arno.canon.events import Event, Opaque, PartDelta, PartEnd, PartStart, ResponseStart, Slot
from arno.canon.ext import Loss
from arno.canon.parts import (
    CacheHint,
    Executor,
    MediaKind,
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import Message, Request, Role
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.chat.building import documents_of
from tests.laws.harness import CHAT, bare, decode, folded, no_price

TEXT = TextPart(text="a")
CALL = ToolCallPart(call_id="a", name="f", arguments="{}")
RAN = ToolCallPart(call_id="b", name="search", arguments="{}", executor=Executor.PROVIDER)
FOUND = ToolResultPart(call_id="b", value={"hits": 1}, executor=Executor.PROVIDER)


def both_ways(*parts: Part) -> tuple[Any, Any, set[tuple[str, str]], set[tuple[str, str]]]:
    """The parts a client reads whole and streamed, and what was lost each way."""
    answer = Response(choices=(Choice(parts=parts, reason=FinishReason.STOP),))
    document, losses = CHAT.encode_response(answer)
    whole = CHAT.decode_response(json.dumps(document))
    assert isinstance(whole, Response)
    encoder = CHAT.stream_encoder(Stamp(), no_price, include_usage=True)
    streamed = folded(decode(encoder.feed(list(unfold(answer)))))
    return (
        bare(whole.choices[0].parts),
        bare(streamed.choices[0].parts),
        pairs(losses),
        pairs(encoder.losses),
    )


def pairs(losses: tuple[Loss, ...]) -> set[tuple[str, str]]:
    return {(loss.path, loss.action) for loss in losses}


FIRST = "/choices/0/parts/0"
LOST: dict[str, tuple[Part, set[tuple[str, str]]]] = {
    "a call that the provider ran": (RAN, {(FIRST, "dropped")}),
    "what it gave": (FOUND, {(FIRST, "dropped")}),
    "a result of a client's tool": (ToolResultPart(call_id="a"), {(FIRST, "dropped")}),
    "a document of another dialect": (OpaquePart(dialect="x", document={}), {(FIRST, "dropped")}),
    "a film": (MediaPart(kind=MediaKind.VIDEO, url="u"), {(FIRST, "dropped")}),
    "a file": (MediaPart(data="AA=="), {(FIRST, "dropped")}),
    "an image by an id": (MediaPart(kind=MediaKind.IMAGE, file_id="f"), {(FIRST, "dropped")}),
    "sound by its address": (MediaPart(kind=MediaKind.AUDIO, url="u"), {(FIRST, "dropped")}),
}
"""Parts that an answer has no place for."""


@pytest.mark.parametrize("case", LOST)
def test_parts_without_a_place_are_told_and_nothing_stands_for_them(case: str) -> None:
    part, losses = LOST[case]
    whole, streamed, lost, lost_streamed = both_ways(part, TEXT)
    assert whole == streamed == bare((TEXT,))
    assert lost == lost_streamed == losses


def test_pieces_of_a_part_without_a_place_are_not_told_either() -> None:
    encoder = CHAT.stream_encoder(Stamp(), no_price, include_usage=True)
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, RAN),
        PartDelta(0, Slot.ARGUMENTS, "{}"),
        PartEnd(0),
    ]
    assert encoder.feed(events) == b""
    assert encoder.feed([Opaque("x", {"a": 1}), Opaque("x", {"b": 1})]) == b""
    assert pairs(encoder.losses) == {(FIRST, "dropped"), ("", "dropped")}
    assert len(encoder.losses) == 2


CHANGED: dict[str, tuple[Part, Part, set[tuple[str, str]]]] = {
    "a call of an unknown kind": (
        ToolCallPart(call_id="a", name="shell", arguments="{}", kind="shell"),
        ToolCallPart(call_id="a", name="shell", arguments="{}"),
        {(f"{FIRST}/kind", "approximated")},
    ),
    "a call in a name space": (
        ToolCallPart(call_id="a", name="f", arguments="{}", namespace="mcp", cache=CacheHint()),
        CALL,
        {(f"{FIRST}/namespace", "dropped"), (f"{FIRST}/cache", "dropped")},
    ),
    "residue": (
        TextPart(text="a", ext={"x": {"new": 1, "@note": 2, "empty": None}}),
        TEXT,
        {(f"{FIRST}/new", "dropped")},
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_parts_that_are_told_as_something_else(case: str) -> None:
    part, read, losses = CHANGED[case]
    whole, streamed, lost, lost_streamed = both_ways(part)
    assert whole == streamed == bare((read,))
    assert lost == lost_streamed == losses


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((ReasoningPart(text="r"), TEXT, CALL), set()),
        ((ReasoningPart(text="r"), RefusalPart(text="no"), CALL), set()),
        ((TEXT, ReasoningPart(text="r")), {("/choices/0", "approximated")}),
        ((CALL, TEXT, CALL, TEXT), {("/choices/0", "approximated")}),
        (
            (CALL, RAN, ReasoningPart(text="r")),
            {(f"{FIRST[:-1]}1", "dropped"), ("/choices/0", "approximated")},
        ),
    ],
)
def test_an_order_that_the_wire_does_not_keep_is_told_once(
    parts: tuple[Part, ...], told: set[tuple[str, str]]
) -> None:
    _, _, lost, lost_streamed = both_ways(*parts)
    assert lost == lost_streamed == told


def test_several_texts_are_one() -> None:
    whole, streamed, lost, _ = both_ways(TEXT, TextPart(text="b"), TextPart(text="c"))
    assert whole == streamed == bare((TextPart(text="abc"),))
    assert not lost


def test_one_sound_of_several_is_told() -> None:
    sound = MediaPart(kind=MediaKind.AUDIO, data="AA==")
    whole, streamed, lost, lost_streamed = both_ways(sound, sound)
    assert whole == streamed == bare((sound,))
    assert lost == lost_streamed == {(f"{FIRST[:-1]}1", "dropped")}


def test_an_image_that_comes_in_pieces_is_told_whole() -> None:
    encoder = CHAT.stream_encoder(Stamp(), no_price, include_usage=True)
    start = PartStart(0, MediaPart(kind=MediaKind.IMAGE, media_type="image/png"))
    pieces: list[Event] = [PartDelta(0, Slot.MEDIA, "AA"), PartDelta(0, Slot.MEDIA, "==")]
    assert encoder.feed([ResponseStart(), start, *pieces]) == b""
    (document,) = documents_of(encoder.feed([PartEnd(0)]))
    (block,) = document["choices"][0]["delta"]["images"]
    assert block["image_url"]["url"] == "data:image/png;base64,AA=="


def test_logprobs_as_another_dialect_lists_them() -> None:
    encoder = CHAT.stream_encoder(Stamp(), no_price, include_usage=True)
    value = [{"token": "a", "logprob": -0.5}]
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.LOGPROBS, value),
        PartDelta(0, Slot.LOGPROBS, "odd"),
    ]
    (document,) = documents_of(encoder.feed(events))
    told: Any = json.loads(json.dumps(document["choices"][0]["logprobs"]))
    assert json.equal(told, {"content": [{"token": "a", "logprob": -0.5}], "refusal": None})
    assert pairs(encoder.losses) == {(f"{FIRST}/logprobs", "dropped")}


def sent(*messages: Message) -> tuple[list[Any], set[tuple[str, str]]]:
    body, losses = CHAT.encode_request(Request(model="m", messages=messages))
    document: Any = json.loads(body)
    return document["messages"], pairs(losses)


def test_requests_never_show_what_the_provider_ran_as_calls() -> None:
    turn = Message(role=Role.ASSISTANT, parts=(RAN, FOUND, TEXT))
    messages, losses = sent(turn)
    assert messages == [{"content": "a", "role": "assistant"}]
    assert losses == {("/messages/0/parts/0", "dropped"), ("/messages/0/parts/1", "dropped")}


def test_results_keep_their_parts_and_lose_only_that_they_are_errors() -> None:
    picture = MediaPart(kind=MediaKind.IMAGE, url="https://x.test/a.png")
    result = ToolResultPart(call_id="a", parts=(TEXT, picture), is_error=True, cache=CacheHint())
    messages, losses = sent(Message(role=Role.TOOL, parts=(result,)))
    assert messages == [
        {
            "role": "tool",
            "tool_call_id": "a",
            "content": [
                {"type": "text", "text": "a"},
                {
                    "type": "image_url",
                    "image_url": {"url": "https://x.test/a.png"},
                    "cache_control": {"type": "ephemeral"},
                },
            ],
        }
    ]
    assert losses == {("/messages/0/parts/0/is_error", "dropped")}
    empty = ToolResultPart(call_id="a", cache=CacheHint())
    messages, losses = sent(Message(role=Role.TOOL, parts=(empty,)))
    assert messages == [{"role": "tool", "tool_call_id": "a", "content": ""}]
    assert losses == {("/messages/0/parts/0/cache", "dropped")}


def test_a_result_that_is_a_document_is_told_as_its_text() -> None:
    result = ToolResultPart(call_id="a", value={"hits": [1]})
    messages, losses = sent(Message(role=Role.TOOL, parts=(result,)))
    assert messages == [{"role": "tool", "tool_call_id": "a", "content": '{"hits":[1]}'}]
    assert losses == {("/messages/0/parts/0/value", "approximated")}


def test_what_the_model_drew_is_sent_back_as_its_own() -> None:
    picture = MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="AA==")
    messages, losses = sent(Message(role=Role.ASSISTANT, parts=(TEXT, picture)))
    assert list(messages[0]) == ["content", "images", "role"]
    assert not losses


def test_a_signature_that_nobody_is_known_to_read_stays_here() -> None:
    part = TextPart(text="a", signature="c2ln")
    messages, losses = sent(Message(role=Role.ASSISTANT, parts=(part,)))
    assert messages == [{"content": "a", "role": "assistant"}]
    assert losses == {("/messages/0/parts/0/signature", "dropped")}
