"""The laws over every recorded converse interaction, and over every rewrite of a recorded stream.

Serves GetPut, Fold, Order, Prefix and Framing (architecture, section 3) and the cut sweep. A
failure names its recordings.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from arno.canon.events import Event, PartDelta, ResponseEnd, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch, Stamp
from arno.dialects.converse.stream_decode import ConverseStreamDecoder
from arno.wire import DEFAULT_LIMIT, FRAMERS, Frame, json
from tests.laws import converse_recordings as recordings
from tests.laws.converse_harness import (
    CONVERSE,
    batches_of,
    decode,
    encode,
    frames_of,
    restamped,
    told,
)
from tests.laws.converse_recordings import NO_REQUEST, REWRITES, Recording
from tests.laws.harness import RESET, bare, checked, failed, folded, no_price
from tests.shared import needs_shared
from tests.wire.messages import decode_bounded
from tests.wire.streams import bytewise

pytestmark = needs_shared


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
    rows = recordings.recorded()
    assert {row.id for row in rows if row.request is None} == NO_REQUEST
    assert sum(row.status != 200 for row in rows) == recordings.BAD_STATUS
    counts = (len(recordings.answers()), len(recordings.streams()), recordings.BAD_STATUS)
    assert sum(counts) == len(rows) == 65


def test_requests_come_back_as_they_were() -> None:
    def law(case: Recording) -> bool:
        request = CONVERSE.decode_request(json.dumps(case.request), case.line)
        back, losses = CONVERSE.encode_request(request)
        return not losses and json.equal(json.loads(back), case.request)

    cases = [row for row in recordings.recorded() if row.request is not None]
    assert all_hold(cases, law) == 64


def test_paths_are_the_recorded_ones() -> None:
    def law(case: Recording) -> bool:
        model, stream = case.line.model or "", bool(case.line.stream)
        return CONVERSE.path(model, stream=stream) == case.path

    assert all_hold(recordings.recorded(), law) == 65


def test_a_gateway_passes_every_recorded_request_on_as_it_is() -> None:
    def law(case: Recording) -> bool:
        body = json.dumps(case.request)
        envelope = CONVERSE.peek(body, case.line)
        edited = CONVERSE.edit_request(body, model="x", contract=False, ask_usage=True)
        return edited is body and envelope.model == case.line.model

    cases = [row for row in recordings.recorded() if row.request is not None]
    assert all_hold(cases, law) == 64


def answer_of(case: Recording) -> Response:
    answer = CONVERSE.decode_response(case.body)
    assert isinstance(answer, Response), case.id
    return answer


def test_whole_answers_come_back_as_they_were() -> None:
    def law(case: Recording) -> bool:
        back, losses = CONVERSE.encode_response(answer_of(case))
        return not losses and json.equal(json.loads(json.dumps(back)), json.loads(case.body))

    assert all_hold(recordings.answers(), law) == 56


def test_whole_answers_told_as_streams_say_the_same() -> None:
    def law(case: Recording) -> bool:
        answer = answer_of(case)
        streamed = folded(decode(encode([checked(list(unfold(answer)))])))
        return bare(streamed) == bare(answer) == bare(told(answer))

    assert all_hold(recordings.answers(), law) == 56


def test_whole_answers_pass_a_gateway_as_they_were() -> None:
    def law(case: Recording) -> bool:
        passed = CONVERSE.restamp_response(case.body, answer_of(case), Stamp(), no_price)
        return json.equal(json.loads(passed), json.loads(case.body))

    assert all_hold(recordings.answers(), law) == 56


def test_streams_come_back_with_the_same_meaning() -> None:
    """The documents are dropped: what is encoded is what the events say, one frame at a time."""

    def law(case: Recording) -> bool:
        batches = batches_of(frames_of(case.body))
        events = checked([event for batch in batches for event in batch.events])
        again = decode(encode([batch.events for batch in batches]))
        return not failed(events) and bare(folded(again)) == bare(folded(events))

    assert all_hold(recordings.streams(), law) == 6


def test_streams_pass_a_gateway_with_the_stamp_and_else_as_they_were() -> None:
    def law(case: Recording) -> bool:
        passed = restamped(case.body, Stamp(id="gen-1", model="m"))
        before, after = frames_of(case.body), frames_of(passed)
        same = [a.raw == b.raw for a, b in zip(before, after, strict=True)]
        answer = folded(decode(passed))
        stamped = msgspec.structs.replace(folded(decode(case.body)), id="gen-1", model="m")
        return all(same[1:-1]) and not same[0] and bare(answer) == bare(stamped)

    assert all_hold(recordings.streams(), law) == 6


def test_no_split_of_the_bytes_shows() -> None:
    def law(case: Recording) -> bool:
        framer = FRAMERS[CONVERSE.framing](DEFAULT_LIMIT)
        frames = [frame for piece in bytewise(case.body) for frame in framer.feed(piece)]
        return frames + framer.close() == frames_of(case.body)

    assert all_hold(recordings.streams(), law) == 6


class OnlySlow(ConverseStreamDecoder):
    """A decoder that takes every document the long way."""

    def _quick(self, data: bytes) -> PartDelta | None:
        return None


def test_the_quick_way_leads_to_the_same_events() -> None:
    def law(case: Recording) -> bool:
        return decode(case.body) == decode(case.body, OnlySlow)

    assert all_hold(recordings.streams(), law) == 6
    plain = sum(batch.plain for batch in batches_of(frames_of(recordings.streams()[1].body)))
    assert plain > 10


def stop_end(body: bytes) -> int:
    """Where the message with the stop reason ends."""
    end = 0
    for frame in frames_of(body):
        end += len(frame.raw)
        if frame.event == "messageStop":
            return end
    raise AssertionError("no stop")


def test_cut_at_every_byte() -> None:
    """The cut sweep: before the terminal evidence a failure, from there a success."""
    counts: Counter[bool] = Counter()

    def law(case: Recording) -> bool:
        body = case.body
        evidence = stop_end(body)
        stride = 1 if case is recordings.streams()[0] else 97
        for length in range(0, len(body) + 1, stride):
            events = decode(body[:length])
            counts[failed(events)] += 1
            if failed(events) != (length < evidence):
                return False
            last = events[-1]
            if isinstance(last, StreamError) and last.failure.kind is not FailureKind.TRUNCATED:
                return False
        return True

    assert all_hold(recordings.streams(), law) == 6
    assert min(counts.values()) > 50


def test_a_stream_that_breaks_is_a_failure_until_its_last_message() -> None:
    def law(case: Recording) -> bool:
        frames = frames_of(case.body)
        for kept in range(len(frames)):
            body = b"".join(frame.raw for frame in frames[:kept])
            if decode(body, reset=RESET)[-1] != StreamError(RESET):
                return False
        return isinstance(decode(case.body, reset=RESET)[-1], ResponseEnd)

    assert all_hold(recordings.streams(), law) == 6


def test_rewrites_that_are_faults_end_as_failures() -> None:
    seen: Counter[str] = Counter()

    def law(case: Recording) -> bool:
        seen[case.rewrite] += 1
        return failed(decode(case.body)) and case.rewrite in REWRITES

    assert all_hold(recordings.rewritten(), law) == 12
    assert seen == dict.fromkeys(REWRITES, 6)


def deltas(events: list[Event]) -> list[PartDelta]:
    return [event for event in events if isinstance(event, PartDelta)]


def test_what_came_before_a_fault_is_delivered() -> None:
    """R5: every delta of the rewritten stream is one of the original's, in order, and is told."""
    originals = {row.id: row for row in recordings.streams()}

    def law(case: Recording) -> bool:
        events = decode(case.body)
        whole = deltas(decode(originals[case.id.removesuffix(f"~{case.rewrite}")].body))
        again = decode(encode([events]))
        mine = deltas(events)
        return bool(mine) and mine == whole[: len(mine)] and deltas(again) == mine

    assert all_hold(recordings.rewritten(), law) == 12


