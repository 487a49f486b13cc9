"""Items of a stream found again: by place, by name, by order; and what does not fit together."""

from typing import Any

import pytest

from arno.canon.events import StreamError
from arno.canon.failure import FailureKind
from arno.canon.parts import RefusalPart, ToolCallPart
from arno.dialects.bounds import MAX_HELD, MAX_OPEN
from tests.dialects.responses.building import (
    Document,
    added,
    created,
    ended,
    item_done,
    message,
    said,
    stream,
    text_delta,
)
from tests.laws.harness import decode, folded
from tests.laws.responses import RESPONSES

MESSAGE = message("hello", id="m1")
EMPTY = {**MESSAGE, "content": []}


def call(name: str = "f", arguments: str = "", **members: Any) -> Document:
    named = {"id": f"fc_{name}", "call_id": f"c_{name}", "name": name}
    return {"type": "function_call", **named, "arguments": arguments, **members}


def pieces(*deltas: str, index: int | None = 0, name: str = "f") -> list[Document]:
    kind = "response.function_call_arguments.delta"
    place = {} if index is None else {"output_index": index}
    return [{"type": kind, "item_id": f"fc_{name}", **place, "delta": delta} for delta in deltas]


def whole(event: str, **members: Any) -> Document:
    return {"type": f"response.{event}.done", "output_index": 0, **members}


def bare(document: Document) -> Document:
    """The same event of a host that counts nothing."""
    return {key: value for key, value in document.items() if key != "output_index"}


F, G = call("f", '{"a":1}'), call("g", '{"b":2}')
SPACED = call("f", '{"a": 1}')
PART = {"type": "output_text", "text": "hello", "annotations": []}
CITED = {**PART, "annotations": [{"type": "url_citation", "url": "https://x"}]}
FOUND = ("f", '{"a":1}')
OTHER = ("g", '{"b":2}')

FITS: dict[str, tuple[list[Document], list[Any]]] = {
    "whole with other white space": (
        [added(call()), *pieces('{"a":1}'), item_done(SPACED), ended(SPACED)],
        [FOUND],
    ),
    "whole says the rest": ([added(call()), *pieces('{"a"'), item_done(F), ended(F)], [FOUND]),
    "whole without arguments": (
        [added(call()), *pieces('{"a":1}'), item_done(call()), ended()],
        [FOUND],
    ),
    "announcement said again in pieces": (
        [added(F), *pieces('{"a"', ":1}"), item_done(F), ended(F)],
        [FOUND],
    ),
    "announcement alone": ([added(F), ended()], [FOUND]),
    "announcement and whole": ([added(F), item_done(F), ended(F)], [FOUND]),
    "first index is one": (
        [added(EMPTY, 1), text_delta("hello", 1), item_done(MESSAGE, 1), ended(MESSAGE)],
        ["hello"],
    ),
    "gap between indexes": (
        [item_done(F, 0), item_done(G, 5), ended(F, G)],
        [FOUND, OTHER],
    ),
    "last document in another order": (
        [
            added(EMPTY),
            text_delta("hello"),
            added(call(), 1),
            *pieces('{"a":1}', index=1),
            ended(F, MESSAGE),
        ],
        ["hello", FOUND],
    ),
    "last document with other ids": (
        [item_done(MESSAGE, 2), item_done(F, 3), ended({**MESSAGE, "id": "m9"}, {**F, "id": "x"})],
        ["hello", FOUND],
    ),
    "last document holds more": ([item_done(F), ended(G, F)], [FOUND, OTHER]),
    "no indexes": (
        [
            *[bare(added(call())), *pieces('{"a":1}', index=None), bare(item_done(F))],
            *[bare(added(call("g"))), *pieces('{"b":2}', index=None, name="g")],
            bare(item_done(G)),
            ended(F, G),
        ],
        [FOUND, OTHER],
    ),
    "no indexes, side by side": (
        [
            *[bare(added(call())), bare(added(call("g")))],
            *pieces('{"a"', index=None),
            *pieces('{"b"', index=None, name="g"),
            *pieces(":1}", index=None),
            *pieces(":2}", index=None, name="g"),
            ended(),
        ],
        [FOUND, OTHER],
    ),
    "no indexes, no ids": (
        [
            {"type": "response.output_text.delta", "delta": "hel"},
            {"type": "response.output_text.delta", "delta": "lo"},
            bare(item_done({**MESSAGE, "id": None})),
            ended({**MESSAGE, "id": None}),
        ],
        ["hello"],
    ),
    "all arguments at once": (
        [added(call()), whole("function_call_arguments", arguments='{"a":1}'), ended()],
        [FOUND],
    ),
    "all arguments at once before the name": (
        [
            *pieces('{"a"'),
            whole("function_call_arguments", arguments='{"a":1}'),
            added(call()),
            ended(),
        ],
        [FOUND],
    ),
    "arguments of which pieces were missing": (
        [
            added(call()),
            *pieces('{"a"'),
            whole("function_call_arguments", arguments='{"a":1}'),
            item_done(F),
            ended(F),
        ],
        [FOUND],
    ),
    "all text at once": (
        [added(EMPTY), whole("output_text", content_index=0, text="hello"), ended()],
        ["hello"],
    ),
    "all text at once, after pieces": (
        [text_delta("hello"), whole("output_text", content_index=0, text="hello"), ended()],
        ["hello"],
    ),
    "a part at once": ([whole("content_part", content_index=0, part=CITED), ended()], ["hello"]),
    "text with white space around it": (
        [text_delta("hello\n"), item_done(MESSAGE), ended(MESSAGE)],
        ["hello\n"],
    ),
    "a call without any arguments": ([added(call()), ended()], [("f", "{}")]),
    "a call cut off before its arguments": ([added(call()), ended(kind="incomplete")], [("f", "")]),
    "an item told twice": (
        [added(call()), added(call()), item_done(F), item_done(F), ended(F)],
        [FOUND],
    ),
}
"""Streams of hosts that count, name or repeat in ways of their own, and what they say."""


