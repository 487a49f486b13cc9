"""Documents passed on in the same dialect with a stamp: architecture 4.1, 4.3; R1, R3, R4, R5."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from arno.canon.ext import Loss
from arno.canon.response import Response
from arno.canon.usage import Usage
from arno.dialects.base import Pricer, Stamp
from arno.wire import encode_sse, json
from tests.dialects.chat.building import (
    DONE,
    calls_of,
    delta,
    documents_of,
    entry,
    piece,
    restamped,
    stream,
    whole,
)
from tests.dialects.chat.fragments import R3, TWO
from tests.laws import recordings
from tests.laws.harness import (
    CHAT,
    bare,
    decode,
    failed,
    folded,
    frames_of,
    no_price,
    told,
)
from tests.shared import needs_shared

STAMP = Stamp(id="gen-1", model="asked/model", provider="Our Host", created=9)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def without(document: Any, *names: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in names}


def restamped_whole(body: bytes, stamp: Stamp, pricer: Pricer) -> bytes:
    """A whole answer as a gateway passes it on."""
    response = CHAT.decode_response(body)
    assert isinstance(response, Response)
    return CHAT.restamp_response(body, response, stamp, pricer)


@needs_shared
def test_the_seed_restamped_differs_in_id_and_model_only() -> None:
    """R1: 25 events of the first stream, in order; provider and usage stay the upstream's."""
    counts = []
    for body in recordings.seed():
        upstream = documents_of(body)
        said = documents_of(restamped(body, STAMP))
        assert [document["id"] for document in said] == ["gen-1"] * len(said)
        assert [document["model"] for document in said] == ["asked/model"] * len(said)
        for ours, theirs in zip(said, upstream, strict=True):
            assert json.equal(without(ours, "id", "model"), without(theirs, "id", "model"))
        counts.append(len(said))
    assert counts[0] == 25


@needs_shared
def test_the_seed_without_a_stamp_is_the_seed() -> None:
    for body in recordings.seed():
        assert restamped(body) == body


@needs_shared
def test_recorded_streams_mean_the_same_when_restamped() -> None:
    stamped = frozenset({"id", "model", "served_by"})
    for case in recordings.streams():
        answer = bare(folded(decode(case.body)), without=stamped)
        for include_usage in (True, False):
            again = folded(decode(restamped(case.body, STAMP, include_usage=include_usage)))
            assert bare(again, without=stamped) == answer, case.id


@needs_shared
def test_recorded_answers_mean_the_same_when_restamped() -> None:
    stamped = frozenset({"id", "model", "served_by"})
    for case in recordings.answers():
        again = restamped_whole(case.body, STAMP, no_price)
        one, two = CHAT.decode_response(case.body), CHAT.decode_response(again)
        assert isinstance(one, Response)
        assert bare(two, without=stamped) == bare(told(one), without=stamped), case.id


@pytest.mark.parametrize("own", ["DeepInfra", "", None])
def test_an_upstreams_own_provider_is_never_overwritten(own: str | None) -> None:
    chunks = [{**chunk, "provider": own} for chunk in (delta(content="a"), delta("stop"))]
    said = documents_of(restamped(stream(*chunks), STAMP))
    assert {document["provider"] for document in said} == {own or "Our Host"}
    answer: Any = json.loads(
        restamped_whole(whole({"content": "a"}, provider=own), STAMP, no_price)
    )
    assert answer["provider"] == (own or "Our Host")


ALONE = {"id": "up-1", "model": "upstream/model", "choices": [], "usage": USAGE}
PLACES: dict[str, tuple[dict[str, Any], ...]] = {
    "alone, behind the finish": (delta("stop"), ALONE),
    "on the finish": ({**delta("stop"), "usage": USAGE},),
    "on a second finish": (delta("stop"), {**delta("stop"), "usage": USAGE}),
    "on every chunk": (
        {**delta(content="b"), "usage": {**USAGE, "completion_tokens": 1}},
        {**delta("stop"), "usage": USAGE},
    ),
    "twice": ({**delta("stop"), "usage": {**USAGE, "completion_tokens": 1}}, ALONE),
    "null elsewhere": ({**delta(content="b"), "usage": None}, delta("stop"), ALONE),
}
"""Where upstreams put usage."""


@pytest.mark.parametrize("place", PLACES)
def test_usage_asked_for_comes_once_in_a_chunk_of_its_own(place: str) -> None:
    said = documents_of(restamped(stream(delta(content="a"), *PLACES[place]), STAMP))
    assert ["usage" in document for document in said] == [False] * (len(said) - 1) + [True]
    assert said[-1]["choices"] == []
    assert said[-1]["usage"] == USAGE
    assert (said[-1]["id"], said[-1]["model"]) == ("gen-1", "asked/model")


