"""Reasoning on the chat wire: R19, the contract's section 4.4, and its compatibility test 8."""

from typing import Any

import pytest

from arno.canon.parts import Part, ReasoningForm, ReasoningPart, TextPart
from arno.canon.request import Message, Request, Role
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.wire import json
from tests.dialects.chat.building import delta, stream, whole
from tests.laws.harness import CHAT, bare, decode, encode, folded


def reasoning_of(answer: Any) -> str:
    assert isinstance(answer, Response)
    parts = answer.choices[0].parts
    return "".join(part.text for part in parts if isinstance(part, ReasoningPart))


def detail(text: str, **members: Any) -> dict[str, Any]:
    return {"type": "reasoning.text", "text": text, **members}


NAMES: dict[str, dict[str, Any]] = {
    "reasoning": {"reasoning": "why"},
    "reasoning_content": {"reasoning_content": "why"},
    "both": {"reasoning": "why", "reasoning_content": "why"},
    "the second is empty": {"reasoning": "why", "reasoning_content": ""},
    "the first is empty": {"reasoning_content": "why", "reasoning": ""},
    "one is null": {"reasoning_content": None, "reasoning": "why"},
    "one is no text": {"reasoning_content": {"a": 1}, "reasoning": "why"},
    "details": {"reasoning_details": [detail("why")]},
    "details and both": {
        "reasoning": "why",
        "reasoning_content": "why",
        "reasoning_details": [detail("why")],
    },
    "empty details": {"reasoning": "why", "reasoning_details": []},
    "a detail without text": {"reasoning": "why", "reasoning_details": [detail("")]},
    "a summary": {"reasoning_details": [{"type": "reasoning.summary", "summary": "why"}]},
    "a block of the content": {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}]
    },
}


@pytest.mark.parametrize("case", NAMES)
def test_reasoning_is_found_under_every_name_once(case: str) -> None:
    """An empty string under one name never hides the text under another."""
    assert reasoning_of(CHAT.decode_response(whole(NAMES[case]))) == "why"
    body = stream(delta(**NAMES[case]), delta("stop"))
    assert reasoning_of(folded(decode(body))) == "why"


DETAILS: dict[str, list[Any]] = {
    "none": [],
    "text": [{"type": "reasoning.text", "text": "a", "format": "unknown", "index": 0}],
    "keys in another order": [
        {"index": 0, "format": "unknown", "text": "a", "type": "reasoning.text"}
    ],
    "text and signature": [
        {
            "type": "reasoning.text",
            "text": "a",
            "signature": "c2ln==",
            "format": "anthropic-claude-v1",
            "index": 0,
        }
    ],
    "signature only": [
        {"type": "reasoning.text", "signature": "c2ln", "format": "google-gemini-v1", "index": 0}
    ],
    "signature and an empty text": [
        {"type": "reasoning.text", "text": "", "signature": "c2ln", "format": None, "index": 0}
    ],
    "encrypted for a tool call": [
        {
            "type": "reasoning.encrypted",
            "data": "ZW5j",
            "id": "tool_weather_x",
            "format": "google-gemini-v1",
            "index": 0,
        }
    ],
    "summary, then encrypted": [
        {"type": "reasoning.summary", "summary": "s", "format": "xai-responses-v1", "index": 0},
        {
            "type": "reasoning.encrypted",
            "data": "ZW5j",
            "format": "xai-responses-v1",
            "id": "rs_1",
            "index": 0,
        },
    ],
    "unknown types and keys": [
        {"type": "reasoning.server_tool_call", "tool_name": "search", "arguments": "{}"},
        {"type": "reasoning.text", "text": "a", "odd": [1.50]},
        "no object",
    ],
}
"""What stood in `reasoning_details`; [] says something to one host, so it is kept as well."""


@pytest.mark.parametrize("case", DETAILS)
def test_details_go_back_byte_for_byte(case: str) -> None:
    message = {"role": "assistant", "content": "hi", "reasoning_details": DETAILS[case]}
    request = {"model": "m", "messages": [{"role": "user", "content": "q"}, message]}
    text = json.dumps(json.loads(json.dumps(DETAILS[case])))
    body, losses = CHAT.encode_request(CHAT.decode_request(json.dumps(request)))
    assert not losses
    written: Any = json.loads(body)
    assert json.dumps(written["messages"][1]["reasoning_details"]) == text
    answer = CHAT.decode_response(whole({"reasoning_details": DETAILS[case]}))
    assert isinstance(answer, Response)
    document: Any = CHAT.encode_response(answer)[0]
    assert json.dumps(document["choices"][0]["message"]["reasoning_details"]) == text


