"""R3 and R4 into every client dialect: tool calls in every layout that chat hosts use.

However the upstream lays two calls out, each client is told two calls, dense, in its own grammar,
streamed and whole; a turn with a call ends as one whatever word the upstream has for it.
"""

from typing import Any

import pytest

from arno.canon.failure import Failure
from arno.canon.fold import fold
from arno.canon.parts import TextPart
from arno.canon.response import FinishReason, Response
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.wire import json
from tests.dialects.chat.building import (
    Document,
    calls_of,
    delta,
    entry,
    piece,
    restamped,
    stream,
    whole,
)
from tests.dialects.chat.fragments import R3, TWO, F, G
from tests.laws.corpus import events_of
from tests.laws.harness import CHAT, decode, folded, no_price
from tests.sdk import grammar

CLIENTS = ("chat", "responses", "messages", "gemini")
STAMP = Stamp(id="gen-1", model="m", provider="p", created=1)
USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def streamed_to(client: str, body: bytes) -> bytes:
    """A chat stream as a client of another dialect, or of this one, is told it."""
    encoder = DIALECTS[client].stream_encoder(STAMP, no_price, include_usage=True)
    return b"".join(encoder.feed([event]) for event in decode(body))


def ended(word: str, *documents: Document) -> bytes:
    """A stream of these chunks with an end and usage."""
    return stream(*documents, {**delta(word), "usage": USAGE})


def read_stream(client: str, body: bytes) -> Response:
    """What a client reads, once its grammar was checked."""
    assert grammar.check(client, body) == []
    return folded(events_of(body, DIALECTS[client]))


def told_whole(client: str, answer: Response) -> Response:
    """What a client reads of the whole answer."""
    document, _ = DIALECTS[client].encode_response(answer)
    read = DIALECTS[client].decode_response(json.dumps(document))
    assert isinstance(read, Response)
    return read


def decoded_whole(body: bytes) -> Response:
    """A whole answer of the upstream."""
    answer = CHAT.decode_response(body)
    assert isinstance(answer, Response)
    return answer


def text_of(answer: Response) -> str:
    """All text."""
    return "".join(p.text for p in answer.choices[0].parts if isinstance(p, TextPart))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", R3)
def test_r3_two_calls_are_told_as_two_calls(case: str, client: str) -> None:
    body = ended("tool_calls", *R3[case])
    text = "I look. And again." if case.startswith("g") else ""
    read = read_stream(client, streamed_to(client, body))
    assert (calls_of(read), text_of(read)) == (TWO, text)
    assert read.choices[0].reason is FinishReason.TOOL_CALLS
    again = told_whole(client, folded(decode(body)))
    assert (calls_of(again), text_of(again)) == (TWO, text)
    assert again.choices[0].reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize("case", R3)
def test_r3_the_same_dialect_passes_them_on_in_its_grammar(case: str) -> None:
    chunks = [{**each, "object": "chat.completion.chunk"} for each in R3[case]]
    last = {**delta("tool_calls"), "object": "chat.completion.chunk", "usage": USAGE}
    read = read_stream("chat", restamped(stream(*chunks, last), STAMP))
    assert calls_of(read) == TWO