@pytest.mark.parametrize("place", PLACES)
def test_usage_not_asked_for_rides_on_the_last_finish(place: str) -> None:
    body = stream(delta(content="a"), *PLACES[place])
    said = documents_of(restamped(body, STAMP, include_usage=False))
    assert ["usage" in document for document in said] == [False] * (len(said) - 1) + [True]
    assert said[-1]["choices"][0]["finish_reason"] == "stop"
    assert said[-1]["usage"] == USAGE


def test_a_cost_is_added_where_the_upstream_reports_none() -> None:
    body = stream(delta(content="a"), delta("stop"), ALONE)
    said = documents_of(restamped(body, STAMP, cost="0.0000844"))
    assert said[-1]["usage"] == {**USAGE, "cost": Decimal("0.0000844")}
    reported = {**ALONE, "usage": {**USAGE, "cost": 0.5}}
    said = documents_of(restamped(stream(delta("stop"), reported), STAMP, cost="9"))
    assert said[-1]["usage"]["cost"] == Decimal("0.5")


@pytest.mark.parametrize(("own", "expected"), [("DeepInfra", "DeepInfra"), (None, "Our Host")])
def test_the_price_is_that_of_who_served(own: str | None, expected: str) -> None:
    asked: list[str | None] = []

    def pricer(usage: Usage, served_by: str | None) -> str | None:
        asked.append(served_by)
        return None

    chunks = [{**chunk, "provider": own} for chunk in (delta(content="a"), delta("stop"), ALONE)]
    decoder = CHAT.stream_decoder()
    restamper = CHAT.stream_restamper(STAMP, pricer, include_usage=True)
    for frame in frames_of(stream(*chunks)):
        restamper.feed(decoder.feed(frame))
    restamped_whole(whole({"content": "a"}, usage=USAGE, provider=own), STAMP, pricer)
    assert asked == [expected, expected]


def fed_one_by_one(body: bytes, *, include_usage: bool) -> list[bytes]:
    """What each frame releases; the last item is what the end of the stream releases."""
    decoder = CHAT.stream_decoder()
    restamper = CHAT.stream_restamper(STAMP, no_price, include_usage=include_usage)
    released = [restamper.feed(decoder.feed(frame)) for frame in frames_of(body)]
    return [*released, restamper.feed(decoder.close())]


def test_a_finish_waits_for_usage_only_where_it_must() -> None:
    body = stream(delta(content="a"), delta("stop"), ALONE)
    held = fed_one_by_one(body, include_usage=False)
    assert [bool(said) for said in held] == [True, False, False, True, False]
    assert held[-2].endswith(DONE)
    free = fed_one_by_one(body, include_usage=True)
    assert [bool(said) for said in free] == [True, True, False, True, False]


def test_an_error_behind_a_held_finish_leaves_no_good_end() -> None:
    """R5: what the finish chunk had to say besides is delivered, its reason is not."""
    late = encode_sse(b'{"error":{"code":502,"message":"gone"}}')
    body = stream(delta(content="a"), delta("stop", content="b"), done=False) + late
    said = restamped(body, STAMP, include_usage=False)
    documents = documents_of(said)
    reasons = [document["choices"][0]["finish_reason"] for document in documents]
    texts = [document["choices"][0]["delta"].get("content") for document in documents]
    assert (reasons, texts) == ([None, None, "error"], ["a", "b", ""])
    assert documents[-1]["error"]["code"] == 502
    assert DONE not in said


def test_a_held_finish_with_nothing_else_to_say_is_not_said() -> None:
    late = encode_sse(b'{"error":{"code":502,"message":"gone"}}')
    last = delta("stop", role="assistant", content="")
    body = stream(delta(content="a"), last, done=False) + late
    documents = documents_of(restamped(body, STAMP, include_usage=False))
    assert ["error" in document for document in documents] == [False, True]


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_cut_ends_in_an_error_and_without_the_end_mark(include_usage: bool) -> None:
    body = stream(delta(content="a"), done=False)
    said = restamped(body, STAMP, include_usage=include_usage)
    assert documents_of(said)[-1]["choices"][0]["finish_reason"] == "error"
    assert not said.endswith(DONE)
    assert failed(decode(said))


def test_a_missing_end_mark_is_added() -> None:
    """Row 8."""
    body = stream(delta(content="a"), delta("stop"), done=False)
    assert restamped(body, STAMP).endswith(DONE)


