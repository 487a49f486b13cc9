"""The shortcuts of the hot path lead where the long way leads: quick chunks and glances.

Over every recording, every rewrite, and made-up chunks. A law that no shortcut was taken for would
prove nothing, so it is counted how often one was.
"""

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arno.canon.failure import Failure
from arno.canon.unfold import unfold
from arno.dialects.base import Stamp
from arno.dialects.chat import quick, stream_decode
from arno.exchange.machine import Exchange, Seen
from arno.exchange.writers import Restamp
from arno.wire import encode_sse, json
from tests.dialects.chat.building import DONE, documents_of
from tests.laws import recordings
from tests.laws.harness import CHAT, frames_of
from tests.shared import needs_shared

STAMP = Stamp(id="gen-1", model="asked/model", provider="Our Host", created=9)


def price(usage, served_by):
    """A pricer that knows a price for everything."""
    return "0.0000123"


def run(body, *, stamp=STAMP):
    """Batches of a stream, and the restamped frames, chunk by chunk."""
    decoder = CHAT.stream_decoder()
    restamper = CHAT.stream_restamper(stamp, price, include_usage=False)
    batches = [decoder.feed(frame) for frame in frames_of(body)]
    batches.append(decoder.close())
    return batches, [restamper.feed(batch) for batch in batches]


def both_ways(body, monkeypatch, *, stamp=STAMP):
    """How many chunks were quick; events and documents are the same without the shortcut."""
    batches, written = run(body, stamp=stamp)
    with monkeypatch.context() as patch:
        patch.setattr(stream_decode.ChatStreamDecoder, "_quick", lambda self, data: None)
        plain_batches, plain_written = run(body, stamp=stamp)
    assert [b.events for b in batches] == [b.events for b in plain_batches]
    for mine, long in zip(written, plain_written, strict=True):
        assert documents_of(mine) == documents_of(long)
    return sum(batch.plain for batch in batches)


@needs_shared
def test_quick_chunks_over_all_streams(monkeypatch):
    """More than half of all recorded chunks take the shortcut."""
    chunks = taken = 0
    for recording in recordings.streams():
        chunks += sum(frame.data is not None for frame in frames_of(recording.body))
        taken += both_ways(recording.body, monkeypatch)
    assert chunks * 0.5 < taken < chunks, (taken, chunks)


@needs_shared
@pytest.mark.slow
def test_quick_chunks_over_all_rewrites(monkeypatch):
    assert sum(both_ways(r.body, monkeypatch) for r in recordings.rewritten()) > 10_000


HEADS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "", 'x"id": 1', "choices"]),
        "object": st.just("chat.completion.chunk"),
        "created": st.integers(0, 2**31),
        "model": st.sampled_from(["m", 'with "choices":[] inside', ""]),
        "provider": st.sampled_from(["Host", "", None]),
        "system_fingerprint": st.sampled_from(["fp", None]),
        "usage": st.none(),
        "strange": st.integers(),
    },
)
TEXT = st.text(max_size=8) | st.sampled_from(['"usage":null', ',"usage":null', '"model":"x"', "\n"])
DELTAS: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", None, ""]),
        "content": TEXT | st.none(),
        "reasoning": TEXT | st.none(),
        "reasoning_content": TEXT,
        "refusal": st.none() | TEXT,
        "extra": TEXT,
    },
)
CHOICES: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"delta": DELTAS},
    optional={
        "index": st.sampled_from([0, 1]),
        "finish_reason": st.sampled_from([None, "", "stop"]),
        "native_finish_reason": st.none(),
        "logprobs": st.none() | st.just({"content": []}),
        "usage": st.none(),
    },
)


@st.composite
def chunk_texts(draw):
    """One chunk as text: any order of members, compact or with blanks, one line or several."""
    members = [*draw(HEADS).items(), ("choices", draw(st.lists(CHOICES, min_size=1, max_size=2)))]
    document = dict(draw(st.permutations(members)))
    text = json.dumps(document)
    if draw(st.booleans()):
        text = text.replace(b'":', b'": ').replace(b',"', b', "')
    return text


@example(
    [
        b'{"choices":[{"delta":{}}]}',
        b'{"id":"a","strange":0,"provider":"Host","choices":[{"delta":{}}]}',
        b'{"choices":[{"delta":{"content":"0"}}]}',
    ]
)
@given(st.lists(chunk_texts(), min_size=1, max_size=6))
def test_quick_chunks_over_made_up_streams(texts):
    first = json.dumps({"id": "a", "choices": [{"index": 0, "delta": {"content": "."}}]})
    body = b"".join(map(encode_sse, (first, *texts))) + DONE
    with pytest.MonkeyPatch.context() as patch:
        both_ways(body, patch)


FIRST = encode_sse(b'{"id":"u","choices":[{"index":0,"delta":{"content":"a"}}]}')
HIDDEN = [
    b'{"choices":[{"index":0,"delta":{"content":"b"}}],"id":"u","model":"m"}',
    b'{"id":"u","choices":[{"index":0,"delta":{"content":"b"}}],"usage":null,"provider":"P"}',
    b'{"id":"u","choices":[{"index":0,"delta":{"content":"b"}}],"obfuscation":"x","usage":null}',
]


