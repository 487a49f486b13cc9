"""The laws over every recorded gemini interaction, and over every rewrite of a recorded stream.

Serves the laws GetPut, Fold, Order and Prefix (architecture, section 3) and rows 5 to 8 of the
fault matrix. A failure names its recordings.
"""

from collections.abc import Callable, Iterable

from arno.canon.events import ChoiceEnd, Event, ResponseEnd
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import Executor, ToolCallPart
from arno.canon.response import FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch, Stamp
from arno.dialects.gemini.stream_decode import GeminiStreamDecoder
from arno.wire import SSEDecoder, json
from arno.wire.json_array import ArrayWriter, JSONArrayDecoder
from tests.laws.gemini import (
    BAD_STATUS,
    FAULTS,
    GEMINI,
    SAME,
    Recording,
    answers,
    decode,
    decode_frames,
    encode,
    failure_of,
    finish_place,
    recorded,
    rewritten,
    spaceless,
    streams,
    told,
)
from tests.laws.harness import RESET, bare, checked, failed, folded, frames_of, no_price
from tests.shared import needs_shared
from tests.wire.streams import bytewise

pytestmark = needs_shared


def all_hold(cases: Iterable[Recording], law: Callable[[Recording], bool]) -> int:
    """Check `law` for each case and return how many there were; names all that break it."""
    cases = list(cases)
    broken = [case.id for case in cases if not law(case)]
    assert not broken, f"{len(broken)} of {len(cases)}: {broken}"
    assert cases
    return len(cases)


def answer_of(case: Recording) -> Response:
    answer = GEMINI.decode_response(case.body)
    assert isinstance(answer, Response), case.id
    return answer


def test_requests_come_back_as_they_were() -> None:
    def law(case: Recording) -> bool:
        request = GEMINI.decode_request(json.dumps(case.request), case.line)
        back, losses = GEMINI.encode_request(request)
        return not losses and json.equal(json.loads(back), case.request)

    assert all_hold(recorded(), law) == len(recorded())


def test_whole_answers_come_back_as_they_were() -> None:
    def law(case: Recording) -> bool:
        back, losses = GEMINI.encode_response(answer_of(case))
        return not losses and json.equal(json.loads(json.dumps(back)), json.loads(case.body))

    assert all_hold(answers(), law) == len(answers())


def test_whole_answers_told_as_streams_say_the_same() -> None:
    """Law Fold, and row 21 of the fault matrix."""

    def law(case: Recording) -> bool:
        answer = answer_of(case)
        body, losses = encode([list(unfold(answer))])
        read = folded(decode(body))
        return not losses and bare(read) == bare(answer) == bare(told(answer))

    assert all_hold(answers(), law) == len(answers())


def test_streams_come_back_with_the_same_meaning() -> None:
    """The documents are dropped: what is encoded is what the events say, one frame at a time."""

    def law(case: Recording) -> bool:
        decoder = GEMINI.stream_decoder()
        batches = [decoder.feed(frame).events for frame in frames_of(case.body)]
        batches.append(decoder.close().events)
        answer = folded(checked([event for batch in batches for event in batch]))
        body, losses = encode(batches)
        whole = GEMINI.decode_response(json.dumps(GEMINI.encode_response(answer)[0]))
        assert isinstance(whole, Response)
        return not losses and bare(folded(decode(body))) == bare(answer) == bare(whole)

    assert all_hold(streams(), law) == len(streams())


def test_streams_mean_the_same_byte_by_byte_and_as_an_array() -> None:
    def law(case: Recording) -> bool:
        expected = decode(case.body)
        framing = SSEDecoder()
        frames = [frame for piece in bytewise(case.body) for frame in framing.feed(piece)]
        writer, framer = ArrayWriter(), JSONArrayDecoder()
        array = writer.feed(case.body) + writer.close()
        elements = framer.feed(array) + framer.close()
        return decode_frames(frames + framing.close()) == expected == decode_frames(elements)

    assert all_hold(streams(), law) == len(streams())


def test_streams_pass_on_byte_for_byte_where_nothing_is_stamped() -> None:
    def law(case: Recording) -> bool:
        decoder, passed = GEMINI.stream_decoder(), b""
        restamper = GEMINI.stream_restamper(Stamp(), no_price, include_usage=True)
        for frame in frames_of(case.body):
            passed += restamper.feed(decoder.feed(frame))
        return passed + restamper.feed(decoder.close()) == case.body

    assert all_hold(streams(), law) == len(streams())


def test_turns_with_calls_end_for_them() -> None:
    """R4: the wire says STOP."""
    count = 0
    for case in recorded():
        if case.status != 200:
            continue
        answer = folded(decode(case.body)) if case.stream else answer_of(case)
        for choice in answer.choices:
            asked = any(
                isinstance(part, ToolCallPart) and part.executor is Executor.CLIENT
                for part in choice.parts
            )
            count += asked
            assert (choice.reason is FinishReason.TOOL_CALLS) is asked, case.id
    assert count > 80