def test_a_streamed_turn_goes_back_as_one_text_with_its_signature() -> None:
    """Anthropic's shape: one text a chunk, then a chunk with the signature alone."""
    head = {"format": "anthropic-claude-v1", "index": 0}
    body = stream(
        delta(reasoning="I ", reasoning_details=[detail("I ", **head)]),
        delta(reasoning="think", reasoning_details=[detail("think", **head)]),
        delta(reasoning_details=[{"type": "reasoning.text", "signature": "c2ln", **head}]),
        delta(content="hi"),
        delta("stop"),
    )
    parts = folded(decode(body)).choices[0].parts
    request = Request(model="m", messages=(Message(role=Role.ASSISTANT, parts=parts),))
    document: Any = json.loads(CHAT.encode_request(request)[0])
    assert document["messages"][0]["reasoning_details"] == [
        {"type": "reasoning.text", "text": "I think", "signature": "c2ln", **head}
    ]


def test_different_kinds_indexes_and_ids_stay_apart() -> None:
    body = stream(
        delta(reasoning_details=[{"type": "reasoning.summary", "summary": "a", "index": 0}]),
        delta(reasoning_details=[{"type": "reasoning.summary", "summary": "b", "index": 1}]),
        delta(
            reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 1}]
        ),
        delta(
            reasoning_details=[{"type": "reasoning.encrypted", "data": "y", "id": "s", "index": 1}]
        ),
        delta("stop"),
    )
    parts = [
        (part.form, part.text, part.sealed, part.id)
        for part in folded(decode(body)).choices[0].parts
        if isinstance(part, ReasoningPart)
    ]
    assert parts == [
        (ReasoningForm.SUMMARY, "a", None, None),
        (ReasoningForm.SUMMARY, "b", None, None),
        (ReasoningForm.SEALED, "", "x", "r"),
        (ReasoningForm.SEALED, "", "y", "s"),
    ]


FOREIGN = ReasoningPart(text="why", signature="c2ln", format="elsewhere-v1")


def test_clients_read_reasoning_of_other_dialects_under_both_names() -> None:
    choice = Choice(parts=(FOREIGN, TextPart(text="hi")), reason=FinishReason.STOP)
    answer = Response(choices=(choice,))
    document: Any = CHAT.encode_response(answer)[0]
    message = document["choices"][0]["message"]
    assert message["reasoning"] == "why"
    assert message["reasoning_details"][0]["text"] == "why"
    assert bare(folded(decode(encode([list(unfold(answer))])))).get("choices")[0]["parts"] == bare(
        choice.parts
    )


def sent(*parts: Part) -> tuple[Any, list[tuple[str, str]]]:
    """The message that an upstream gets for `parts`, and what was lost of them."""
    request = Request(model="m", messages=(Message(role=Role.ASSISTANT, parts=parts),))
    body, losses = CHAT.encode_request(request)
    document: Any = json.loads(body)
    return document["messages"][0], [(loss.path, loss.action) for loss in losses]


def test_upstreams_get_foreign_reasoning_with_the_format_that_says_who_reads_it() -> None:
    """R18: a gateway of the contract sorts it out; for other hosts a quirk takes it away."""
    message, losses = sent(FOREIGN, TextPart(text="hi"))
    assert message == {
        "content": "hi",
        "reasoning_details": [
            {
                "type": "reasoning.text",
                "text": "why",
                "signature": "c2ln",
                "format": "elsewhere-v1",
                "index": 0,
            }
        ],
        "role": "assistant",
    }
    assert not losses


NOBODYS: dict[str, tuple[ReasoningPart, list[Any], bool]] = {
    "a text alone is no artefact": (
        ReasoningPart(text="why"),
        [{"type": "reasoning.text", "text": "why", "format": None, "index": 0}],
        False,
    ),
    "a text stays without its signature": (
        ReasoningPart(text="why", signature="c2ln"),
        [{"type": "reasoning.text", "text": "why", "format": None, "index": 0}],
        True,
    ),
    "sealed": (ReasoningPart(form=ReasoningForm.SEALED, sealed="x"), [], True),
    "a signature alone": (ReasoningPart(signature="c2ln"), [], True),
}


@pytest.mark.parametrize("case", NOBODYS)
def test_upstreams_never_get_an_artefact_that_nobody_is_known_to_read(case: str) -> None:
    part, details, lost = NOBODYS[case]
    message, losses = sent(part, TextPart(text="hi"))
    assert message.get("reasoning_details", []) == details
    assert losses == ([("/messages/0/parts/0", "dropped")] if lost else [])


@pytest.mark.parametrize("member", ["reasoning", "reasoning_content"])
def test_upstreams_get_their_own_reasoning_back_under_its_name(member: str) -> None:
    message = {"role": "assistant", "content": "hi", member: "why"}
    request = {"model": "m", "messages": [message]}
    body, losses = CHAT.encode_request(CHAT.decode_request(json.dumps(request)))
    assert json.equal(json.loads(body), request)
    assert not losses
