"""The laws over every recorded interaction of the responses dialect, and every rewritten stream.

Serves GetPut, Fold, Order and Prefix (architecture, section 3), R5 and R7. A failure names its
recordings.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from arno.canon.events import Event, StreamError
from arno.canon.failure import Failure, FailureKind, Stage
from arno.canon.parts import OpaquePart, Part, ReasoningPart
from arno.canon.response import Response
from arno.canon.unfold import unfold
from arno.dialects.base import Batch, Stamp
from arno.dialects.responses import quick
from arno.dialects.responses.stream_decode import ResponsesStreamDecoder
from arno.wire import Frame, json
from tests.laws.harness import (
    CHAT,
    RESET,
    checked,
    decode,
    decode_frames,
    failed,
    folded,
    frames_of,
)
from tests.laws.recordings import answers as chat_answers
from tests.laws.recordings import streams as chat_streams
from tests.laws.responses import (
    BAD_STATUS,
    COUNTED,
    FAULTS,
    RESPONSES,
    SAME,
    Row,
    answers,
    check_grammar,
    documents_of,
    encode,
    plain,
    recorded,
    rewritten,
    streams,
    told,
)
from tests.shared import needs_shared

pytestmark = needs_shared


def all_hold(rows: Iterable[Row], law: Callable[[Row], bool]) -> int:
    """Check `law` for each row and return how many there were; names all that break it."""
    broken: list[str] = []
    count = 0
    for row in rows:
        count += 1
        try:
            held = law(row)
        except Exception as error:
            error.add_note(f"in {row.id}")
            raise
        if not held:
            broken.append(row.id)
    assert not broken, f"{len(broken)} of {count}: {broken}"
    return count


def test_all_recordings_are_accounted_for() -> None:
    """N of N: every line of both files is in exactly one of the tests below."""
    rows = {row.id: row for row in recorded()}
    assert {name: rows[name].status for name in BAD_STATUS} == BAD_STATUS
    assert [row.id for row in rows.values() if row.status != 200] == list(BAD_STATUS)
    assert len(answers()) + len(streams()) + len(BAD_STATUS) + len(COUNTED) == len(rows)
    assert {row.rewrite for row in rewritten()} == {*SAME, *FAULTS}
    assert all(row.original in rows for row in rewritten())
    print(f"{len(answers())} whole answers, {len(streams())} streams of {len(rows)} interactions")


def test_requests_come_back_as_they_were() -> None:
    def law(row: Row) -> bool:
        back, losses = RESPONSES.encode_request(RESPONSES.decode_request(json.dumps(row.request)))
        return not losses and json.equal(json.loads(back), row.request)

    asked = [row for row in recorded() if row.request and "model" in row.request]
    assert all_hold(asked, law) >= 130


def answer_of(body: bytes) -> Response:
    answer = RESPONSES.decode_response(body)
    assert isinstance(answer, Response)
    return answer


def documents() -> list[Row]:
    """Whole answers, and the whole answer at the end of each stream."""
    ends = [
        msgspec.structs.replace(row, body=json.dumps(row.last), stream=False) for row in streams()
    ]
    return answers() + ends


def test_whole_answers_come_back_as_they_were() -> None:
    def law(row: Row) -> bool:
        back, losses = RESPONSES.encode_response(answer_of(row.body))
        return not losses and json.equal(json.loads(json.dumps(back)), json.loads(row.body))

    assert all_hold(documents(), law) == len(answers()) + len(streams())


def resealed(value: Response) -> Response:
    """The answer with its artefacts masked: the last document of a stream seals them anew."""
    choice = value.choices[0]
    parts = tuple(map(_masked, choice.parts))
    return msgspec.structs.replace(value, choices=(msgspec.structs.replace(choice, parts=parts),))


def _masked(part: Part) -> Part:
    if isinstance(part, ReasoningPart) and part.sealed is not None:
        return msgspec.structs.replace(part, sealed="sealed")
    if isinstance(part, OpaquePart) and part.document.get("encrypted_content"):
        document = {**part.document, "encrypted_content": "sealed"}
        return msgspec.structs.replace(part, document=document)
    return part


RESEALED = 5
"""Recorded streams whose last document holds other artefacts than the items did."""


def test_streams_fold_to_the_answer_that_they_end_with() -> None:
    """Residue included: what is folded is written as the very document."""
    differing: list[str] = []

    def law(row: Row) -> bool:
        streamed = folded(decode(row.body, RESPONSES.stream_decoder))
        whole = answer_of(json.dumps(row.last))
        if streamed != whole:
            differing.append(row.id)
        return resealed(streamed) == resealed(whole)

    assert all_hold(streams(), law) == len(streams())
    assert len(differing) == RESEALED, differing


def events_of(row: Row) -> list[Event]:
    """The events of a stream, or of a whole answer told as one."""
    if row.stream:
        return decode(row.body, RESPONSES.stream_decoder)
    return checked(list(unfold(answer_of(row.body))))


def test_answers_told_as_streams_say_the_same_in_good_grammar() -> None:
    """Law Fold and R7 for what we write, one event at a time and all at once."""

    def law(row: Row) -> bool:
        if not row.stream and answer_of(row.body).choices[0].reason is None:
            return True  # still in the making: a stream must say why it ends (R5)
        events = events_of(row)
        answer = folded(events)
        one, all_ = encode([event] for event in events), encode([events])
        check_grammar(one)
        again = folded(decode(one, RESPONSES.stream_decoder))
        return one == all_ and plain(again) == plain(told(answer))

    assert all_hold(answers() + streams(), law) == len(answers()) + len(streams())


def test_chat_answers_told_on_this_wire_say_the_same_in_good_grammar() -> None:
    """Must hold 2 for this pair: whole and streamed, N of N."""
    count = 0
    for case in chat_answers() + chat_streams():
        if case.stream:
            events = decode(case.body)
        else:
            whole = CHAT.decode_response(case.body)
            assert isinstance(whole, Response)
            if len(whole.choices) != 1 or whole.choices[0].reason is None:
                continue
            events = list(unfold(whole))
        answer = folded(events)
        body = encode([event] for event in events)
        check_grammar(body)
        stamped = encode([events], Stamp(id="gen-1", model="m"))
        assert {"id": "gen-1", "model": "m"}.items() <= documents_of(stamped)[-1][
            "response"
        ].items()
        document, losses = RESPONSES.encode_response(answer)
        wanted = plain(told(answer))
        assert not losses, case.id
        assert plain(folded(decode(body, RESPONSES.stream_decoder))) == wanted, case.id
        assert plain(answer_of(json.dumps(document))) == wanted, case.id
        count += 1
    assert count > 220


TERMINAL = ("response.completed", "response.incomplete")


def test_streams_cut_behind_any_frame_are_failures_until_the_end() -> None:
    def law(row: Row) -> bool:
        frames = frames_of(row.body)
        last = next(n for n, frame in enumerate(frames) if frame.event in TERMINAL)
        # The decoder is fed once, and asked at each place what an end there would mean.
        decoder = ResponsesStreamDecoder()
        for number, frame in enumerate(frames[: last + 1]):
            cut = ResponsesStreamDecoder()
            cut.__dict__.update(decoder.__dict__)
            if not isinstance(cut.close().events[-1], StreamError):
                return False
            decoder.feed(frame)
            if number % 16 == 0 and not failed(
                decode_frames(frames[:number], RESPONSES.stream_decoder)
            ):
                return False
        return not failed(decode_frames(frames[: last + 1], RESPONSES.stream_decoder))

    assert all_hold(streams(), law) == len(streams())


def test_a_stream_cut_at_any_byte_is_a_failure_until_the_end() -> None:
    row = min(streams(), key=lambda row: len(row.body))
    body = row.body
    end = body.index(b"\n\n", body.index(b"event: response.completed")) + 2
    data_end = end - 2  # the last line may lack its end; the frame is whole all the same
    for at in range(0, len(body) + 1, 1 if len(body) < 4000 else 7):
        good = not failed(decode(body[:at], RESPONSES.stream_decoder))
        assert good is (at >= data_end), at


def test_a_broken_connection_is_a_failure_before_the_end() -> None:
    for row in streams():
        frames = frames_of(row.body)
        last = next(n for n, frame in enumerate(frames) if frame.event in TERMINAL)
        assert failed(decode_frames(frames[:last], RESPONSES.stream_decoder, reset=RESET)), row.id


class InventsStop(ResponsesStreamDecoder):
    """A decoder with the fault that the prefix law is for: an end of stream becomes a stop."""

    def close(self) -> Batch:
        self._finish_optional = True
        return Batch(None, None, () if self._ended else tuple(self._finish(done=True)))


def test_the_prefix_check_notices_an_invented_stop() -> None:
    cuts = [row for row in rewritten() if row.rewrite == "cut"]
    assert all(failed(decode(row.body, RESPONSES.stream_decoder)) for row in cuts)
    assert any(not failed(decode(row.body, InventsStop)) for row in cuts)


def test_rewrites_that_keep_the_meaning_decode_to_the_same_value() -> None:
    rows = {row.id: row for row in recorded()}
    values: dict[str, Response] = {}
    counts: Counter[str] = Counter()

    def law(row: Row) -> bool:
        if row.original not in values:
            body = rows[row.original].body
            values[row.original] = folded(decode(body, RESPONSES.stream_decoder))
        counts[row.rewrite] += 1
        return folded(decode(row.body, RESPONSES.stream_decoder)) == values[row.original]

    all_hold((row for row in rewritten() if row.rewrite in SAME), law)
    assert counts == dict.fromkeys(SAME, len(streams()))


def test_rewrites_that_are_faults_are_failures() -> None:
    counts: Counter[str] = Counter()

    def law(row: Row) -> bool:
        reset = RESET if row.rewrite == "abort" else None
        counts[row.rewrite] += 1
        frames = frames_of(row.body)
        return failed(decode_frames(frames, RESPONSES.stream_decoder, reset=reset))

    all_hold((row for row in rewritten() if row.rewrite in FAULTS), law)
    assert counts == dict.fromkeys(FAULTS, len(streams()))


def test_failures_in_streams_tell_what_the_upstream_said() -> None:
    for row in rewritten():
        if row.rewrite in ("mid_error", "failed"):
            last = decode(row.body, RESPONSES.stream_decoder)[-1]
            assert isinstance(last, StreamError)
            assert (last.failure.message, last.failure.code) == ("boom", "server_error")
            assert last.failure.kind is FailureKind.SERVER


def test_refusals_with_a_status_are_failures() -> None:
    rows = {row.id: row for row in recorded()}
    for name, status in BAD_STATUS.items():
        failure = RESPONSES.decode_failure(status, (), rows[name].body, Stage.BEFORE_OUTPUT)
        assert isinstance(failure, Failure)
        assert (failure.kind, failure.status) == (FailureKind.MODEL_NOT_FOUND, status)


class Slow(ResponsesStreamDecoder):
    """A decoder without the quick way."""

    def _quick(self, piece: quick.Piece) -> None:
        return None


class Forgets(ResponsesStreamDecoder):
    """A decoder whose quick way loses a piece now and then."""

    def feed(self, frame: Frame) -> Batch:
        batch = super().feed(frame)
        lost = batch.plain and b"e" in (frame.data or b"")[-4:]
        return msgspec.structs.replace(batch, events=()) if lost else batch


def test_the_quick_way_leads_where_the_long_way_leads() -> None:
    def law(row: Row) -> bool:
        return decode(row.body, RESPONSES.stream_decoder) == decode(row.body, Slow)

    assert all_hold(streams(), law) == len(streams())
    assert any(decode(row.body, Forgets) != decode(row.body, Slow) for row in streams())
