"""Quirks of requests."""

import re
from typing import Any

import pytest

from arno.providers import load_catalogue, message_quirks
from arno.providers.quirks import _CONCERNS, QUIRKS, apply, apply_and_tell
from arno.wire import json
from tests.providers.recorded import plan_for

OLD, NEW = "max_tokens", "max_completion_tokens"

CASES = [
    ([NEW], {OLD: 5}, {NEW: 5}),
    ([NEW], {NEW: 5}, {NEW: 5}),
    ([NEW], {OLD: 5, NEW: 6}, {NEW: 6}),
    ([NEW], {OLD: 5, NEW: None}, {NEW: 5}),
    ([NEW], {OLD: None, NEW: 6}, {NEW: 6}),
    ([NEW], {OLD: None}, {}),
    ([OLD], {OLD: None, NEW: 5}, {OLD: 5}),
    ([NEW], {"a": 1}, {"a": 1}),
    ([OLD], {NEW: 5}, {OLD: 5}),
    ([OLD], {OLD: 5}, {OLD: 5}),
    ([OLD], {OLD: 6, NEW: 5}, {OLD: 6}),
    (["no_stream_options"], {"stream_options": {"include_usage": True}, "a": 1}, {"a": 1}),
    ([OLD, "no_stream_options"], {"stream_options": None, NEW: 1}, {OLD: 1}),
    (["effort_alone"], {"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
    (
        ["effort_alone"],
        {"reasoning": {"effort": "low"}, "reasoning_effort": "high"},
        {"reasoning_effort": "high"},
    ),
    (["effort_alone"], {"reasoning": {"max_tokens": 2048}}, {"reasoning_effort": "low"}),
    (["effort_alone"], {"reasoning": {"max_tokens": 2049}}, {"reasoning_effort": "medium"}),
    (["effort_alone"], {"reasoning": {"max_tokens": 9000}}, {"reasoning_effort": "high"}),
    (["effort_alone"], {"reasoning": {"enabled": True}}, {"reasoning_effort": "medium"}),
    (["effort_alone"], {"reasoning": {"enabled": False}}, {"reasoning_effort": "none"}),
    (["effort_alone"], {"reasoning": {"exclude": True}}, {}),
    (["effort_alone"], {"reasoning": None}, {}),
    (["effort_alone"], {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ([], {OLD: 5, NEW: 6, "stream_options": {}}, {OLD: 5, NEW: 6, "stream_options": {}}),
]


def call(id_: str | None, **members: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": '{"x": 1.50}'}
    asked = {"type": "function", "function": function, **({} if id_ is None else {"id": id_})}
    return {"role": "assistant", "content": None, "tool_calls": [asked], **members}


def result(id_: str, content: Any = "18 C") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


DETAIL = {"type": "reasoning.text", "text": "why", "signature": "c2ln", "format": "f-v1"}
SUMMARY = {"type": "reasoning.summary", "summary": " so", "format": "f-v1"}
SEALED = {"type": "reasoning.encrypted", "data": "x", "format": "f-v1"}
BARE = {"role": "assistant", "content": "hi"}
THOUGHT = {**BARE, "reasoning": "why", "reasoning_content": "why", "reasoning_details": [DETAIL]}
PICTURE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
SAID = {"type": "text", "text": "a map"}
LONG = "a" * 94

MESSAGES: list[tuple[str, list[Any], list[Any]]] = [
    ("system_role", [{"role": "developer", "content": "a"}], [{"role": "system", "content": "a"}]),
    ("system_role", [{"role": "user", "content": "a developer"}], []),
    ("no_reasoning", [THOUGHT, user()], [BARE, user()]),
    ("no_reasoning", [BARE], []),
    ("no_reasoning_details", [{**BARE, "reasoning_details": [SEALED]}], [BARE]),
    ("no_reasoning_details", [{**BARE, "reasoning": "why"}], []),
    ("reasoning_content", [{**BARE, "reasoning": "why"}], [{**BARE, "reasoning_content": "why"}]),
    (
        "reasoning_content",
        [{**BARE, "reasoning_details": [DETAIL, SUMMARY, SEALED, "odd"]}],
        [{**BARE, "reasoning_content": "why so"}],
    ),
    ("reasoning_content", [{**BARE, "reasoning_details": [SEALED]}], [BARE]),
    ("reasoning_content", [{**BARE, "reasoning_details": {}, "reasoning": 5}], [BARE]),
    ("reasoning_content", [THOUGHT], [{**BARE, "reasoning_content": "why"}]),
    ("reasoning_content", [{**BARE, "reasoning_content": "why"}], []),
    ("thinking_calls", [call("a")], [call("a", reasoning_content="")]),
    ("thinking_calls", [call("a", reasoning_content="why"), {**BARE, "tool_calls": []}], []),
    ("short_ids", [call("weather:0"), result("weather:0"), call("a" * 40), call(None)], []),
    ("short_ids", [{**BARE, "tool_calls": None}, {"role": "tool", "tool_call_id": None}], []),
    ("nine_ids", [call("AbCdEf123"), result("AbCdEf123")], []),
    ("media_after_results", [result("a", [SAID]), user(PICTURE)], []),
    (
        "media_after_results",
        [call("a"), result("a", [SAID, PICTURE]), result("b"), BARE],
        [
            call("a"),
            result("a", [SAID]),
            result("b"),
            user({"type": "text", "text": "Media of tool result a:"}, PICTURE),
            BARE,
        ],
    ),
    (
        "media_after_results",
        [result("a", [PICTURE])],
        [
            result("a", [{"type": "text", "text": "The result is the media that follow."}]),
            user({"type": "text", "text": "Media of tool result a:"}, PICTURE),
        ],
    ),
]
"""Quirk, messages that are asked, messages that are sent: none for those that stay as they are."""


@pytest.mark.parametrize(("quirk", "asked", "sent"), MESSAGES)
def test_messages_that_are_sent(quirk, asked, sent):
    body = json.dumps({"a": 1, "messages": asked})
    told = apply([quirk], body)
    if sent:
        assert json.loads(told) == {"a": 1, "messages": sent}
        assert apply([quirk], told) is told
    else:
        assert told is body


IDS = ["weather:0", "functions.add:0", "a:0", "a_0", LONG, LONG + "b", "", "0", "call 1", "ü" * 50]
RULES = {"short_ids": re.compile(r".{1,40}"), "nine_ids": re.compile(r"[a-zA-Z0-9]{9}")}


@pytest.mark.parametrize("quirk", RULES)
def test_ids_are_rewritten_one_to_one_the_same_for_call_and_result(quirk):
    """R15: whatever the client's ids, the host's rule holds and each result finds its call."""
    asked = [message for id_ in IDS for message in (call(id_), result(id_))]
    messages = json.loads(apply([quirk], json.dumps({"messages": asked})))["messages"]
    calls = [m["tool_calls"][0]["id"] for m in messages[::2]]
    assert calls == [m["tool_call_id"] for m in messages[1::2]]
    assert len(set(calls)) == len(IDS)
    assert all(RULES[quirk].fullmatch(id_) for id_ in calls)
    turn = json.loads(apply([quirk], json.dumps({"messages": asked[4:6]})))["messages"]
    assert turn[0]["tool_calls"][0]["id"] == calls[2]


def test_a_mapping_that_cuts_ids_is_noticed(monkeypatch):
    monkeypatch.setattr(message_quirks, "to_wire", lambda text, rule: text[: rule.most])
    with pytest.raises(AssertionError):
        test_ids_are_rewritten_one_to_one_the_same_for_call_and_result("short_ids")


@pytest.mark.parametrize("quirk", sorted({quirk for quirk, _, _ in MESSAGES}))
@pytest.mark.parametrize(
    "messages",
    [None, "reasoning", 5, {}, [5], [None], [[]], [{}], [{"role": 5, "tool_calls": 5}]],
)
def test_what_is_no_conversation_goes_on_as_it_is(quirk, messages):
    told = {"reasoning": 1, "reasoning_details": 1, "developer": 1, "image_url": 1, "file": 1}
    body = json.dumps({"messages": messages, "tool_calls": told})
    assert apply([quirk], body) is body


TOLD = [
    ("effort_alone", {"reasoning": {"effort": "low"}}, []),
    ("effort_alone", {"reasoning": {"effort": "low", "exclude": None}}, []),
    ("effort_alone", {"reasoning": {"max_tokens": 5}}, [("/reasoning", "approximated")]),
    ("effort_alone", {"reasoning": "odd"}, []),
    ("no_reasoning", {"messages": [THOUGHT]}, [("/messages", "dropped")]),
    ("no_reasoning", {"messages": [BARE], "reasoning_effort": "low"}, []),
    ("no_reasoning_details", {"messages": [THOUGHT]}, [("/messages", "dropped")]),
    ("reasoning_content", {"messages": [THOUGHT]}, []),
    ("system_role", {"messages": [{"role": "developer"}]}, [("/messages", "renamed")]),
    (
        "media_after_results",
        {"messages": [result("a", [PICTURE])]},
        [("/messages", "approximated")],
    ),
    ("short_ids", {"messages": [call(LONG)]}, []),
    (NEW, {OLD: 5}, []),
]


@pytest.mark.parametrize(("quirk", "asked", "told"), TOLD)
def test_what_a_quirk_takes_away_is_told(quirk, asked, told):
    sent, losses = apply_and_tell([quirk, quirk], json.dumps(asked))
    assert [(loss.path, loss.action) for loss in losses] == told
    assert sent == apply([quirk], json.dumps(asked))


READS_DETAILS = {"vercel": "it makes details of reasoning itself, and reads them"}


def test_artefacts_of_reasoning_never_reach_a_host_that_does_not_make_them():
    """R18: every row that is no gateway of the contract takes them away, or it is said why not."""
    away = {"no_reasoning", "no_reasoning_details", "reasoning_content"}
    keeps = {
        slug
        for slug, row in load_catalogue().known.items()
        if row.dialect == "chat" and not row.contract and not away & set(row.quirks)
    }
    assert keeps == set(READS_DETAILS)


@pytest.mark.parametrize(("quirks", "asked", "sent"), CASES)
def test_what_is_sent(quirks, asked, sent):
    assert json.loads(apply(quirks, json.dumps(asked))) == sent


def test_every_quirk_is_tested_and_used_by_a_row():
    used = {name for row in load_catalogue().known.values() for name in row.quirks}
    tested = {name for quirks, _, _ in CASES for name in quirks} | {quirk for quirk, *_ in MESSAGES}
    assert used == tested == set(QUIRKS) == set(_CONCERNS)


def test_a_word_of_the_prompt_is_no_member():
    body = b'{"messages": "max_tokens, max_completion_tokens, stream_options, developer",  "a": 1}'
    assert apply(QUIRKS, body) is body


@pytest.mark.parametrize("quirk", QUIRKS)
def test_a_request_that_needs_no_quirk_stays_byte_for_byte(quirk):
    body = b'{ "model" : "m", "seed": 12345678901234567890123, "x": 1.50, "a": "\\u00e9" }'
    assert apply([quirk], body) is body


def test_what_a_quirk_does_not_touch_keeps_its_spelling():
    body = b'{"max_tokens": 5, "seed": 12345678901234567890123, "x": 1.50, "a": "\\u00e9"}'
    sent = apply([NEW], body)
    for piece in (b"12345678901234567890123", b"1.50", b'"\\u00e9"'):
        assert piece in sent


def test_what_a_quirk_of_messages_does_not_touch_keeps_its_spelling():
    body = b'{"messages": [{"role": "developer", "content": "\\u00e9", "n": 1.50}], "seed": 1e3}'
    sent = apply(["system_role"], body)
    for piece in (b'"\\u00e9"', b"1.50", b"1e3"):
        assert piece in sent


def test_a_client_is_told_in_its_own_words():
    """Through the plan of an attempt, as the header and the usage object tell it."""
    messages = [{"role": "user", "content": "q"}, THOUGHT, {"role": "user", "content": "r"}]
    asked = {"model": "groq/m", "messages": messages, "reasoning": {"max_tokens": 5}}
    plan, _ = plan_for("groq", "groq/m", json.dumps(asked))
    assert [(loss.path, loss.action) for loss in plan.losses] == [
        ("reasoning", "approximated"),
        ("messages", "dropped"),
    ]
    sent = json.loads(plan.request("key", None).body)
    assert sent["messages"][1] == BARE
    plain = json.dumps({**asked, "messages": [BARE], "reasoning": None})
    assert not plan_for("groq", "groq/m", plain)[0].losses
