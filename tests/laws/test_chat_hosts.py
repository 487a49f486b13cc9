"""What real hosts do that documents do not say: each habit with the recordings that show it.

A habit is found in the wire's own documents, without the dialect's code, so that the table says how
often it was recorded; what the dialect makes of it is held for each of these recordings. Habits of
hosts that were not recorded are told by scripts, from the table of quirks.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from arno.canon.events import KeepAlive, StreamError
from arno.canon.parts import ReasoningPart, TextPart, ToolCallPart
from arno.canon.response import Choice, FinishReason, Response
from arno.wire import json
from tests.dialects.chat.building import delta, entry, piece, stream, whole
from tests.laws import recordings
from tests.laws.harness import CHAT, bare, decode, folded, frames_of
from tests.laws.recordings import FAILED_STREAMS, Recording
from tests.shared import needs_shared

Document = dict[str, Any]


def documents_of(case: Recording) -> list[Document]:
    """The JSON documents of an answer, whole or streamed."""
    if not case.stream:
        return [document_of(case.body)]
    data = [frame.data for frame in frames_of(case.body)]
    return [document_of(text) for text in data if text and text.strip().startswith(b"{")]


def document_of(text: bytes) -> Document:
    document: Any = json.loads(text)
    return document


def choices_of(case: Recording) -> Iterator[Document]:
    for document in documents_of(case):
        yield from document.get("choices") or ()


def messages_of(case: Recording) -> Iterator[Document]:
    for choice in choices_of(case):
        yield choice.get("message") or choice.get("delta") or {}


def usages_of(case: Recording) -> list[Document]:
    return [usage for document in documents_of(case) if (usage := document.get("usage"))]


def answer_of(case: Recording) -> Response:
    answer = folded(decode(case.body)) if case.stream else CHAT.decode_response(case.body)
    assert isinstance(answer, Response)
    return answer


def first(case: Recording) -> Choice:
    return answer_of(case).choices[0]


def text_of(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, TextPart))


def thoughts_of(choice: Choice) -> str:
    return "".join(part.text for part in choice.parts if isinstance(part, ReasoningPart))


def calls_of(choice: Choice) -> list[ToolCallPart]:
    return [part for part in choice.parts if isinstance(part, ToolCallPart)]


def said(case: Recording, *members: str) -> str:
    """What the wire says under the first of these names that a message has text under."""
    pieces = (next((m[n] for n in members if m.get(n)), "") for m in messages_of(case))
    return "".join(piece for piece in pieces if isinstance(piece, str))


def reasoning_beside(case: Recording) -> bool:
    """Reasoning is no part of completion_tokens, and the total tells so."""
    return any(
        usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + thought
        for usage in usages_of(case)
        if (thought := (usage.get("completion_tokens_details") or {}).get("reasoning_tokens"))
    )


def reasoning_is_output(case: Recording) -> None:
    usage, told = answer_of(case).usage, usages_of(case)[-1]
    assert usage is not None
    assert usage.output == told["total_tokens"] - told["prompt_tokens"]


def under(member: str) -> Callable[[Recording], bool]:
    return lambda case: any(message.get(member) for message in messages_of(case))


def reasoning_is_read(case: Recording) -> None:
    assert thoughts_of(first(case)) == said(case, "reasoning_content", "reasoning")


def empty_finish(case: Recording) -> bool:
    return all(not choice.get("finish_reason") for choice in choices_of(case))


def reason_is_made_of_calls_alone(case: Recording) -> None:
    choice = first(case)
    assert choice.reason == (FinishReason.TOOL_CALLS if calls_of(choice) else None)


def empty_names(case: Recording) -> bool:
    return any(d.get("id") == "" and d.get("model") == "" for d in documents_of(case))


def names_come_later(case: Recording) -> None:
    ids = [d["id"] for d in documents_of(case) if d["id"]]
    assert answer_of(case).id == ids[0]


def empty_call(case: Recording) -> bool:
    return any((m.get("function_call") or {}).get("name") == "" for m in messages_of(case))


def no_call_is_made(case: Recording) -> None:
    asked = [call for m in messages_of(case) for call in m.get("tool_calls") or ()]
    assert len(calls_of(first(case))) == len(asked)


def usage_twice(case: Recording) -> bool:
    return case.stream and len(usages_of(case)) > 1


def last_usage_counts(case: Recording) -> None:
    usage = answer_of(case).usage
    assert usage is not None
    assert usage.input == usages_of(case)[-1]["prompt_tokens"]


def finish_twice(case: Recording) -> bool:
    return case.stream and sum(bool(c.get("finish_reason")) for c in choices_of(case)) > 1


def one_finish(case: Recording) -> None:
    words = [c["finish_reason"] for c in choices_of(case) if c.get("finish_reason")]
    assert first(case).reason in (words[0], FinishReason.TOOL_CALLS)


def whole_calls(case: Recording) -> bool:
    """A call's id, name and arguments in one delta."""
    return case.stream and any(
        call.get("id") and (call.get("function") or {}).get("arguments", "").endswith("}")
        for message in messages_of(case)
        for call in message.get("tool_calls") or ()
    )