def test_refusals_with_a_status_are_failures() -> None:
    cases = [case for case in recorded() if case.status != 200]
    assert len(cases) == 2
    for case in cases:
        failure = GEMINI.decode_failure(case.status, (), case.body, Stage.BEFORE_OUTPUT)
        assert case.status == BAD_STATUS
        assert failure.kind is FailureKind.INVALID_REQUEST
        assert (failure.code, failure.retryable) == ("INVALID_ARGUMENT", False)


def test_whole_answers_that_were_cut_are_failures() -> None:
    for case in answers():
        body = case.body.rstrip()
        for end in (0, 1, len(body) // 2, len(body) - 1):
            failure = GEMINI.decode_response(body[:end])
            assert isinstance(failure, Failure), (case.id, end)
            assert failure.retryable, (case.id, end)


class InventsStop(GeminiStreamDecoder):
    """A decoder with the fault that the prefix law is for: an end of stream becomes a stop."""

    def close(self) -> Batch:
        batch = super().close()
        if not batch.events or isinstance(batch.events[-1], ResponseEnd) or not self._started:
            return batch
        ends: list[Event] = [e for choice in self._choices.values() for e in choice.close()]
        return Batch(None, None, (*ends, ChoiceEnd(0, FinishReason.STOP), ResponseEnd()))


def false_ends(case: Recording, make=GeminiStreamDecoder) -> list[int]:
    """The cuts (frames kept) that were told as what they are not."""
    frames = frames_of(case.body)
    finished = finish_place(frames)
    return [
        kept
        for kept in range(len(frames) + 1)
        if failed(decode_frames(frames[:kept], make=make)) is (kept > finished)
    ]


def test_streams_cut_behind_any_frame_are_failures_until_the_finish() -> None:
    assert all_hold(streams(), lambda case: not false_ends(case)) == len(streams())


def test_the_prefix_check_notices_an_invented_stop() -> None:
    long = max(streams(), key=lambda case: len(frames_of(case.body)))
    assert false_ends(long) == []
    assert len(false_ends(long, InventsStop)) == finish_place(frames_of(long.body))


def test_a_stream_cut_at_any_byte_is_a_failure_until_the_finish() -> None:
    body = min((case.body for case in streams() if b"functionCall" in case.body), key=len)
    frames = frames_of(body)
    whole = len(b"".join(frame.raw for frame in frames[: finish_place(frames) + 1]))
    whole -= 1  # the CR of the last blank line ends the event, whether an LF follows or not
    wrong = [at for at in range(len(body)) if failed(decode(body[:at])) is (at >= whole)]
    assert not wrong


def test_every_rewrite_is_a_fault_or_keeps_the_meaning() -> None:
    assert {row.rewrite for row in rewritten()} == FAULTS | SAME
    originals = {row.id for row in recorded()}
    assert all(row.original in originals for row in rewritten())


def test_rewrites_that_keep_the_meaning_decode_to_the_same_value() -> None:
    """Some lay the documents out anew, which shows in the text of arguments alone."""
    values = {row.id: spaceless(bare(folded(decode(row.body)))) for row in streams()}

    def law(case: Recording) -> bool:
        return spaceless(bare(folded(decode(case.body)))) == values[case.original]

    cases = [row for row in rewritten() if row.rewrite in SAME]
    assert all_hold(cases, law) == len(cases)


def test_rewrites_that_are_faults_are_failures() -> None:
    def law(case: Recording) -> bool:
        reset = RESET if case.rewrite == "abort" else None
        return failed(decode_frames(frames_of(case.body), reset=reset))

    cases = [row for row in rewritten() if row.rewrite in FAULTS]
    assert all_hold(cases, law) == len(cases)
    cuts = [row for row in cases if row.rewrite == "cut"]
    assert any(not failed(decode(row.body, InventsStop)) for row in cuts)


def test_an_error_between_the_events_tells_its_kind() -> None:
    for case in rewritten():
        if case.rewrite == "mid_error":
            failure = failure_of(decode(case.body))
            assert (failure.kind, failure.code) == (FailureKind.OVERLOADED, "UNAVAILABLE"), case.id


def test_all_recordings_are_accounted_for() -> None:
    """N of N: every line of both files is in exactly one of the tests above."""
    refusals = [case for case in recorded() if case.status != 200]
    assert len(answers()) + len(streams()) + len(refusals) == len(recorded())
    print(
        f"{len(answers())} whole answers, {len(streams())} streams, {len(refusals)} refusals of "
        f"{len(recorded())} interactions; {len(rewritten())} rewrites"
    )
    assert len(recorded()) > 150
