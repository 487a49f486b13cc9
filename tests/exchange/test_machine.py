"""One attempt, sans-IO: whatever the upstream sends, exactly one terminal event (R5, R12)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.canon.events import ResponseEnd, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.exchange.machine import MAX_REFUSAL, NOTHING, Limits
from arno.wire import json
from tests.exchange.attempt import (
    BROKEN,
    DONE,
    SMALL,
    STREAM,
    USAGE,
    WHOLE,
    WRITERS,
    delta,
    events,
    exchange,
    feed,
    finish,
    output,
    terminals,
)

FINISHED = SMALL.index(finish()) + len(finish())
"""From here on the stream has terminal evidence."""

ENDED = SMALL.index(DONE) + len(DONE)
"""From here on the answer is over, whatever becomes of the connection."""


@pytest.mark.parametrize("row", WRITERS)
@pytest.mark.parametrize("broken", [None, BROKEN], ids=["end", "broken"])
def test_a_stream_cut_anywhere_has_one_end_and_tells_it_truly(row, broken):
    """R5, row 5: every byte offset; no `[DONE]` and no finish beside a failure."""
    for at in range(len(SMALL) + 1):
        machine = exchange(row)
        steps = feed(machine, [SMALL[:at]], broken=broken)
        (last,) = terminals(steps)
        assert events(steps)[-1] is last
        good = at >= (FINISHED if broken is None else ENDED)
        assert isinstance(last, ResponseEnd if good else StreamError), at
        assert machine.seen.complete is good
        if row == "silent":
            assert output(steps) == b""
            continue
        assert output(steps).endswith(b"\n\n")
        assert (DONE in output(steps)) is good
        if not good:
            tail = json.loads(output(steps).split(b"data: ")[-1])
            assert tail["error"]["message"]
            assert tail["choices"][0]["finish_reason"] == "error"


@pytest.mark.parametrize("row", WRITERS)
def test_what_was_said_before_a_cut_is_delivered(row):
    """R5: deltas already received are all delivered."""
    steps = feed(exchange(row), [delta("Hel"), delta("lo") + b'data: {"cho'], broken=BROKEN)
    said = output(steps)
    if row != "silent":
        assert said.index(b'"Hel"') < said.index(b'"lo"') < said.index(b'"error"')
    assert b'{"cho' not in said.replace(b'{"choices', b"")


@pytest.mark.parametrize("row", WRITERS)
@pytest.mark.parametrize("how", ["done", "cut", "error"])
def test_after_the_end_nothing_means_anything(row, how):
    machine = exchange(row)
    last = {"done": SMALL, "cut": delta("a"), "error": b'data: {"error":{"message":"x"}}\n\n'}
    steps = feed(machine, [last[how]])
    assert machine.ended
    seen = (machine.seen.complete, machine.seen.failure)
    for step in (machine.data(SMALL), machine.end(), machine.broken(BROKEN)):
        assert step is NOTHING
    assert (machine.seen.complete, machine.seen.failure) == seen
    assert len(terminals(steps)) == 1


BLANK_LAST = {
    "LF": lambda body: body,
    "CRLF": lambda body: body.replace(b"\n", b"\r\n"),
    "CR": lambda body: body.replace(b"\n", b"\r"),
    "CR after LF": lambda body: body[:-1] + b"\r",
}
"""How the last event of a body is ended; a CR may still be half of a CRLF until the body ends."""


@pytest.mark.parametrize("end", BLANK_LAST)
def test_a_last_event_that_only_the_end_completes_does_not_hide_the_cut(end):
    steps = feed(exchange(), [BLANK_LAST[end](delta("a"))])
    (last,) = terminals(steps)
    assert isinstance(last, StreamError)
    assert last.failure.kind is FailureKind.TRUNCATED
    assert "'a'" in repr(events(steps))


@pytest.mark.parametrize("end", BLANK_LAST)
def test_a_last_event_that_only_the_end_completes_may_be_the_good_end(end):
    for body in (delta("a") + finish(), delta("a") + finish() + DONE):
        assert terminals(feed(exchange(), [BLANK_LAST[end](body)])) == [ResponseEnd()]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_a_failure_at_once(status):
    """Row 24: never followed, whatever its body is."""
    machine = exchange()
    step = machine.head(status, (("location", "http://example.com/"), *STREAM))
    (last,) = step.events
    assert last.failure.kind is FailureKind.UNAVAILABLE
    assert last.failure.stage is Stage.BEFORE_OUTPUT
    assert last.failure.status == status


def test_a_stream_nobody_asked_for_is_a_failure():
    machine = exchange(streamed=False)
    (last,) = machine.head(200, STREAM).events
    assert last.failure.kind is FailureKind.INVALID_ANSWER
    assert machine.data(SMALL) is NOTHING


ANSWER = {
    "id": "up-1",
    "model": "m",
    "provider": "Host",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "All"}, "finish_reason": "length"}
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


@pytest.mark.parametrize("row", ["contract", "plain"])
def test_a_whole_answer_for_a_stream_is_said_as_a_stream(row):
    """Row 21: text, finish and usage of the answer, the same in every row."""
    machine = exchange(row)
    steps = feed(machine, [json.dumps(ANSWER)[:20], json.dumps(ANSWER)[20:]], headers=WHOLE)
    assert [bool(step.output) for step in steps] == [False, False, False, True]
    again = exchange()
    told = events(feed(again, [output(steps)]))
    assert told[-1] == ResponseEnd()
    assert (again.seen.reason, again.seen.usage.input) == ("length", 3)
    assert b'"All"' in output(steps)
    assert machine.seen.complete
    assert (machine.seen.served_by, machine.seen.upstream_id) == ("Host", "up-1")


BAD_WHOLE = {
    "empty": b"",
    "no JSON": b"<html>ok</html>",
    "no object": b"[1]",
    "cut": json.dumps(ANSWER)[:-3],
    "an error inside 200": b'{"error":{"code":429,"message":"slow down"}}',
    "no choices": b'{"id":"x"}',
}


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("fault", BAD_WHOLE)
def test_a_whole_answer_that_is_none_fails_before_any_output(fault, streamed):
    """Rows 14 and 22: failover stays allowed."""
    machine = exchange("plain", streamed=streamed)
    steps = feed(machine, [BAD_WHOLE[fault]], headers=WHOLE)
    (last,) = terminals(steps)
    assert last.failure.stage is Stage.BEFORE_OUTPUT
    assert not machine.seen.output
    assert not machine.seen.complete


@pytest.mark.parametrize("headers", [WHOLE, STREAM, ()], ids=["json", "stream", "none"])
def test_a_refusal_is_read_whole_and_told_with_its_status(headers):
    machine = exchange()
    body = b'{"error":{"message":"slow down","code":429}}'
    steps = feed(machine, [body[:10], body[10:]], status=429, headers=headers)
    (last,) = terminals(steps)
    assert last.failure.kind is FailureKind.RATE_LIMIT
    assert (last.failure.status, last.failure.stage) == (429, Stage.BEFORE_OUTPUT)
    assert "slow down" in last.failure.message


@pytest.mark.parametrize("size", [MAX_REFUSAL, MAX_REFUSAL + 1])
def test_the_body_of_a_refusal_is_bounded(size):
    """R12: beyond the bound it is not waited for."""
    machine = exchange()
    machine.head(500, ())
    machine.data(b"x" * size)
    assert machine.ended is (size > MAX_REFUSAL)
    machine.end()
    assert machine.seen.failure.status == 500


def test_a_refusal_that_breaks_off_is_a_failure_all_the_same():
    machine = exchange()
    (last,) = terminals(feed(machine, [b'{"err'], status=503, headers=(), broken=BROKEN))
    assert last.failure.stage is Stage.BEFORE_OUTPUT


LIMITS = Limits(frame=1000, whole=1000)


def test_a_frame_over_the_limit_ends_the_attempt():
    """R12, row 18: a line without an end."""
    machine = exchange("contract", limits=LIMITS)
    machine.head(200, STREAM)
    assert not machine.data(b"data: " + b"x" * 900).events
    (last,) = machine.data(b"x" * 200).events
    assert last.failure.kind is FailureKind.INVALID_ANSWER


@pytest.mark.parametrize("then", ["end", "data", "broken"])
def test_events_before_a_frame_over_the_limit_are_delivered(then):
    machine = exchange("contract", limits=LIMITS)
    machine.head(200, STREAM)
    steps = [machine.data(delta("a") + b"data: " + b"x" * 2000)]
    assert output(steps) == delta("a")
    steps.append(
        {
            "end": machine.end,
            "data": lambda: machine.data(b"x"),
            "broken": lambda: machine.broken(BROKEN),
        }[then]()
    )
    (last,) = terminals(steps)
    assert last.failure.stage is Stage.MID_STREAM


@pytest.mark.parametrize("size", [1000, 1001])
def test_a_whole_answer_over_the_limit_fails(size):
    """R12: it is not waited for either."""
    machine = exchange(streamed=False, limits=LIMITS)
    machine.head(200, WHOLE)
    step = machine.data(b" " * size)
    assert bool(step.events) is (size > 1000)
    if step.events:
        assert step.events[0].failure.kind is FailureKind.INVALID_ANSWER


BREAKS = {
    "before the head": ([], Stage.BEFORE_HEAD),
    "before output": ([delta("")], Stage.BEFORE_OUTPUT),
    "after output": ([delta("a")], Stage.MID_STREAM),
}


@pytest.mark.parametrize("when", BREAKS)
def test_a_break_knows_how_far_the_attempt_had_come(when):
    pieces, stage = BREAKS[when]
    machine = exchange()
    if pieces:
        machine.head(200, STREAM)
    for piece in pieces:
        machine.data(piece)
    machine.broken(BROKEN)
    assert machine.seen.failure == Failure(BROKEN.kind, BROKEN.message, retryable=True, stage=stage)


NO_OUTPUT = {
    "a role alone": b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n',
    "an empty delta": delta(""),
    "a comment": b": processing\n\n",
    "usage": USAGE,
    "a finish": finish(),
}


@pytest.mark.parametrize("what", NO_OUTPUT)
def test_what_is_no_output_leaves_failover_open(what):
    """Architecture 4.5: a role-only or empty delta is not output."""
    machine = exchange()
    machine.head(200, STREAM)
    machine.data(NO_OUTPUT[what])
    assert not machine.seen.output
    machine.data(delta("a"))
    assert machine.seen.output


def test_comments_are_no_life():
    machine = exchange()
    machine.head(200, STREAM)
    assert not machine.data(b": ping\n\n").is_alive
    assert not machine.data(b"data: : keepalive\n\n").is_alive
    assert machine.data(delta("a")).is_alive


def test_the_first_finish_and_the_last_usage_count():
    """Row 19: what comes after the end mark is nobody's."""
    other = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9}}\n\n'
    body = delta("a") + finish("length") + finish("stop") + USAGE + other + DONE + delta("ghost")
    machine = exchange("contract")
    steps = feed(machine, [body])
    assert machine.seen.reason == "length"
    assert machine.seen.usage.input == 9
    assert b"ghost" not in output(steps)