WHOLE: dict[str, list[Document]] = {
    "as documented": [
        {**entry(F, id="a", name="f"), "type": "function"},
        {**entry(G, id="b", name="g"), "type": "function"},
    ],
    "without types": [entry(F, id="a", name="f"), entry(G, id="b", name="g")],
    "with indexes from 1": [
        entry(F, index=1, id="a", name="f"),
        entry(G, index=2, id="b", name="g"),
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", WHOLE)
def test_r3_whole_answers(case: str, client: str) -> None:
    for text in (None, "", "I look."):
        message = {"content": text, "tool_calls": WHOLE[case]}
        read = told_whole(client, decoded_whole(whole(message, "tool_calls")))
        assert (calls_of(read), text_of(read)) == (TWO, text or "")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("arguments", [None, "", "{}"])
def test_r3_i_a_call_without_arguments_is_told_with_an_empty_object(
    arguments: str | None, client: str
) -> None:
    body = ended("tool_calls", piece(entry(arguments, index=0, id="a", name="now")))
    expected = [("a", "now", "{}")]
    assert calls_of(read_stream(client, streamed_to(client, body))) == expected
    call = entry(arguments, id="a", name="now")
    answer = decoded_whole(whole({"tool_calls": [call]}, "tool_calls"))
    assert calls_of(told_whole(client, answer)) == expected


UNATTRIBUTABLE: dict[str, list[Document]] = {
    "arguments before any call": [piece(entry(F))],
    "a name while another call is open": [
        piece(entry('{"x"', id="a", name="f")),
        piece(entry(G, name="g")),
    ],
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("case", UNATTRIBUTABLE)
def test_r3_what_belongs_to_no_call_is_a_failure_and_never_a_merge(case: str, client: str) -> None:
    body = streamed_to(client, ended("tool_calls", *UNATTRIBUTABLE[case]))
    problems = grammar.check(client, body, failed=True)
    assert [each for each in problems if not each.startswith("arguments ")] == []
    assert fold(events_of(body, DIALECTS[client])).failure is not None


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("arguments", ['{"x":', "not json", "[1]", '"text"'])
def test_r3_arguments_that_are_no_object_are_delivered_as_they_came(
    arguments: str, client: str
) -> None:
    body = streamed_to(
        client, ended("tool_calls", piece(entry(arguments, index=0, id="a", name="f")))
    )
    flagged = ("arguments ", "input ")
    problems = [each for each in grammar.check(client, body) if not each.startswith(flagged)]
    assert problems == []
    expected = [("a", "f", arguments)]
    assert calls_of(folded(events_of(body, DIALECTS[client]))) == expected
    call = entry(arguments, id="a", name="f")
    answer = decoded_whole(whole({"tool_calls": [call]}, "tool_calls"))
    assert calls_of(told_whole(client, answer)) == expected


WORDS = ("stop", "STOP", "completed", "end_turn", "tool_calls", "tool_use")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("text", ["", "I look."])
@pytest.mark.parametrize("word", WORDS)
def test_r4_a_turn_with_a_call_ends_as_one(word: str, text: str, client: str) -> None:
    first = [delta(content=text)] if text else []
    body = ended(word, *first, piece(entry(F, index=0, id="a", name="f")))
    streamed = read_stream(client, streamed_to(client, body))
    message: dict[str, Any] = {"content": text or None, "tool_calls": [entry(F, id="a", name="f")]}
    unstreamed = told_whole(client, decoded_whole(whole(message, word)))
    for read in (streamed, unstreamed):
        assert read.choices[0].reason is FinishReason.TOOL_CALLS
        assert (calls_of(read), text_of(read)) == ([("a", "f", F)], text)


@pytest.mark.parametrize("word", WORDS)
def test_r4_the_upstreams_word_is_kept(word: str) -> None:
    body = ended(word, piece(entry(F, index=0, id="a", name="f")))
    assert folded(decode(body)).choices[0].native_reason == word
    assert read_stream("chat", streamed_to("chat", body)).choices[0].native_reason == word


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("word", ["stop", "STOP", "end_turn"])
def test_r4_a_turn_of_plain_text_stays_a_stop(word: str, client: str) -> None:
    """The control."""
    body = ended(word, delta(content="Hello"))
    read = read_stream(client, streamed_to(client, body))
    assert (read.choices[0].reason, text_of(read)) == (FinishReason.STOP, "Hello")
    answer = decoded_whole(whole({"content": "Hello"}, word))
    assert not isinstance(answer, Failure)
    assert told_whole(client, answer).choices[0].reason is FinishReason.STOP


@pytest.mark.parametrize("client", CLIENTS)
def test_calls_that_were_merged_are_noticed(client: str) -> None:
    """A mutant upstream whose second call went into the first one."""
    body = ended("tool_calls", piece(entry(F + G, index=0, id="a", name="f")))
    told = streamed_to(client, body)
    assert calls_of(folded(events_of(told, DIALECTS[client]))) != TWO
