"""Tool calls out of fragments and end reasons beside them: R3, R4, row 41 of the fault matrix.

Each letter of R3 is told in the layout a host uses; all must give the same two calls, whole and
restamped for clients that merge by index.
"""

from typing import Any

import pytest

from arno.canon.events import PartDelta, StreamError
from arno.canon.failure import Failure, FailureKind
from arno.canon.response import FinishReason, Response
from arno.dialects.chat import tool_calls
from tests.dialects.chat.building import (
    calls_of,
    delta,
    documents_of,
    entry,
    piece,
    restamped,
    stream,
    whole,
)
from tests.dialects.chat.fragments import R3, TWO, F, G
from tests.laws.harness import CHAT, decode, failed, folded, frames_of


@pytest.mark.parametrize("case", R3)
def test_fragments_become_two_calls(case: str) -> None:
    assert calls_of(folded(decode(stream(*R3[case], delta("tool_calls"))))) == TWO


@pytest.mark.parametrize("case", R3)
def test_clients_get_dense_indexes_and_each_id_and_name_once(case: str) -> None:
    said = documents_of(restamped(stream(*R3[case], delta("tool_calls"))))
    entries = [
        call
        for document in said
        for choice in document["choices"]
        for call in choice["delta"].get("tool_calls") or ()
    ]
    ids = [(call["index"], call["id"]) for call in entries if call.get("id")]
    names = [call["function"]["name"] for call in entries if call["function"].get("name")]
    assert ids == [(0, "a"), (1, "b")]
    assert names == ["f", "g"]
    texts = {0: "", 1: ""}
    for call in entries:
        texts[call["index"]] += call["function"].get("arguments") or ""
    assert texts == {0: F, 1: G}


@pytest.mark.parametrize("arguments", [None, "", "{}"])
def test_r3_i_a_call_without_arguments_gets_an_empty_object(arguments: str | None) -> None:
    opened = piece(entry(arguments, index=0, id="a", name="now"))
    body = stream(opened, delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("a", "now", "{}")]
    assert calls_of(folded(decode(restamped(body)))) == [("a", "now", "{}")]
    answer = CHAT.decode_response(whole({"tool_calls": [entry(arguments, id="a", name="now")]}))
    assert isinstance(answer, Response)
    assert calls_of(answer) == [("a", "now", "{}")]


@pytest.mark.parametrize("word", ["length", "content_filter"])
def test_nothing_is_made_up_for_a_call_that_was_cut_short(word: str) -> None:
    """Its arguments may just not have begun: {} would be an invented call."""
    opened = piece(entry("", index=0, id="a", name="now"))
    assert calls_of(folded(decode(stream(opened, delta(word))))) == [("a", "now", "")]
    answer = CHAT.decode_response(whole({"tool_calls": [entry("", id="a", name="now")]}, word))
    assert isinstance(answer, Response)
    assert calls_of(answer) == [("a", "now", "")]


UNATTRIBUTABLE: dict[str, list[dict[str, Any]]] = {
    "arguments before any call": [piece(entry(F))],
    "a name while another call is open": [
        piece(entry('{"x"', id="a", name="f")),
        piece(entry(G, name="g")),
    ],
    "an index that changes its tool": [
        piece(entry('{"x"', index=0, id="a", name="f")),
        piece(entry(G, index=0, name="g")),
    ],
    "an index nobody opened": [
        piece(entry(F, index=0, id="a", name="f")),
        piece(entry(G, index=1)),
    ],
    "an id that changes its tool": [
        piece(entry('{"x"', id="a", name="f")),
        piece(entry(G, id="a", name="g")),
    ],
    "an index below those that were opened": [
        piece(entry("", index=1, id="a", name="f"), entry("", index=2, id="b", name="g")),
        piece(entry(F, index=0)),
    ],
    "an id without a name": [piece(entry(F, index=0, id="a"))],
    "an entry that is no object": [delta(tool_calls=["f"])],
    "a function that is no object": [delta(tool_calls=[{"index": 0, "function": "f"}])],
}


