"""Signatures of texts, calls and media: in `reasoning_details`, and back on their parts."""

from typing import Any

import pytest

from arno.canon.events import (
    ChoiceEnd,
    Event,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    Slot,
)
from arno.canon.parts import (
    MediaKind,
    MediaPart,
    Part,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.wire import json
from tests.dialects.chat.building import delta, entry, fed, piece, stream, whole
from tests.laws.harness import CHAT, bare, decode, encode, folded

FORMAT = "google-gemini-v1"


def sealed(id_: str, data: str = "c2ln", **members: Any) -> dict[str, Any]:
    """A detail that may sign a part."""
    return {"type": "reasoning.encrypted", "data": data, "id": id_, "format": FORMAT, **members}


def signed(part: Part, data: str = "c2ln") -> Any:
    members = {name: getattr(part, name) for name in part.__struct_fields__}
    return type(part)(**{**members, "signature": data, "format": FORMAT})


def own(id_: str) -> ReasoningPart:
    """What a detail means that signs nothing."""
    return ReasoningPart(form=ReasoningForm.SEALED, sealed="c2ln", id=id_, format=FORMAT)


CALL = ToolCallPart(call_id="a", name="f", arguments="{}")
TEXT = TextPart(text="hello")

WHOLE: dict[str, tuple[dict[str, Any], tuple[Part, ...]]] = {
    "a call": (
        {
            "tool_calls": [entry("{}", id="a", name="f")],
            "reasoning_details": [sealed("a")],
        },
        (signed(CALL),),
    ),
    "the second of two calls with one id": (
        {
            "tool_calls": [entry("{}", id="a", name="f")] * 2,
            "reasoning_details": [sealed("a"), sealed("a", "Mg==")],
        },
        (signed(CALL), signed(CALL, "Mg==")),
    ),
    "no call of that id": (
        {"tool_calls": [entry("{}", id="a", name="f")], "reasoning_details": [sealed("b")]},
        (own("b"), CALL),
    ),
    "the text": (
        {"content": "hello", "reasoning_details": [sealed("content:5")]},
        (signed(TEXT),),
    ),
    "the text up to a place": (
        {"content": "hello", "reasoning_details": [sealed("content:2")]},
        (signed(TextPart(text="he")), TextPart(text="llo")),
    ),
    "two texts": (
        {"content": "hello", "reasoning_details": [sealed("content:2"), sealed("content:5")]},
        (signed(TextPart(text="he")), signed(TextPart(text="llo"))),
    ),
    "a text that was made shorter": (
        {"content": "hello", "reasoning_details": [sealed("content:9")]},
        (signed(TEXT),),
    ),
    "a text that is gone": (
        {"content": None, "reasoning_details": [sealed("content:9")]},
        (signed(TextPart()),),
    ),
    "an empty text before another": (
        {"content": "hello", "reasoning_details": [sealed("content:0")]},
        (signed(TextPart()), TEXT),
    ),
    "no refusal": (
        {"content": "hello", "reasoning_details": [sealed("refusal:0")]},
        (own("refusal:0"), TEXT),
    ),
    "no such image": (
        {"content": "hello", "reasoning_details": [sealed("images:0")]},
        (own("images:0"), TEXT),
    ),
    "a place of nothing": (
        {"content": "hello", "reasoning_details": [sealed("content:x")]},
        (own("content:x"), TEXT),
    ),
}
"""A message, and what it means."""


@pytest.mark.parametrize("case", WHOLE)
def test_a_detail_is_put_on_the_part_that_its_id_names(case: str) -> None:
    message, parts = WHOLE[case]
    body = whole(message, "stop")
    answer = CHAT.decode_response(body)
    assert isinstance(answer, Response)
    assert bare(answer.choices[0].parts) == bare(parts)
    document: Any = CHAT.encode_response(answer)[0]
    written = document["choices"][0]["message"]
    assert json.equal(written, {"role": "assistant", **message})


def test_blocks_of_a_content_list_keep_their_bounds() -> None:
    blocks = [{"type": "text", "text": "he"}, {"type": "text", "text": "llo"}]
    message = {"role": "assistant", "content": blocks, "reasoning_details": [sealed("content:5")]}
    request = {"model": "m", "messages": [message]}
    decoded = CHAT.decode_request(json.dumps(request))
    assert [part.signature for part in decoded.messages[0].parts] == [None, "c2ln"]
    assert json.equal(json.loads(CHAT.encode_request(decoded)[0]), request)


STREAMED: dict[str, tuple[list[dict[str, Any]], tuple[Part, ...]]] = {
    "behind its call": (
        [piece(entry("{}", index=0, id="a", name="f")), delta(reasoning_details=[sealed("a")])],
        (signed(CALL),),
    ),
    "before its call": (
        [delta(reasoning_details=[sealed("a")]), piece(entry("{}", index=0, id="a", name="f"))],
        (signed(CALL),),
    ),
    "before its call, told again": (
        [
            delta(reasoning_details=[sealed("a", "b2xk", index=0)]),
            delta(reasoning_details=[sealed("a", index=0)]),
            piece(entry("{}", index=0, id="a", name="f")),
        ],
        (signed(CALL),),
    ),
    "its call never comes": (
        [delta(reasoning_details=[sealed("b")]), delta(content="hello")],
        (own("b"), TEXT),
    ),
    "items of reasoning never wait": (
        [
            delta(reasoning_details=[sealed("rs_1", format="openai-responses-v1")]),
            delta(content="a"),
        ],
        (
            ReasoningPart(
                form=ReasoningForm.SEALED, sealed="c2ln", id="rs_1", format="openai-responses-v1"
            ),
            TextPart(text="a"),
        ),
    ),
    "two texts": (
        [
            delta(content="he"),
            delta(reasoning_details=[sealed("content:2")]),
            delta(content="llo"),
            delta(reasoning_details=[sealed("content:5")]),
        ],
        (signed(TextPart(text="he")), signed(TextPart(text="llo"))),
    ),
    "a text that never began": (
        [delta(reasoning_details=[sealed("content:0")])],
        (signed(TextPart()),),
    ),
}


@pytest.mark.parametrize("case", STREAMED)
def test_a_streamed_detail_is_put_there_too(case: str) -> None:
    chunks, parts = STREAMED[case]
    answer = folded(decode(stream(*chunks, delta("stop"))))
    assert bare(answer.choices[0].parts) == bare(parts)


def test_what_waits_for_its_call_is_told_when_the_stream_breaks() -> None:
    """A cut before the call: the artefact was received, so it is among the events."""
    events = decode(stream(delta(content="a"), delta(reasoning_details=[sealed("b")]), done=False))
    said = [e.value for e in events if isinstance(e, PartDelta) and e.slot is Slot.SEALED]
    assert said == ["c2ln"]


PICTURE = MediaPart(kind=MediaKind.IMAGE, media_type="image/png", data="AA==")


def told_both_ways(*parts: Part) -> tuple[Any, Any]:
    """What a client reads of an answer with these parts, whole and streamed."""
    answer = Response(choices=(Choice(parts=parts, reason=FinishReason.STOP),))
    document = json.dumps(CHAT.encode_response(answer)[0])
    again = CHAT.decode_response(document)
    assert isinstance(again, Response)
    streamed = folded(decode(encode([list(unfold(answer))])))
    return bare(again.choices[0].parts), bare(streamed.choices[0].parts)


@pytest.mark.parametrize(
    "parts",
    [
        (signed(TextPart(text="a")), signed(TextPart(text="b"), "Mg==")),
        (signed(TextPart()), TextPart(text="b")),
        (signed(PICTURE), PICTURE),
        (PICTURE, signed(PICTURE)),
        (TEXT, signed(CALL), ToolCallPart(call_id="b", name="f", arguments="{}")),
    ],
)
def test_clients_are_told_every_signature_and_it_comes_back(parts: tuple[Part, ...]) -> None:
    assert told_both_ways(*parts) == (bare(parts), bare(parts))


def test_texts_that_nothing_keeps_apart_become_one() -> None:
    whole_, streamed = told_both_ways(TextPart(text="a"), signed(TextPart(text="b")))
    assert whole_ == streamed == bare((signed(TextPart(text="ab")),))


def test_a_signature_is_told_when_its_part_ends_with_the_format_of_the_end() -> None:
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, TextPart()),
        PartDelta(0, Slot.TEXT, "hello"),
        PartDelta(0, Slot.SIGNATURE, "b2xk"),
        PartDelta(0, Slot.SIGNATURE, "c2ln"),
        PartEnd(0, format=FORMAT),
    ]
    documents = fed(events)
    assert len(documents) == 2
    details = documents[1]["choices"][0]["delta"]["reasoning_details"]
    assert details == [sealed("content:5", index=0)]


def test_a_signature_of_a_part_that_is_still_open_is_told_before_the_finish() -> None:
    events: list[Event] = [
        ResponseStart(),
        PartStart(0, signed(TEXT)),
        ChoiceEnd(0, FinishReason.STOP),
        PartEnd(0),
        ResponseEnd(),
    ]
    documents = fed(events)
    assert "reasoning_details" in documents[1]["choices"][0]["delta"]
    assert documents[2]["choices"][0]["finish_reason"] == "stop"
    assert len(documents) == 3