def calls_are_whole(case: Recording) -> None:
    asked = [c for m in messages_of(case) for c in m.get("tool_calls") or ()]
    told = [(c.call_id, c.name, c.arguments) for c in calls_of(first(case))]
    assert told == [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in asked]


def comments(case: Recording) -> bool:
    return case.stream and case.body.startswith(b":")


def comments_are_no_content(case: Recording) -> None:
    assert any(isinstance(event, KeepAlive) for event in decode(case.body))
    without = b"\n".join(line for line in case.body.split(b"\n") if not line.startswith(b":"))
    assert bare(folded(decode(without))) == bare(answer_of(case))


def padding(case: Recording) -> bool:
    return not case.stream and case.body[:1].isspace()


def padding_is_no_content(case: Recording) -> None:
    assert bare(CHAT.decode_response(case.body.strip())) == bare(answer_of(case))


def head_without_choices(case: Recording) -> bool:
    return case.stream and documents_of(case)[0].get("choices") == []


def answer_begins_later(case: Recording) -> None:
    assert text_of(first(case)) == said(case, "content")


def sealed_details(case: Recording) -> bool:
    details = (d for m in messages_of(case) for d in m.get("reasoning_details") or ())
    return any(detail.get("type") == "reasoning.encrypted" for detail in details)


def artefacts_are_kept(case: Recording) -> None:
    details = [d for m in messages_of(case) for d in m.get("reasoning_details") or ()]
    told = {d["data"] for d in details if d.get("type") == "reasoning.encrypted"}
    kept = {p.sealed for p in first(case).parts if isinstance(p, ReasoningPart) and p.sealed}
    assert kept == told


HABITS: dict[str, tuple[Callable[[Recording], bool], Callable[[Recording], None]]] = {
    "reasoning beside the completion": (reasoning_beside, reasoning_is_output),
    "reasoning_content": (under("reasoning_content"), reasoning_is_read),
    "reasoning": (under("reasoning"), reasoning_is_read),
    "a finish that says nothing": (empty_finish, reason_is_made_of_calls_alone),
    "names without a letter": (empty_names, names_come_later),
    "an empty function_call": (empty_call, no_call_is_made),
    "usage twice": (usage_twice, last_usage_counts),
    "two finishes": (finish_twice, one_finish),
    "whole calls in one delta": (whole_calls, calls_are_whole),
    "comments": (comments, comments_are_no_content),
    "padding before the body": (padding, padding_is_no_content),
    "a first chunk without choices": (head_without_choices, answer_begins_later),
    "sealed reasoning": (sealed_details, artefacts_are_kept),
}
"""How a habit shows on the wire, and what the dialect makes of it."""

SHOWN: dict[str, dict[str, int]] = {
    "reasoning beside the completion": {"xai": 2},
    "reasoning_content": {"local": 4, "zai": 16},
    "reasoning": {"cerebras": 3, "crusoe": 1, "groq": 7, "local": 1, "openrouter": 15},
    "a finish that says nothing": {"snowflake": 4},
    "names without a letter": {"azure": 3},
    "an empty function_call": {"snowflake": 4},
    "usage twice": {"groq": 5},
    "two finishes": {"openrouter": 11},
    "whole calls in one delta": {"groq": 4, "zai": 3},
    "comments": {"openrouter": 13},
    "padding before the body": {"openrouter": 10},
    "a first chunk without choices": {"azure": 3},
    "sealed reasoning": {"openrouter": 3},
}
"""Who shows a habit, and in how many recordings."""


@needs_shared
@pytest.mark.parametrize("habit", HABITS)
def test_a_habit_is_recorded_and_read(habit: str) -> None:
    shows, holds = HABITS[habit]
    found: dict[str, int] = {}
    for case in (*recordings.answers(), *recordings.streams()):
        if shows(case):
            found[case.provider] = found.get(case.provider, 0) + 1
            try:
                holds(case)
            except AssertionError as error:
                error.add_note(f"in {case.id}")
                raise
    assert found == SHOWN[habit]


@needs_shared
def test_groq_tells_its_failures_in_events_of_their_own() -> None:
    """`event: error` inside a good answer, and no end mark behind it."""
    rows = {row.id: row for row in recordings.recorded()}
    shown = [name for name in FAILED_STREAMS if b"event: error" in rows[name].body]
    assert len(shown) == 2
    for name in shown:
        last = decode(rows[name].body)[-1]
        assert isinstance(last, StreamError)
        assert last.failure.code == "tool_use_failed"


def thinking(text: str) -> Document:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


def named(document: Document, id_: str) -> Document:
    return {**document, "id": id_}


USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
WHY = ReasoningPart(text="why")
HI = TextPart(text="hi")
FINISH = {"index": 0, "delta": {}, "finish_reason": "stop"}
CALL = ToolCallPart(call_id="functions.add:0", name="add", arguments='{"a":1}')