class SplicesBlindly(quick.Splicer):
    """Does not look for members behind the choices."""

    def splice(self, data):
        place = data.find(quick.CHOICES)
        return b"data: " + self._stamped(data[:place]) + data[place:] + b"\n\n"


@pytest.mark.parametrize("text", HIDDEN)
def test_members_behind_the_choices_are_not_missed(text, monkeypatch):
    assert both_ways(FIRST + encode_sse(text) + DONE, monkeypatch) == 1


def test_a_splicer_that_does_not_look_is_noticed(monkeypatch):
    body = FIRST + encode_sse(HIDDEN[0]) + DONE
    monkeypatch.setattr("arno.dialects.chat.restamp.Splicer", SplicesBlindly)
    with pytest.raises(AssertionError):
        both_ways(body, monkeypatch)


# ---------------------------------------------------------------- whole answers


def through(body, *, passing):
    """What the machine makes of a whole answer: what it has seen, and the client's bytes."""
    writer = Restamp(CHAT, STAMP, price, include_usage=False)
    exchange = Exchange(CHAT, writer, streamed=False, passing=writer if passing else None)
    exchange.head(200, (("content-type", "application/json"),))
    exchange.data(body)
    step = exchange.end()
    return exchange.seen, step.output


def same_both_ways(body):
    """Whether the answer was glanced at; the outcome is the same as of the long way."""
    short, quickly = through(body, passing=True)
    long, slowly = through(body, passing=False)
    assert _known(short) == _known(long)
    if short.failure is None:
        assert json.loads(quickly) == json.loads(slowly)
    else:
        assert quickly == slowly
    return CHAT.glance(body) is not None


def _known(seen: Seen):
    usage = seen.usage and msgspec.structs.replace(seen.usage, raw={})
    return msgspec.structs.replace(seen, usage=usage)


@needs_shared
def test_glances_over_all_answers():
    """More than half of all recorded whole answers are plain."""
    glanced = [same_both_ways(recording.body) for recording in recordings.answers()]
    assert sum(glanced) / len(glanced) > 0.5


def answer(**members):
    message = {"role": "assistant", "content": "Good day."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "u-1", "model": "m", "choices": [choice], "usage": usage, **members}


def said(finish="stop", **message):
    return answer(choices=[{"index": 0, "message": message, "finish_reason": finish}])


def call(**members):
    function = {"name": "f", "arguments": '{"a":1}'}
    return {"id": "c", "type": "function", "function": function, **members}


DEEP: list[object] = []
for _ in range(250):
    DEEP = [DEEP]

PLAIN = {
    "text": answer(),
    "its cost is told": answer(usage={"prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}),
    "no usage": answer(usage=None),
    "a native reason": answer(
        choices=[
            {"message": {"content": "x"}, "finish_reason": "stop", "native_finish_reason": "STOP"}
        ]
    ),
    "a host's own word": said("end_turn", content="x"),
    "a tool call": said("tool_calls", content=None, tool_calls=[call()]),
    "a call that says stop": said("stop", content="", tool_calls=[call(index=0)]),
    "a provider": answer(provider="Host"),
    "no provider": answer(provider=None),
    "unknown members": answer(service_tier="x", big=1e22, many=[1, 2, {"a": None}]),
}
NOT_PLAIN = {
    "an error member": answer(error={"message": "no"}),
    "no choices": answer(choices=[]),
    "no message": answer(choices=[{"finish_reason": "stop"}]),
    "ended by an error": said("error", content="x"),
    "no reason": said(None, content="x"),
    "nothing said": said("stop", content=""),
    "a call without arguments": said(
        "stop", tool_calls=[call(function={"name": "f", "arguments": ""})]
    ),
    "a call without a type": said("stop", tool_calls=[call(type=None)]),
    "a call without an id": said("stop", tool_calls=[call(id="")]),
    "content in blocks": said("stop", content=[{"type": "text", "text": "x"}]),
    "an id that is a number": answer(id=7),
    "deep": answer(deep=DEEP),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_answer_is_glanced_at(name):
    assert same_both_ways(json.dumps(PLAIN[name]))


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_any_other_answer_is_decoded(name):
    assert not same_both_ways(json.dumps(NOT_PLAIN[name]))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"choices":[{"message":{"content":"\xff"}}]}']
)
def test_what_is_no_answer_is_decoded_too(body):
    assert not same_both_ways(body)


def test_the_content_goes_on_as_it_came():
    """Digits and escapes of a message are not written anew."""
    body = b'{"choices":[{"message":{"content":"caf\\u00e9 \\/","n":1.10},"finish_reason":"stop"}]}'
    _, output = through(body, passing=True)
    assert b'{"content":"caf\\u00e9 \\/","n":1.10}' in output


def test_the_long_way_is_a_way():
    """The control: without a glance the machine decodes, and gives the events of the answer."""
    body = json.dumps(answer())
    response = CHAT.decode_response(body)
    assert not isinstance(response, Failure)
    assert len(list(unfold(response))) > 4
