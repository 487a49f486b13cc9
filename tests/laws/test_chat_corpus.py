"""The laws over every recorded chat interaction, and over every rewrite of a recorded stream.

Serves case 0 (N of N interactions), the laws GetPut, Fold, Order and Prefix (architecture,
section 3) and rows 5 to 8, 14 to 16 and 41 of the fault matrix. A failure names its recordings.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from arno.canon.events import ChoiceEnd, Event, KeepAlive, ResponseEnd, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.response import FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch
from arno.dialects.chat.stream_decode import ChatStreamDecoder
from arno.wire import Frame, SSEDecoder, json
from tests.laws import recordings
from tests.laws.harness import (
    CHAT,
    RESET,
    bare,
    checked,
    decode,
    decode_frames,
    encode,
    failed,
    finish_place,
    folded,
    frames_of,
    told,
)
from tests.laws.recordings import REWRITES, Recording, Rewrite
from tests.shared import needs_shared
from tests.wire.streams import bytewise

pytestmark = needs_shared

CHANGED_FIELDS = {
    # The rewrite gives every chunk another id and sets `created` to 0.
    "id_change": frozenset({"id", "created"}),
    # The rewrite writes null over native_finish_reason where the recording had a word of its own.
    "extras": frozenset({"native_reason"}),
}
"""What a rewrite that keeps the meaning destroys all the same; compared for no other rewrite."""


def all_hold(cases: Iterable[Recording], law: Callable[[Recording], bool]) -> int:
    """Check `law` for each case and return how many there were; names all that break it."""
    broken: list[str] = []
    count = 0
    for case in cases:
        count += 1
        try:
            held = law(case)
        except Exception as error:
            error.add_note(f"in {case.id}")
            raise
        if not held:
            broken.append(case.id)
    assert not broken, f"{len(broken)} of {count}: {broken}"
    return count


def test_the_exclusions_are_in_the_file_and_no_more_than_needed() -> None:
    rows = {row.id: row for row in recordings.recorded()}
    assert {name: rows[name].status for name in recordings.BAD_STATUS} == recordings.BAD_STATUS
    assert [row.id for row in rows.values() if row.status != 200] == [
        name for name in rows if name in recordings.BAD_STATUS
    ]
    assert all(rows[name].stream for name in recordings.FAILED_STREAMS)
    excluded = len(recordings.BAD_STATUS) + len(recordings.FAILED_STREAMS)
    assert len(recordings.answers()) + len(recordings.streams()) == len(rows) - excluded


def test_requests_come_back_as_they_were() -> None:
    def law(case: Recording) -> bool:
        back, losses = CHAT.encode_request(CHAT.decode_request(json.dumps(case.request)))
        return not losses and json.equal(json.loads(back), case.request)

    assert all_hold(recordings.recorded(), law) == len(recordings.recorded())


def answer_of(case: Recording) -> Response:
    answer = CHAT.decode_response(case.body)
    assert isinstance(answer, Response), case.id
    return answer


def test_whole_answers_come_back_as_they_were() -> None:
    def law(case: Recording) -> bool:
        back, losses = CHAT.encode_response(answer_of(case))
        return not losses and json.equal(back, json.loads(case.body))

    assert all_hold(recordings.answers(), law) == len(recordings.answers())


def test_whole_answers_are_the_fold_of_their_own_events() -> None:
    def law(case: Recording) -> bool:
        answer = answer_of(case)
        return bare(folded(checked(list(unfold(answer))))) == bare(answer)

    assert all_hold(recordings.answers(), law) == len(recordings.answers())


def test_whole_answers_told_as_streams_say_the_same() -> None:
    """Law Fold; row 21 of the fault matrix is the same step for a client that asked to stream.

    A stream has to say why it ends: an answer that does not is no good one there (R5).
    """

    def law(case: Recording) -> bool:
        answer = answer_of(case)
        body = encode([list(unfold(answer))])
        if any(choice.reason is None for choice in answer.choices):
            return failed(decode(body))
        again = CHAT.decode_response(json.dumps(CHAT.encode_response(answer)[0]))
        assert isinstance(again, Response)
        return bare(folded(decode(body))) == bare(told(answer)) == bare(told(again))

    assert all_hold(recordings.answers(), law) == len(recordings.answers())


@pytest.mark.parametrize("include_usage", [True, False])
def test_streams_come_back_with_the_same_meaning(include_usage: bool) -> None:
    """The documents are dropped: what is encoded is what the events say, one frame at a time."""

    def law(case: Recording) -> bool:
        decoder = CHAT.stream_decoder()
        batches = [decoder.feed(frame).events for frame in frames_of(case.body)]
        batches.append(decoder.close().events)
        answer = folded(checked([event for batch in batches for event in batch]))
        again = folded(decode(encode(batches, include_usage=include_usage)))
        return bare(again) == bare(answer)

    assert all_hold(recordings.streams(), law) == len(recordings.streams())


def test_streams_say_what_their_whole_form_says() -> None:
    def law(case: Recording) -> bool:
        answer = folded(decode(case.body))
        again = CHAT.decode_response(json.dumps(CHAT.encode_response(answer)[0]))
        return isinstance(again, Response) and bare(again) == bare(answer)

    assert all_hold(recordings.streams(), law) == len(recordings.streams())


def test_whole_answers_that_were_cut_are_failures() -> None:
    """Row 6 for answers that are not streamed: a part of the body is never an answer."""
    for case in recordings.answers():
        body = case.body.rstrip()
        for end in (0, 1, len(body) // 2, len(body) - 1):
            failure = CHAT.decode_response(body[:end])
            assert isinstance(failure, Failure), (case.id, end)
            assert failure.retryable, (case.id, end)


def test_the_seed_means_the_same_however_it_arrives() -> None:
    """R2: whole, byte by byte, cut in two anywhere, with other line ends and with comments."""
    for body in recordings.seed():
        expected = decode(body)
        comment = b": OPENROUTER PROCESSING\n\n"
        assert decode_frames(frames_from(bytewise(body))) == expected
        for at in range(0, len(body), 7):
            assert decode_frames(frames_from([body[:at], body[at:]])) == expected, at
        for other in (
            body.replace(b"\n", b"\r\n"),
            body.replace(b"\n", b"\r"),
            body.replace(b"data: ", b"data:"),
            b"\xef\xbb\xbf" + body,
        ):
            assert decode(other) == expected
        commented = comment * 3 + body.replace(b"\n\n", b"\n\n" + comment, 5)
        events = [event for event in decode(commented) if not isinstance(event, KeepAlive)]
        assert events == expected


def frames_from(parts: Iterable[bytes]) -> list[Frame]:
    """The frames of a body that arrives in parts."""
    decoder = SSEDecoder()
    return [frame for part in parts for frame in decoder.feed(part)] + decoder.close()


def test_failed_streams_tell_their_own_failure() -> None:
    rows = {row.id: row for row in recordings.recorded()}
    for name, (kind, code) in recordings.FAILED_STREAMS.items():
        last = decode(rows[name].body)[-1]
        assert isinstance(last, StreamError), name
        failure = last.failure
        assert (failure.kind, failure.code, failure.stage) == (kind, code, Stage.MID_STREAM)
        assert failure.status is None, name


def test_refusals_with_a_status_are_failures() -> None:
    rows = {row.id: row for row in recordings.recorded()}
    kinds = {400: FailureKind.INVALID_REQUEST, 429: FailureKind.RATE_LIMIT}
    for name, status in recordings.BAD_STATUS.items():
        row = rows[name]
        headers = tuple((key.lower(), values[0]) for key, values in row.headers.items())
        failure = CHAT.decode_failure(status, headers, row.body, Stage.BEFORE_OUTPUT)
        assert (failure.kind, failure.status) == (kinds[status], status), name
        assert failure.retryable is (status == 429), name


class CutMaker:
    """Prefixes of one stream: each ends with one terminal event, a failure until the evidence."""

    def __init__(self, make: Callable[[], ChatStreamDecoder] = ChatStreamDecoder) -> None:
        self.make = make

    def false_successes(self, frames: list[Frame]) -> list[int]:
        """The cuts (frames kept) that were called a success before every choice had finished."""
        finished = finish_place(frames)
        return [
            kept
            for kept in range(len(frames) + 1)
            if failed(decode_frames(frames[:kept], self.make)) is (kept > finished)
        ]


def test_streams_cut_behind_any_frame_are_failures_until_the_finish() -> None:
    maker = CutMaker()

    def law(case: Recording) -> bool:
        return not maker.false_successes(frames_of(case.body))

    assert all_hold(recordings.streams(), law) == len(recordings.streams())


class InventsStop(ChatStreamDecoder):
    """A decoder with the fault that the prefix law is for: an end of stream becomes a stop."""

    def close(self) -> Batch:
        batch = super().close()
        if not batch.events or isinstance(batch.events[-1], ResponseEnd) or not self._started:
            return batch
        ends: list[Event] = [
            event
            for choice in self._choices.values()
            for event in self._deltas.end(choice, whole=True)
        ]
        return Batch(None, None, (*ends, ChoiceEnd(0, FinishReason.STOP), ResponseEnd()))


def test_the_prefix_check_notices_an_invented_stop() -> None:
    stream = frames_of(recordings.seed()[0])
    assert CutMaker().false_successes(stream) == []
    assert len(CutMaker(InventsStop).false_successes(stream)) == finish_place(stream)


BYTEWISE = (
    "fantasy/providertests/testdata/TestOpenAICommon/openai-gpt-4o/multi_tool_streaming.yaml#0",
    "fantasy/providertests/testdata/TestOpenAICompatibleCommon/groq-kimi-k2/tool_streaming.yaml#0",
)
"""Recordings cut at every byte beside the two of the seed."""


def bytewise_bodies() -> list[tuple[str, bytes]]:
    rows = {row.id: row.body for row in recordings.recorded()}
    seeds = [(f"seed {number}", body) for number, body in enumerate(recordings.seed())]
    return seeds + [(name, rows[name]) for name in BYTEWISE]


def test_streams_cut_at_any_byte_are_failures_until_the_finish() -> None:
    """Rows 5 to 8. A cut inside a frame leaves it void, so it ends like the frame before."""
    for name, body in bytewise_bodies():
        frames = frames_of(body)
        finished = finish_place(frames)
        ends = {}
        length = 0
        for number, frame in enumerate(frames):
            length += len(frame.raw)
            ends[number] = length
        wrong = [
            at
            for at in range(len(body) + 1)
            if failed(decode_frames(frames_before(frames, body, at))) is (at >= ends[finished])
        ]
        assert not wrong, (name, wrong[:10])


def frames_before(frames: list[Frame], body: bytes, at: int) -> list[Frame]:
    """What a framing decoder makes of `body[:at]`: whole frames, and the unfinished rest."""
    kept: list[Frame] = []
    length = 0
    for frame in frames:
        if length + len(frame.raw) > at:
            break
        length += len(frame.raw)
        kept.append(frame)
    return kept + frames_of(body[length:at])


def test_a_broken_connection_is_a_failure_even_behind_the_finish() -> None:
    for name, body in bytewise_bodies():
        frames = frames_of(body)
        for kept in range(len(frames) - 1):
            events = decode_frames(frames[:kept], reset=RESET)
            assert failed(events), (name, kept)


def originals() -> dict[str, Recording]:
    return {row.id: row for row in recordings.recorded()}


def test_every_rewrite_has_its_row() -> None:
    assert {row.rewrite for row in recordings.rewritten()} == REWRITES.keys()
    rows = originals()
    assert all(row.original in rows for row in recordings.rewritten())


def rewritten_events(case: Recording) -> list[Event]:
    reset: Failure | None = RESET if case.rewrite == "abort" else None
    return decode_frames(frames_of(case.body), reset=reset)


def test_rewrites_that_keep_the_meaning_decode_to_the_same_value() -> None:
    rows = originals()
    values: dict[str, Response] = {}
    counts: Counter[str] = Counter()

    def law(case: Recording) -> bool:
        if case.original not in values:
            values[case.original] = folded(decode(rows[case.original].body))
        without = CHANGED_FIELDS.get(case.rewrite, frozenset())
        counts[case.rewrite] += 1
        answer = folded(rewritten_events(case))
        return bare(answer, without=without) == bare(values[case.original], without=without)

    cases = [row for row in recordings.rewritten() if REWRITES[row.rewrite] is Rewrite.SAME]
    assert all_hold(cases, law) == len(cases)
    assert counts == Counter(case.rewrite for case in cases)


def test_rewrites_that_are_faults_are_failures() -> None:
    cases = [row for row in recordings.rewritten() if REWRITES[row.rewrite] is Rewrite.FAULT]

    def law(case: Recording) -> bool:
        return failed(rewritten_events(case))

    assert all_hold(cases, law) == len(cases)


def test_the_fault_check_notices_an_invented_stop() -> None:
    cuts = [row for row in recordings.rewritten() if row.rewrite == "cut"]
    missed = [row for row in cuts if not failed(decode(row.body, InventsStop))]
    assert missed


def test_all_recordings_are_accounted_for() -> None:
    """N of N: every chat line of both files is in exactly one of the tests above."""
    whole, streams = len(recordings.answers()), len(recordings.streams())
    excluded = len(recordings.BAD_STATUS) + len(recordings.FAILED_STREAMS)
    same = sum(REWRITES[row.rewrite] is Rewrite.SAME for row in recordings.rewritten())
    faults = sum(REWRITES[row.rewrite] is Rewrite.FAULT for row in recordings.rewritten())
    print(
        f"{whole} whole answers, {streams} streams, {excluded} failures of "
        f"{len(recordings.recorded())} interactions; {same} rewrites with the same value and "
        f"{faults} faults of {len(recordings.rewritten())} rewrites"
    )
    assert whole + streams + excluded == len(recordings.recorded())
    assert same + faults == len(recordings.rewritten())