SCRIPTS: dict[str, tuple[list[Document], tuple[Any, ...], FinishReason]] = {
    "Mistral: content in blocks": (
        [
            delta(**thinking("w")),
            delta(**thinking("hy")),
            delta(content=[{"type": "text", "text": "h"}]),
            delta("stop", content="i"),
        ],
        (WHY, HI),
        FinishReason.STOP,
    ),
    "DeepSeek: reasoning, then content that was null": (
        [
            delta(role="assistant", content=None, reasoning_content="why"),
            delta(content="hi", reasoning_content=None),
            {**delta("stop", content="", reasoning_content=None), "usage": USAGE},
        ],
        (WHY, HI),
        FinishReason.STOP,
    ),
    "Kimi: usage inside the last choice": (
        [
            delta(role="assistant", content=""),
            delta(reasoning_content="why"),
            delta(content="hi"),
            {"id": "c", "choices": [{**FINISH, "usage": USAGE}]},
        ],
        (WHY, HI),
        FinishReason.STOP,
    ),
    "Kimi: ids with the tool's name": (
        [
            piece(entry("", index=0, id="functions.add:0", name="add")),
            piece(entry('{"a":1}', index=0)),
            {**delta("tool_calls"), "usage": USAGE},
        ],
        (CALL,),
        FinishReason.TOOL_CALLS,
    ),
    "Avian: another id from the middle on, two copies of reasoning, two finishes": (
        [
            named(delta(role="assistant", reasoning="w", reasoning_content="w"), "chatcmpl-1"),
            named(
                delta(
                    reasoning="hy",
                    reasoning_details=[{"type": "reasoning.text", "text": "hy", "index": 0}],
                ),
                "gen-1",
            ),
            named(delta(content="hi"), "gen-1"),
            named(delta("stop"), "gen-1"),
            named({**delta("stop"), "usage": USAGE}, "gen-1"),
        ],
        (ReasoningPart(text="w"), ReasoningPart(text="hy"), HI),
        FinishReason.STOP,
    ),
    "Snowflake: no finish at all": (
        [
            {"id": "", "model": "", "choices": [{"delta": {"content": "h"}}]},
            {"id": "", "model": "", "choices": [{"delta": {"content": "i"}}]},
            {"id": "", "model": "", "choices": [], "usage": USAGE},
        ],
        (HI,),
        FinishReason.STOP,
    ),
    "vLLM: members of its own, a stop that hides calls": (
        [
            delta(role="assistant", content="", reasoning_content=None),
            delta(reasoning="why", token_ids=None),
            piece(entry("", index=0, id="functions.add:0", name="add"), content=None),
            piece(entry('{"a":1}', index=0)),
            {"id": "c", "choices": [{**FINISH, "stop_reason": 151645, "token_ids": None}]},
            {"id": "c", "choices": [], "usage": {**USAGE, "prompt_tokens_details": None}},
        ],
        (WHY, CALL),
        FinishReason.TOOL_CALLS,
    ),
    "Ollama: a whole call, a fingerprint": (
        [
            {
                **piece(entry('{"a":1}', index=0, id="functions.add:0", name="add")),
                "system_fingerprint": "fp_ollama",
            },
            {**delta("tool_calls", content=""), "usage": USAGE},
        ],
        (CALL,),
        FinishReason.TOOL_CALLS,
    ),
}
"""Chunks of hosts without a recording of the habit, what they say, and why they end."""


@pytest.mark.parametrize("case", SCRIPTS)
def test_habits_that_were_not_recorded(case: str) -> None:
    """Sources: the table of measured quirks; the hosts' references of their streams."""
    documents, parts, reason = SCRIPTS[case]
    events = decode(stream(*documents), lambda: CHAT.stream_decoder(finish_optional=True))
    answer = folded(events)
    (choice,) = answer.choices
    assert bare(choice.parts) == bare(parts)
    assert choice.reason == reason
    told = any("usage" in d or "usage" in str(d["choices"]) for d in documents)
    assert (answer.usage is not None) is told
    assert answer.usage is None or (answer.usage.input, answer.usage.output) == (9, 4)


def test_a_whole_answer_in_blocks() -> None:
    content = [*thinking("why")["content"], {"type": "text", "text": "hi"}]
    answer = CHAT.decode_response(whole({"content": content}))
    assert isinstance(answer, Response)
    assert bare(answer.choices[0].parts) == bare((WHY, HI))


def test_the_table_of_scripts_notices_a_decoder_that_reads_one_name_only() -> None:
    """The control: without `reasoning_content` the scripts say less."""
    documents, parts, _ = SCRIPTS["DeepSeek: reasoning, then content that was null"]
    blind = [document_of(json.dumps(d).replace(b"reasoning_content", b"other")) for d in documents]
    answer = folded(decode(stream(*blind)))
    assert bare(answer.choices[0].parts) != bare(parts)