def test_what_follows_the_end_mark_is_dropped() -> None:
    """Row 19."""
    body = stream(delta(content="a"), delta("stop"))
    assert restamped(body + stream(delta(content="ghost")), STAMP) == restamped(body, STAMP)


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ([delta(content="a")], "stop"),
        ([piece(entry("{}", index=0, id="a", name="f"))], "tool_calls"),
        ([piece(entry(index=0, id="a", name="f"))], "tool_calls"),
    ],
)
@pytest.mark.parametrize("include_usage", [True, False])
def test_hosts_that_never_send_a_finish_get_one(
    chunks: list[dict[str, Any]], reason: str, include_usage: bool
) -> None:
    """A client reads a stream without a finish as cut; this one was not."""
    body = stream(*chunks)
    said = restamped(body, STAMP, finish_optional=True, include_usage=include_usage)
    answer = folded(decode(said))
    assert answer.choices[0].reason == reason
    assert calls_of(answer) == ([("a", "f", "{}")] if reason == "tool_calls" else [])
    assert failed(decode(restamped(body, STAMP)))


@pytest.mark.parametrize("said", [b": up and running\n\n", b"data: : up and running\n\n"])
def test_comments_pass_as_comments(said: bytes) -> None:
    """Nor do they end an event: no reader takes them for one (R2, R9)."""
    body = said + stream(delta(content="a"), delta("stop"))
    assert restamped(body, STAMP).startswith(b": up and running\ndata: {")


def test_unknown_members_pass_as_they_are() -> None:
    first = {**delta(content="a", odd=[1.50]), "x_host": {"a": None}, "choices_extra": 1}
    assert json.equal(
        without(documents_of(restamped(stream(first, delta("stop")), STAMP))[0], "id", "model"),
        without({**first, "provider": "Our Host"}, "id", "model"),
    )