@pytest.mark.parametrize("case", UNATTRIBUTABLE)
def test_what_belongs_to_no_call_is_an_error_never_a_merge(case: str) -> None:
    events = decode(stream(*UNATTRIBUTABLE[case], delta("tool_calls")))
    assert isinstance(events[-1], StreamError)
    assert events[-1].failure.kind is FailureKind.INVALID_ANSWER
    assert "tool call" in events[-1].failure.message
    error = documents_of(restamped(stream(*UNATTRIBUTABLE[case], delta("tool_calls"))))[-1]
    assert error["choices"][0]["finish_reason"] == "error"


def test_what_came_before_the_broken_fragment_is_delivered() -> None:
    broken = delta(tool_calls=["no entry"], content=" there")
    body = stream(delta(content="Hello"), broken)
    said = [event for event in decode(body) if isinstance(event, PartDelta)]
    assert [event.value for event in said] == ["Hello", " there"]
    documents = documents_of(restamped(body))
    assert [d["choices"][0]["delta"]["content"] for d in documents] == ["Hello", " there", ""]
    assert "error" in documents[-1]


def test_the_table_notices_an_assembler_that_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutant: everything goes to the last call. The fragments must not pass for two calls."""

    class Merges(tool_calls.CallAssembler):
        def _by_new_id(self, fragment: tool_calls.Fragment) -> tool_calls.OpenCall:
            return self.calls[-1] if self.calls else super()._by_new_id(fragment)

    monkeypatch.setattr("arno.dialects.chat.stream_choice.CallAssembler", Merges)
    unnoticed = [
        case
        for case, chunks in R3.items()
        if not failed(events := decode(stream(*chunks, delta("tool_calls"))))
        and calls_of(folded(events)) == TWO
    ]
    assert unnoticed == []


@pytest.mark.parametrize("arguments", ['{"x": 1', "[", "no JSON", '{"x":1}{"y":2}'])
def test_arguments_that_are_no_json_are_delivered_as_they_are(arguments: str) -> None:
    body = stream(piece(entry(arguments, index=0, id="a", name="f")), delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("a", "f", arguments)]
    answer = CHAT.decode_response(whole({"tool_calls": [entry(arguments, id="a", name="f")]}))
    assert isinstance(answer, Response)
    assert calls_of(answer) == [("a", "f", arguments)]


@pytest.mark.parametrize("given", ["weather:0", "functions.add:0", "0", 0, 17])
def test_ids_are_opaque(given: Any) -> None:
    body = stream(piece(entry(F, index=0, id=given, name="f")), delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [(str(given), "f", F)]


def test_a_missing_id_is_made_from_the_position() -> None:
    """Streamed and not: an answer to the call needs an id to point at."""
    call = {"index": 0, "id": "", "function": {"name": "f", "arguments": F}}
    body = stream(piece(call), delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("call_0", "f", F)]
    answer = CHAT.decode_response(whole({"tool_calls": [call]}))
    assert isinstance(answer, Response)
    assert calls_of(answer) == [("call_0", "f", F)]


NAMES_ALONE = {
    "without index": [
        piece(entry('{"x"', name="f")),
        piece(entry(":1}")),
        piece(entry(G, name="g")),
    ],
    "on one index": [
        piece(entry('{"x"', index=0, name="f")),
        piece(entry(":1}", index=0)),
        piece(entry(G, index=0, name="g")),
    ],
    "the same tool again": [
        piece(entry(F, name="f")),
        piece(entry(G, name="f")),
    ],
}


@pytest.mark.parametrize("case", NAMES_ALONE)
def test_a_name_opens_a_new_call_once_the_one_before_is_complete(case: str) -> None:
    second = "f" if case == "the same tool again" else "g"
    body = stream(*NAMES_ALONE[case], delta("tool_calls"))
    expected = [("call_0", "f", F), ("call_1", second, G)]
    assert calls_of(folded(decode(body))) == expected
    assert calls_of(folded(decode(restamped(body)))) == expected


def test_one_id_for_two_tools_is_two_calls() -> None:
    body = stream(
        piece(entry(F, id="a", name="f")), piece(entry(G, id="a", name="g")), delta("tool_calls")
    )
    assert calls_of(folded(decode(body))) == [("a", "f", F), ("a", "g", G)]


@pytest.mark.parametrize(
    ("pieces", "complete"),
    [
        ((), False),
        (("",), False),
        (("{}",), True),
        (("{", "}"), True),
        (('{"x":', "[1,{}]", "}"), True),
        (('{"x":', "[1,{}]"), False),
        (('{"}', '"'), False),
        (('{"}"', ":1}"), True),
        (('{"a\\', '"}'), False),
        (('{"a\\', '"}":1}'), True),
        (('{"a\\\\":1}',), True),
        (("{}", "{"), False),
        (("5",), False),
    ],
)
def test_arguments_are_complete_when_their_brackets_are(
    pieces: tuple[str, ...], complete: bool
) -> None:
    call = tool_calls.OpenCall(0, None)
    for piece_ in pieces:
        call.take(piece_)
    assert call.is_complete is complete


def test_one_id_on_two_indexes_is_two_calls() -> None:
    """Some hosts number ids per turn and repeat them; an index and a name together say more."""
    chunks = [
        piece(entry(F, index=0, id="a", name="f")),
        piece(entry(G, index=1, id="a", name="g")),
    ]
    body = stream(*chunks, delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("a", "f", F), ("a", "g", G)]


def test_one_id_on_two_indexes_is_told_apart_by_index() -> None:
    chunks = [
        piece(entry("", index=0, id="a", name="f"), entry("", index=1, id="a", name="g")),
        piece(entry('{"x"', index=0, id="a"), entry('{"y"', index=1, id="a")),
        piece(entry(":1}", index=0, id="a"), entry(":2}", index=1, id="a")),
    ]
    body = stream(*chunks, delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("a", "f", F), ("a", "g", G)]


def test_an_index_that_comes_later_than_the_id_opens_no_second_call() -> None:
    chunks = [
        piece(entry('{"x"', id="a", name="f")),
        piece(entry(":1}", index=0, id="a", name="f")),
    ]
    body = stream(*chunks, delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("a", "f", F)]


def test_the_type_says_which_of_two_members_counts() -> None:
    """One host fills both members of every call."""
    both = {
        "index": 0,
        "id": "a",
        "function": {"name": "f", "arguments": F},
        "custom": {"name": "g", "input": "x"},
    }
    for kind, expected in (("function", ("a", "f", F)), ("custom", ("a", "g", "x"))):
        call = {**both, "type": kind}
        assert calls_of(folded(decode(stream(piece(call), delta("tool_calls"))))) == [expected]
        answer = CHAT.decode_response(whole({"tool_calls": [call]}))
        assert isinstance(answer, Response)
        assert calls_of(answer) == [expected]


@pytest.mark.parametrize("call", ["f", 1, {"id": "a"}, {"id": "a", "function": "f"}])
def test_a_whole_answer_with_an_unreadable_call_is_a_failure(call: Any) -> None:
    answer = CHAT.decode_response(whole({"tool_calls": [call]}, "tool_calls"))
    assert isinstance(answer, Failure)
    assert answer.kind is FailureKind.INVALID_ANSWER


def test_later_pieces_of_a_custom_call_need_no_type() -> None:
    body = stream(
        piece({"index": 0, "id": "a", "type": "custom", "custom": {"name": "sh", "input": "l"}}),
        piece({"index": 0, "custom": {"input": "s"}}),
        delta("tool_calls"),
    )
    assert calls_of(folded(decode(body))) == [("a", "sh", "ls")]
    assert calls_of(folded(decode(restamped(body)))) == [("a", "sh", "ls")]


R4 = ["stop", "STOP", "completed", "end_turn", "tool_use", "tool_calls", "", None]
"""The words with which upstreams end a turn that asks for tools."""


@pytest.mark.parametrize("text_first", [True, False])
@pytest.mark.parametrize("word", R4)
def test_r4_a_turn_with_calls_ends_for_its_calls(word: str | None, text_first: bool) -> None:
    message: dict[str, Any] = {"tool_calls": [entry(F, index=0, id="a", name="f")]}
    if text_first:
        message["content"] = "I look."
    answer = CHAT.decode_response(whole(message, word))
    assert isinstance(answer, Response)
    assert answer.choices[0].reason is FinishReason.TOOL_CALLS
    assert answer.choices[0].native_reason == (word or None)
    body = stream(delta(**message), delta(word))
    decoder = CHAT.stream_decoder(finish_optional=not word)
    events = [e for frame in frames_of(body) for e in decoder.feed(frame).events]
    choice = folded([*events, *decoder.close().events]).choices[0]
    assert (choice.reason, choice.native_reason) == (FinishReason.TOOL_CALLS, word or None)


@pytest.mark.parametrize("word", ["length", "content_filter"])
def test_r4_a_turn_that_was_stopped_short_says_so(word: str) -> None:
    message: dict[str, Any] = {"tool_calls": [entry('{"x"', index=0, id="a", name="f")]}
    answer = CHAT.decode_response(whole(message, word))
    assert isinstance(answer, Response)
    choice = folded(decode(stream(delta(**message), delta(word)))).choices[0]
    assert answer.choices[0].reason == choice.reason == word


@pytest.mark.parametrize("word", ["stop", "STOP", "completed", "end_turn"])
def test_r4_a_plain_text_turn_stays_a_stop(word: str) -> None:
    answer = CHAT.decode_response(whole({"content": "hi"}, word))
    assert isinstance(answer, Response)
    choice = folded(decode(stream(delta(content="hi"), delta(word)))).choices[0]
    for read in (answer.choices[0], choice):
        assert (read.reason, read.native_reason) == (FinishReason.STOP, word)


def test_r4_clients_read_tool_calls_and_the_upstreams_own_word() -> None:
    call = entry(F, index=0, id="a", name="f")
    said = documents_of(restamped(stream(piece(call), delta("STOP"))))[-1]["choices"][0]
    assert (said["finish_reason"], said["native_finish_reason"]) == ("tool_calls", "STOP")


def test_a_native_reason_of_its_own_is_kept() -> None:
    last = delta("stop")
    last["choices"][0]["native_finish_reason"] = "end_turn"
    choice = folded(decode(stream(delta(content="hi"), last))).choices[0]
    assert (choice.reason, choice.native_reason) == (FinishReason.STOP, "end_turn")


def test_of_an_announced_call_no_arguments_are_kept() -> None:
    assembler = tool_calls.CallAssembler()
    call = assembler.attribute(tool_calls.read_fragment(entry("{", index=0, id="a", name="f")))
    assert call.waiting == ["{"]
    assert call.announce() == "{"
    for _ in range(9):
        assembler.attribute(tool_calls.read_fragment(entry("xx", index=0)))
    assert call.waiting == []
    assert call.has_arguments


def test_what_waits_for_a_call_is_bounded() -> None:
    """Half a limit of arguments three times: the third is too much, also over several calls."""
    half = "x" * (tool_calls.MAX_WAITING // 2)
    for indexes in ((0, 0, 0), (0, 1, 2)):
        chunks = [piece(entry(half, index=index)) for index in indexes]
        last = decode(stream(*chunks, done=False))[-1]
        assert isinstance(last, StreamError)
        assert last.failure.kind is FailureKind.INVALID_ANSWER
        assert "wait" in last.failure.message
        assert len(last.failure.message) < 200


def test_arguments_that_need_not_wait_may_be_longer() -> None:
    long = '{"x":"' + "x" * tool_calls.MAX_WAITING + '"}'
    body = stream(piece(entry(long, index=0, id="a", name="f")), delta("tool_calls"))
    assert calls_of(folded(decode(body))) == [("a", "f", long)]


@pytest.mark.parametrize("word", ["length", "content_filter", "RECITATION", "LANGUAGE"])
def test_only_a_good_end_means_that_nothing_is_missing(word: str) -> None:
    opened = piece(entry("", index=0, id="a", name="now"))
    assert calls_of(folded(decode(stream(opened, delta(word))))) == [("a", "now", "")]
    late = stream(delta(word), opened)
    assert calls_of(folded(decode(late))) == [("a", "now", "")]
    answer = CHAT.decode_response(whole({"tool_calls": [entry("", id="a", name="now")]}, word))
    assert isinstance(answer, Response)
    assert calls_of(answer) == [("a", "now", "")]
