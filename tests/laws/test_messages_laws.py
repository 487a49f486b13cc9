"""The laws PutGet, Fold, Order and Prefix for generated values of the messages dialect.

Answers are those of any upstream: reasoning of other vendors, signatures on any part, ids and
arguments as they come. Told here: `created` has no member, a native reason of another dialect is
not said, arguments of a whole answer lose white space around them.
"""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import (
    ChoiceEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamError,
    UsageUpdate,
)
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.order import OrderChecker
from arno.canon.parts import (
    Executor,
    Item,
    ReasoningForm,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from arno.canon.request import Message, Request, Role, Sampling, Tool, ToolChoice, ToolChoiceMode
from arno.canon.response import Choice, FinishReason, Response
from arno.canon.unfold import unfold
from arno.canon.usage import Usage
from arno.dialects import DIALECTS
from arno.dialects.base import Stamp
from arno.dialects.messages.reasons import WHOLE
from arno.dialects.messages.stream_blocks import Block
from arno.wire import json
from tests.laws import messages_grammar as grammar
from tests.laws.harness import bare, decode, failed, folded, frames_of, no_price

pytestmark = pytest.mark.slow

MESSAGES = DIALECTS["messages"]
quick = settings(max_examples=100)

texts = st.text(min_size=1, max_size=12)
words = st.text("abcdefgh_-.:/", min_size=1, max_size=10)
ids = st.sampled_from(["weather:0", "functions.add:0", "0", "call 1", "ü", "arno-x", ""]) | words
arguments = st.sampled_from(["", "{}", '{"x": 1}', '{"x":', "[]", "null", "no JSON"]) | texts
counts = st.integers(0, 2**40)
formats = st.sampled_from([None, "openai-responses-v1", "google-gemini-v1", "anthropic-claude-v1"])
items = st.none() | st.builds(Item, id=st.none() | words, index=st.integers(0, 9))
proofs = st.none() | words


def maybe(values):
    return st.none() | values


citations = st.fixed_dictionaries({"url": words}, optional={"title": texts, "start_index": counts})
annotations = st.lists(
    citations.map(lambda c: {"type": "url_citation", "url_citation": c}), max_size=2
).map(tuple)


def signed(part, signature, format_):
    return (
        part
        if signature is None
        else msgspec.structs.replace(part, signature=signature, format=format_)
    )


text_parts = st.builds(
    signed, st.builds(TextPart, text=texts, annotations=annotations), proofs, formats
)
call_parts = st.builds(
    signed,
    st.builds(ToolCallPart, call_id=ids.filter(bool), name=words, arguments=arguments),
    proofs,
    formats,
)
readable = st.builds(
    ReasoningPart,
    text=texts,
    form=st.sampled_from([ReasoningForm.FULL, ReasoningForm.SUMMARY]),
    signature=proofs,
    format=formats,
    id=maybe(words),
    item=items,
)
sealed = st.builds(
    ReasoningPart,
    form=st.sampled_from([ReasoningForm.SEALED, ReasoningForm.REDACTED]),
    sealed=words,
    format=formats,
    id=maybe(words),
    item=items,
)
parts = st.lists(st.one_of(text_parts, readable, sealed, call_parts), max_size=5).map(tuple)
usages = st.builds(
    Usage,
    input=maybe(counts),
    output=maybe(counts),
    cache_read=maybe(counts),
    cache_write_5m=maybe(counts),
    cache_write_1h=maybe(counts),
    reasoning=maybe(counts),
    audio_input=maybe(counts),
    audio_output=maybe(counts),
    image_output=maybe(counts),
    tool_input=maybe(counts),
    tier=maybe(st.sampled_from(["standard", "default", "flex"])),
    server_tools=maybe(st.dictionaries(words, counts, min_size=1, max_size=2)),
    cost=maybe(st.decimals("0", "9", places=6).map(lambda cost: format(cost, "f"))),
)


def has_calls(found):
    return any(isinstance(part, ToolCallPart) for part in found)


@st.composite
def responses(draw):
    found = draw(parts)
    reasons = [FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.OTHER]
    reasons += [FinishReason.TOOL_CALLS] if has_calls(found) else [FinishReason.STOP]
    choice = Choice(
        parts=found, reason=draw(st.sampled_from(reasons)), native_reason=draw(maybe(words))
    )
    return Response(
        id=draw(maybe(words)),
        model=draw(maybe(words)),
        served_by=draw(maybe(words)),
        choices=(choice,),
        usage=draw(maybe(usages)),
    )


NEVER = frozenset({"created", "native_reason"})
OWN = "@messages"


def stated(answer, *, whole):
    """What a client reads of `answer`."""
    choice = answer.choices[0]
    reason = choice.reason
    if reason is FinishReason.OTHER:
        reason = FinishReason.TOOL_CALLS if has_calls(choice.parts) else FinishReason.STOP
    cut = None if whole or reason in WHOLE or not choice.parts else choice.parts[-1]
    kept = tuple(_stated(part, cut is part, whole=whole) for part in choice.parts)
    choice = msgspec.structs.replace(choice, parts=kept, reason=reason)
    empty = Usage()
    usage = None if answer.usage == empty else answer.usage
    return bare(msgspec.structs.replace(answer, choices=(choice,), usage=usage), without=NEVER)


def _stated(part, cut, *, whole):
    """cut: the answer may have ended before all of the part was said."""
    if isinstance(part, ToolCallPart):
        text = part.arguments.strip(" \t\r\n") if whole else part.arguments
        text = text or ("" if cut else "{}")
        return msgspec.structs.replace(part, arguments=text)
    return part


def read(answer):
    """A decoded answer, compared by what it says: citations without the wire's own document."""
    choice = answer.choices[0]
    kept = tuple(
        msgspec.structs.replace(
            part,
            annotations=tuple(
                {k: v for k, v in annotation.items() if k != OWN} for annotation in part.annotations
            ),
        )
        if isinstance(part, TextPart)
        else part
        for part in choice.parts
    )
    choice = msgspec.structs.replace(choice, parts=kept)
    return bare(msgspec.structs.replace(answer, choices=(choice,)), without=NEVER)


def encode(events):
    encoder = MESSAGES.stream_encoder(Stamp(), no_price, include_usage=True)
    return b"".join(encoder.feed([event]) for event in events), encoder.losses


@given(answer=responses())
@quick
def test_whole_answers_come_back(answer):
    document, losses = MESSAGES.encode_response(answer)
    assert {loss.action for loss in losses} <= {"approximated"}
    again = MESSAGES.decode_response(json.dumps(document))
    assert read(again) == stated(answer, whole=True)
    written, _ = MESSAGES.encode_response(again)
    told = json.loads(json.dumps(document))
    assert json.equal(json.loads(json.dumps(written)), told)


@given(answer=responses())
@quick
def test_streams_say_what_the_answer_says(answer):
    body, losses = encode(unfold(answer))
    assert not losses
    grammar.check(body)
    assert read(folded(decode(body, MESSAGES.stream_decoder))) == stated(answer, whole=False)


@given(answer=responses(), data=st.data())
@quick
def test_any_prefix_is_a_failure_until_the_stop_reason(answer, data):
    body, _ = encode(unfold(answer))
    frames = frames_of(body)
    kept = data.draw(st.integers(0, len(frames)))
    start = b"".join(frame.raw for frame in frames[:kept])
    assert failed(decode(start, MESSAGES.stream_decoder)) is (kept < len(frames) - 1)


def interleaved(answer, data):
    """The parts' events in any order that keeps each part's own; all end before the answer does."""
    queues = {}
    for event in unfold(answer):
        if isinstance(event, PartStart | PartDelta | PartEnd):
            queues.setdefault(event.index, []).append(event)
    mixed = []
    while queues:
        index = data.draw(st.sampled_from(sorted(queues)))
        mixed.append(queues[index].pop(0))
        if not queues[index]:
            del queues[index]
    return mixed


def pieces_of(answer):
    """What an answer says, whatever the order of its parts: texts, reasoning, calls, artefacts."""
    found = answer.choices[0].parts
    thoughts = [part for part in found if isinstance(part, ReasoningPart)]
    calls = [part for part in found if isinstance(part, ToolCallPart)]
    return (
        sorted(c for part in found if isinstance(part, TextPart) for c in part.text),
        sorted(c for part in thoughts for c in part.text),
        sorted((call.call_id, call.name, call.arguments or "{}") for call in calls),
        sorted(part.sealed or "" for part in thoughts if part.sealed),
    )


@given(answer=responses(), data=st.data())
@quick
def test_interleaved_parts_become_one_block_at_a_time(answer, data):
    """R6: nothing is lost, no call is torn apart."""
    end = ChoiceEnd(0, answer.choices[0].reason, None)
    body, _ = encode([ResponseStart(), *interleaved(answer, data), end, ResponseEnd()])
    grammar.check(body)
    again = folded(decode(body, MESSAGES.stream_decoder))
    assert pieces_of(again) == pieces_of(answer)


FAILURE = Failure(FailureKind.UNAVAILABLE, "gone", retryable=True, stage=Stage.MID_STREAM)


@given(answer=responses(), data=st.data())
@quick
def test_all_that_came_is_said_before_a_failure(answer, data):
    """R5: at any point; no stop and no usage is made up."""
    mixed = interleaved(answer, data)
    mixed = mixed[: data.draw(st.integers(0, len(mixed)))]
    checker = OrderChecker()
    events = [ResponseStart(), *mixed, StreamError(FAILURE)]
    for event in events:
        checker.feed(event)
    body, _ = encode(events)
    blocks = grammar.check_failed(body)
    said = "".join(d.get("text", "") for _, deltas in blocks for d in deltas)
    called = "".join(d.get("partial_json", "") for _, deltas in blocks for d in deltas)
    thought = "".join(d.get("thinking", "") for _, deltas in blocks for d in deltas)
    deltas = [event for event in mixed if isinstance(event, PartDelta)]
    kinds = {event.index: type(event.part) for event in mixed if isinstance(event, PartStart)}
    for kind, slot, got in (
        (TextPart, "text", said),
        (ReasoningPart, "text", thought),
        (ToolCallPart, "arguments", called),
    ):
        came = [d.value for d in deltas if kinds[d.index] is kind and d.slot == slot]
        assert sorted(got) == sorted("".join(came))
    assert failed(decode(body, MESSAGES.stream_decoder))


@given(usage=usages)
@quick
def test_usage_comes_back_with_every_count(usage):
    """Streamed in two pieces: what was known at the start, and all of it at the end."""
    early = msgspec.structs.replace(usage, output=1, cost=None)
    events = [
        ResponseStart(),
        UsageUpdate(early),
        PartStart(0, TextPart(text="a")),
        PartEnd(0),
        ChoiceEnd(0, FinishReason.STOP),
        UsageUpdate(usage),
        ResponseEnd(),
    ]
    answer = folded(decode(encode(events)[0], MESSAGES.stream_decoder))
    expected = usage if usage.output is not None else msgspec.structs.replace(usage, output=1)
    if usage.output is not None:
        assert bare(answer.usage) == bare(expected)


# Requests ----------------------------------------------------------------------------------------

plain = texts.filter(lambda text: text.strip() == text)
user_turns = plain.map(lambda text: Message(role=Role.USER, parts=(TextPart(text=text),)))


@st.composite
def tool_turns(draw):
    """An assistant's turn with calls, then the result of each (R16)."""
    names = draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    values = st.sampled_from(["{}", '{"x": 1}', "no JSON"])
    calls = [ToolCallPart(call_id=id_, name="add", arguments=draw(values)) for id_ in names]
    said = draw(st.lists(plain.map(lambda text: TextPart(text=text)), max_size=1))
    results = [
        Message(
            role=Role.TOOL,
            parts=(
                ToolResultPart(
                    call_id=id_,
                    parts=(TextPart(text=draw(plain)),),
                    is_error=draw(st.sampled_from([None, True, False])),
                ),
            ),
        )
        for id_ in names
    ]
    return [Message(role=Role.ASSISTANT, parts=(*said, *calls)), *results]


turns = st.lists(tool_turns() | user_turns.map(lambda m: [m]), min_size=1, max_size=3)
tools = st.builds(
    Tool,
    name=words,
    description=maybe(texts),
    parameters=st.just({"type": "object", "properties": {"x": {"type": "integer"}}}),
    strict=maybe(st.just(True)),
)
requests = st.builds(
    Request,
    model=words,
    messages=turns.map(lambda found: tuple(m for turn in found for m in turn)),
    tools=st.lists(tools, min_size=1, max_size=2).map(tuple),
    tool_choice=maybe(
        st.sampled_from([ToolChoiceMode.AUTO, ToolChoiceMode.NONE, ToolChoiceMode.REQUIRED]).map(
            ToolChoice
        )
        | words.map(lambda name: ToolChoice(ToolChoiceMode.NAMED, (name,)))
    ),
    sampling=st.builds(Sampling, temperature=maybe(st.integers(0, 1)), top_k=maybe(counts)),
    max_output_tokens=counts,
    stop=st.lists(texts.filter(str.strip), max_size=2).map(tuple),
    stream=st.booleans(),
    user=maybe(texts),
)


@given(request=requests)
@quick
def test_requests_come_back_but_for_the_losses(request):
    body, losses = MESSAGES.encode_request(request)
    assert {loss.action for loss in losses} <= {"approximated"}
    assert bare(MESSAGES.decode_request(body)) == bare(request)


@given(request=requests)
@quick
def test_requests_of_this_dialect_are_written_as_they_were_read(request):
    body, _ = MESSAGES.encode_request(request)
    again, losses = MESSAGES.encode_request(MESSAGES.decode_request(body))
    assert {loss.path.rpartition("/")[2] for loss in losses} <= {"arguments"}
    assert json.equal(json.loads(again), json.loads(body))


@given(request=requests)
@quick
def test_turns_follow_the_wire_s_rules(request):
    """R15 and R16: fitting ids that pair, results of one turn together."""
    document = json.loads(MESSAGES.encode_request(request)[0])
    called = set()
    for turn in document["messages"]:
        blocks = turn["content"] if isinstance(turn["content"], list) else []
        if turn["role"] == "assistant":
            called = {b["id"] for b in blocks if b["type"] == "tool_use"}
            assert all(set(id_) <= set(ALLOWED) and len(id_) <= 64 for id_ in called)
        elif called:
            kinds = [b["type"] for b in blocks]
            assert {b["tool_use_id"] for b in blocks if "tool_use_id" in b} == called
            assert kinds == sorted(kinds, key=lambda kind: kind != "tool_result")
            called = set()


ALLOWED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


def test_the_grammar_law_notices_a_call_that_is_torn_apart(monkeypatch):
    """A mutant: an open call does not keep the wire."""
    calls = [ToolCallPart(call_id=str(n), name="add") for n in range(2)]
    events = [
        ResponseStart(),
        *(PartStart(n, call) for n, call in enumerate(calls)),
        *(PartDelta(n, "arguments", piece) for piece in ("{", "}") for n in range(2)),
        *(PartEnd(n) for n in range(2)),
        ChoiceEnd(0, FinishReason.TOOL_CALLS),
        ResponseEnd(),
    ]
    assert len(grammar.check(encode(events)[0])) == 2
    monkeypatch.setattr(Block, "keeps_the_wire", False)
    assert len(grammar.check(encode(events)[0])) > 2


def test_calls_that_another_upstream_ran_are_never_shown_as_calls():
    """They have no block: the wire's own must be followed by a result that only its own has."""
    ran = ToolCallPart(call_id="a", name="web_search", executor=Executor.PROVIDER)
    found = (ran, TextPart(text="x"))
    answer = Response(choices=(Choice(parts=found, reason=FinishReason.STOP),))
    body, losses = encode(unfold(answer))
    assert [block["type"] for block, _ in grammar.check(body)] == ["text"]
    assert [(loss.path, loss.action) for loss in losses] == [("/choices/0/parts/0", "dropped")]
    assert [b["type"] for b in MESSAGES.encode_response(answer)[0]["content"]] == ["text"]