def test_refusals_are_failures_with_the_upstreams_words() -> None:
    def law(case: Recording) -> bool:
        failure = CONVERSE.decode_failure(case.status, (), case.body, Stage.BEFORE_OUTPUT)
        assert isinstance(failure, Failure)
        status, document = CONVERSE.encode_failure(failure)
        again = CONVERSE.decode_failure(status, (), json.dumps(document), Stage.BEFORE_OUTPUT)
        said: Any = json.loads(case.body)
        assert failure.message == said["message"]
        return not failure.retryable and (again.kind, again.message) == (
            failure.kind,
            failure.message,
        )

    bad = [row for row in recordings.recorded() if row.status != 200]
    assert all_hold(bad, law) == recordings.BAD_STATUS


class LosesSignatures(ConverseStreamDecoder):
    """A decoder with a fault that the laws must notice: proofs are forgotten."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        kept = [e for e in batch.events if not (isinstance(e, PartDelta) and e.slot == "signature")]
        return msgspec.structs.replace(batch, events=tuple(kept))


def test_the_law_of_streams_notices_a_lost_signature() -> None:
    signed = [row for row in recordings.answers() if b'"signature"' in row.body]
    assert signed
    for case in signed:
        body = encode([list(unfold(answer_of(case)))])
        assert bare(folded(decode(body))) == bare(answer_of(case))
        assert bare(folded(decode(body, LosesSignatures))) != bare(answer_of(case))


@pytest.mark.parametrize("place", [0, -1])
def test_a_flipped_bit_is_no_answer(place: int) -> None:
    body = bytearray(recordings.streams()[0].body)
    body[place] ^= 1
    assert "checksum" in decode_bounded([bytes(body)], DEFAULT_LIMIT)[1]