KEYS = """
    id choices delta index content tool_calls function arguments name type finish_reason usage error
    code message role prompt_tokens reasoning_details provider audio images
""".split()
WORDS = ["", "a", "function", "stop", "error", "{}", "tool_calls", "🙂"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 600)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
FRAMES = st.lists(
    st.binary(max_size=40) | JSON.map(lambda value: b"data: " + json.dumps(value) + b"\n\n"),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(row=st.sampled_from(sorted(WRITERS)), pieces=FRAMES, cut=st.booleans())
def test_no_bytes_make_the_machine_raise(row, pieces, cut):
    machine = exchange(row)
    steps = feed(machine, pieces, broken=BROKEN if cut else None)
    assert len(terminals(steps)) == 1
    assert machine.ended


@settings(max_examples=200, deadline=None)
@given(
    row=st.sampled_from(["contract", "plain"]),
    streamed=st.booleans(),
    status=st.sampled_from([200, 201, 204, 400, 404, 429, 500, 599]),
    body=st.binary(max_size=30) | JSON.map(json.dumps),
)
def test_no_whole_body_makes_the_machine_raise(row, streamed, status, body):
    machine = exchange(row, streamed=streamed)
    steps = feed(machine, [body], status=status, headers=WHOLE)
    assert len(terminals(steps)) == 1
    assert machine.ended


@pytest.mark.parametrize("row", ["contract", "plain"])
def test_a_whole_answer_without_a_reason_is_no_stream_that_ended_well(row):
    """Nobody said why it ended, so a client that asked for a stream is not told "stop"."""
    silent = {**ANSWER, "choices": [{**ANSWER["choices"][0], "finish_reason": ""}]}
    machine = exchange(row)
    steps = feed(machine, [json.dumps(silent)], headers=WHOLE)
    assert machine.seen.failure.kind == "invalid_answer"
    assert not machine.seen.complete
    assert b"[DONE]" not in output(steps)
    whole = exchange(row, streamed=False)
    feed(whole, [json.dumps(silent)], headers=WHOLE)
    assert whole.seen.complete