@pytest.mark.parametrize("case", FITS)
def test_everything_is_said_once(case: str) -> None:
    documents, wanted = FITS[case]
    events = decode(stream(created(), *documents), RESPONSES.stream_decoder)
    parts = folded(events).choices[0].parts
    assert [
        (part.name, part.arguments) if isinstance(part, ToolCallPart) else getattr(part, "text", "")
        for part in parts
    ] == wanted


BROKEN: dict[str, tuple[Document, ...]] = {
    "other arguments": (added(call()), *pieces('{"a":2}'), item_done(F)),
    "arguments cut in another layout": (added(call()), *pieces('{"a": '), item_done(F)),
    "other arguments at once": (
        added(call()),
        *pieces('{"a":2}'),
        whole("function_call_arguments", arguments='{"a":1}'),
    ),
    "another text": (text_delta("HELLO WORLD"), item_done(MESSAGE)),
    "arguments that nobody names": (*pieces('{"a":1}'),),
    "a call that nobody names": (added({**call(), "name": ""}),),
    "another call at its place": (item_done(F), item_done(G)),
    "another call begins at its place": (added(call()), *pieces('{"a":1}'), added(call("g"))),
    "another call ends at its place": (added(call()), item_done(G)),
    "another kind at its place": (added(call()), item_done(MESSAGE)),
    "a piece behind the end": (item_done(MESSAGE), text_delta("more")),
    "an entry that becomes another": (
        text_delta("hello"),
        item_done({**MESSAGE, "content": [{"type": "refusal", "refusal": "hello"}]}),
    ),
    "text in an item that holds none": (
        added({"type": "computer_call", "id": "cu", "call_id": "c"}),
        whole("output_text", content_index=0, text="hello"),
    ),
    "another call in the last document": (item_done(F), ended(G)),
}
"""Documents that leave open what the answer is; nothing of them may be told as a good end."""


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_fit_together_is_no_success(case: str) -> None:
    events = decode(stream(created(), *BROKEN[case], ended()), RESPONSES.stream_decoder)
    last = events[-1]
    assert isinstance(last, StreamError)
    assert last.failure.kind is FailureKind.INVALID_ANSWER


REFUSAL = {"type": "response.refusal.delta", "output_index": 0, "delta": "No."}
CITE = {
    "type": "response.output_text.annotation.added",
    "output_index": 0,
    "annotation": CITED["annotations"][0],
}


def test_what_is_no_text_takes_no_annotation() -> None:
    events = decode(stream(created(), REFUSAL, CITE, ended()), RESPONSES.stream_decoder)
    (part,) = folded(events).choices[0].parts
    assert isinstance(part, RefusalPart)
    assert part.text == "No."


def test_an_item_that_nobody_finished_can_be_written() -> None:
    """What the wire must have of it is known without its last document."""
    body = stream(created(), text_delta("hello"), CITE, ended())
    (item,) = said(decode(body, RESPONSES.stream_decoder))[-1]["response"]["output"]
    assert (item["type"], item["role"]) == ("message", "assistant")
    assert item["content"][0]["type"] == "output_text"
    assert len(item["content"][0]["annotations"]) == 1


def bounded(count: int) -> dict[str, list[Document]]:
    """Streams of `count` times what is bounded, a little of it each time."""
    half = "x" * (MAX_HELD // 2)
    return {
        "items": [text_delta("x", index) for index in range(MAX_OPEN // 2 * count)],
        "early arguments": pieces(*[half] * count),
        "arguments": [added(call()), *pieces(*[half] * count)],
    }


@pytest.mark.parametrize("case", bounded(0))
def test_a_stream_keeps_no_more_than_it_may(case: str) -> None:
    within, beyond = (
        decode(stream(created(), *bounded(count)[case]), RESPONSES.stream_decoder)[-1]
        for count in (2, 3)
    )
    assert isinstance(within, StreamError)
    assert isinstance(beyond, StreamError)
    assert within.failure.kind is FailureKind.TRUNCATED  # the control: it was only cut
    assert beyond.failure.kind is FailureKind.INVALID_ANSWER


def test_what_has_ended_is_kept_no_more() -> None:
    big = "x" * (MAX_HELD // 2)
    items = [message(big, id=f"m{index}") for index in range(3)]
    documents = [
        each for n, item in enumerate(items) for each in (text_delta(big, n), item_done(item, n))
    ]
    events = decode(stream(created(), *documents, ended()), RESPONSES.stream_decoder)
    assert len(folded(events).choices[0].parts) == 3