def test_chunks_without_choices_pass_unless_they_are_usage() -> None:
    """Azure's first chunk tells the prompt's filter results and has no choices."""
    first = {"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]}
    said = documents_of(restamped(stream(first, delta(content="a"), delta("stop"), ALONE), STAMP))
    assert said[0]["prompt_filter_results"] == [{"prompt_index": 0}]
    assert len(said) == 4


def test_calls_in_the_uniform_layout_pass_as_they_are() -> None:
    opened = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    last = delta("tool_calls")
    last["choices"][0]["native_finish_reason"] = "tool_calls"
    body = stream(piece(opened, content=None), piece(entry('{"x":1}', index=0)), last)
    assert restamped(body) == body


def test_the_first_piece_gets_its_type() -> None:
    opened = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    (call,) = [
        call
        for document in documents_of(restamped(stream(piece(opened), delta("tool_calls"))))
        for call in document["choices"][0]["delta"].get("tool_calls", ())
        if "id" in call
    ]
    assert call["type"] == "function"


def sdk_calls(body: bytes) -> list[tuple[str, str, str]]:
    """Calls as the official SDK merges them: by index, its texts joined."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for document in documents_of(body):
        state.handle_chunk(ChatCompletionChunk.construct(**document))
    calls = state.current_completion_snapshot.choices[0].message.tool_calls or []
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


@pytest.mark.parametrize("case", R3)
def test_the_official_sdk_reads_restamped_calls_right(case: str) -> None:
    body = stream(*R3[case], delta("tool_calls"))
    assert sdk_calls(restamped(body, STAMP)) == TWO


def test_the_official_sdk_needs_the_rewriting() -> None:
    """The control: some hosts' own layouts are read wrong or not at all."""
    outcomes: Counter[str] = Counter()
    for chunks in R3.values():
        try:
            right = sdk_calls(stream(*chunks, delta("tool_calls"))) == TWO
        except Exception:
            outcomes["raised"] += 1
        else:
            outcomes["right" if right else "wrong"] += 1
    assert outcomes["right"] < len(R3)
    assert outcomes["raised"] + outcomes["wrong"] > 5


def test_choices_keep_their_own_calls() -> None:
    first = {
        **delta(),
        "choices": [
            {"index": 1, "delta": {"tool_calls": [entry("{}", id="b", name="g")]}},
            {"index": 0, "delta": {"tool_calls": [entry("{}", id="a", name="f")]}},
        ],
    }
    body = stream(first, delta("stop"), delta("stop", index=1))
    said = documents_of(restamped(body, STAMP))[0]["choices"]
    calls = {choice["index"]: choice["delta"]["tool_calls"][0] for choice in said}
    assert {number: (call["index"], call["id"]) for number, call in calls.items()} == {
        0: (0, "a"),
        1: (0, "b"),
    }


def test_a_whole_answer_is_stamped_and_its_calls_and_reasons_made_uniform() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    body = whole({"content": None, "tool_calls": [call], "odd": 1.50}, "stop", usage=USAGE, x=1)
    said: Any = json.loads(restamped_whole(body, STAMP, lambda usage, served_by: "0.10"))
    assert (said["id"], said["model"], said["provider"]) == ("gen-1", "asked/model", "Our Host")
    choice = said["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("tool_calls", "stop")
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    assert choice["message"]["odd"] == Decimal("1.50")
    assert said["x"] == 1
    assert said["usage"] == {**USAGE, "cost": Decimal("0.10")}


def choice_of(document: Any, index: int) -> Any:
    return next((c for c in document["choices"] if c["index"] == index), None)


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_finish_that_waits_is_not_forgotten_for_a_late_one(include_usage: bool) -> None:
    """Two choices, one of which never says why it ends."""
    body = stream(delta(index=1, content="b"), delta("stop", content="tail"))
    said = restamped(body, STAMP, include_usage=include_usage, finish_optional=True)
    answer = folded(decode(said))
    assert [choice.reason for choice in answer.choices] == ["stop", "stop"]
    assert "tail" in [getattr(part, "text", "") for c in answer.choices for part in c.parts]


@pytest.mark.parametrize("include_usage", [True, False])
def test_calls_without_an_id_behind_the_finish_are_delivered(include_usage: bool) -> None:
    """Their id is made up at the end of the stream, when no document is left to carry them."""
    late = piece({"index": 0, "function": {"name": "f", "arguments": '{"x":1}'}})
    body = stream(delta(content="a"), delta("stop"), late, ALONE)
    said = restamped(body, STAMP, include_usage=include_usage)
    assert calls_of(folded(decode(said))) == [("call_0", "f", '{"x":1}')]
    assert sdk_calls(said) == [("call_0", "f", '{"x":1}')]
    assert documents_of(said)[-1]["usage"] == USAGE


@pytest.mark.parametrize("include_usage", [True, False])
def test_text_beside_an_error_is_delivered_before_it(include_usage: bool) -> None:
    """R5."""
    failing = {**delta("stop", content="bye"), "error": {"code": 502, "message": "gone"}}
    documents = documents_of(restamped(stream(failing), STAMP, include_usage=include_usage))
    assert ["error" in document for document in documents] == [False, True]
    assert documents[0]["choices"][0]["delta"]["content"] == "bye"
    assert [choice_of(d, 0)["finish_reason"] for d in documents] == [None, "error"]


@pytest.mark.parametrize("word", ["language", "RECITATION"])
def test_clients_read_the_contracts_words_only(word: str) -> None:
    expected = "stop" if word == "language" else "content_filter"
    streamed = documents_of(restamped(stream(delta(content="a"), delta(word)), STAMP))[-1]
    answer: Any = json.loads(restamped_whole(whole({"content": "a"}, word), STAMP, no_price))
    for choice in (streamed["choices"][0], answer["choices"][0]):
        assert (choice["finish_reason"], choice["native_finish_reason"]) == (expected, word)


LOSSES = (Loss("/stop", "dropped", "no place"), Loss("/stop", "dropped", "no place"))
TOLD = [{"path": "/stop", "action": "dropped", "why": "no place"}]
LOSSY = Stamp(id="gen-1", losses=LOSSES)


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_losses_stand_in_the_usage_of_a_stream_once(place: str, include_usage: bool) -> None:
    body = stream(delta(content="a"), *PLACES[place])
    said = documents_of(restamped(body, LOSSY, include_usage=include_usage))
    assert [d["usage"]["losses"] for d in said if d.get("usage")] == [TOLD]


@pytest.mark.parametrize("content", ["a", [{"type": "text", "text": "a"}]])
@pytest.mark.parametrize("cost", [None, "0.5"])
def test_losses_stand_in_the_usage_of_a_whole_answer(content: Any, cost: str | None) -> None:
    """Whether the answer is only glanced at or decoded."""
    body = whole({"content": content}, usage=USAGE)
    glanced = CHAT.glance(body)
    said = restamped_whole(body, LOSSY, lambda usage, served_by: cost)
    if glanced is not None:
        quickly = CHAT.restamp_glanced(glanced, LOSSY, lambda usage, served_by: cost)
        assert json.equal(json.loads(quickly), json.loads(said))
    document: Any = json.loads(said)
    assert document["usage"]["losses"] == TOLD
    assert (glanced is None) is isinstance(content, list)


def test_no_usage_is_made_up_to_hold_losses() -> None:
    body = stream(delta(content="a"), delta("stop"))
    assert not any("usage" in d for d in documents_of(restamped(body, LOSSY)))
    assert b"usage" not in restamped_whole(whole({"content": "a"}), LOSSY, no_price)
