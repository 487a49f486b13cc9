"""The laws over every recorded messages interaction, and over every rewrite of a recorded stream.

Three roads of one dialect: the vendor's own, Vertex, and Bedrock's invoke with its binary stream.
A failure names its recordings.
"""

import gzip
from base64 import b64decode
from collections import Counter
from functools import cache
from typing import Any

import pytest

from arno.canon.events import Event, ResponseEnd, StreamError
from arno.canon.response import FinishReason, Response
from arno.canon.unfold import unfold
from arno.dialects import DIALECTS
from arno.dialects.base import Batch, Stamp
from arno.dialects.messages import quick
from arno.dialects.messages.stream_decode import MessagesStreamDecoder
from arno.wire import json
from arno.wire.frame import Framing
from arno.wire.framing import FRAMERS
from tests.laws import corpus
from tests.laws.harness import RESET, bare, checked, decode, failed, folded, no_price
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared

MESSAGES = DIALECTS["messages"]

SAME = ("ascii_json", "comments", "cr", "crlf", "multidata", "nospace", "retryid")
FAULTS = ("abort", "cut", "mid_error")


@cache
def recorded() -> tuple[corpus.Recording, ...]:
    """Every interaction; the same road also carries embeddings of other vendors."""
    rows = [row for row in corpus.recorded() if corpus.SPEAKS[row.spoken] == "messages"]
    return tuple(row for row in rows if row.spoken != "bedrock-invoke" or "claude" in row.url)


def whole() -> list[corpus.Recording]:
    return [row for row in recorded() if not row.stream]


def streams() -> list[corpus.Recording]:
    return [row for row in recorded() if row.stream]


def answer_of(row: corpus.Recording) -> Response:
    answer = corpus.answer_of.__wrapped__(row)
    assert isinstance(answer, Response), row.id
    return answer


def frames_of(body: bytes, framing: Framing) -> list[Any]:
    framer = FRAMERS[framing](1 << 24)
    return [*framer.feed(body), *framer.close()]


def batches_of(row: corpus.Recording) -> list[Batch]:
    decoder = MESSAGES.stream_decoder()
    return [decoder.feed(f) for f in frames_of(row.body, row.framing)] + [decoder.close()]


def encode(batches: list[Any]) -> bytes:
    encoder = MESSAGES.stream_encoder(Stamp(), no_price, include_usage=True)
    out = b"".join(encoder.feed(events) for events in batches)
    assert not encoder.losses
    return out


def test_there_is_traffic_of_all_roads() -> None:
    counts = Counter((row.spoken, row.stream) for row in recorded())
    assert len(counts) == 6
    assert sum(counts.values()) >= 140


def test_requests_come_back_as_they_were() -> None:
    for row in recorded():
        back, losses = MESSAGES.encode_request(corpus.request_of(row))
        assert not losses, row.id
        assert json.equal(json.loads(back), row.request), row.id


def test_whole_answers_come_back_as_they_were() -> None:
    for row in whole():
        back, losses = MESSAGES.encode_response(answer_of(row))
        assert not losses, row.id
        assert json.equal(json.loads(json.dumps(back)), json.loads(row.body)), row.id


def test_whole_answers_told_as_streams_say_the_same() -> None:
    """Law Fold."""
    for row in whole():
        answer = answer_of(row)
        again = folded(decode(encode([list(unfold(answer))]), MESSAGES.stream_decoder))
        assert bare(again) == bare(answer), row.id


def test_streams_come_back_with_the_same_meaning() -> None:
    """GetPut for streams, and Fold: a stream says what its whole form says."""
    for row in streams():
        batches = batches_of(row)
        answer = folded(checked([event for batch in batches for event in batch.events]))
        body = encode([batch.events for batch in batches])
        assert bare(folded(decode(body, MESSAGES.stream_decoder))) == bare(answer), row.id
        document, losses = MESSAGES.encode_response(answer)
        assert not losses, row.id
        assert bare(MESSAGES.decode_response(json.dumps(document))) == bare(answer), row.id


def test_streams_pass_a_restamper_without_a_stamp_byte_for_byte() -> None:
    for row in streams():
        if row.framing is Framing.SSE:
            restamper = MESSAGES.stream_restamper(Stamp(), no_price, include_usage=True)
            assert b"".join(map(restamper.feed, batches_of(row))) == row.body, row.id


def test_a_glance_tells_what_decoding_tells() -> None:
    stamp = Stamp(id="gen-1", model="m", provider="Host")
    for row in whole():
        answer, glanced = answer_of(row), MESSAGES.glance(row.body)
        assert glanced is not None, row.id
        assert (glanced.id, glanced.model, glanced.usage) == (answer.id, answer.model, answer.usage)
        assert glanced.reasons == (answer.choices[0].reason,)
        one = MESSAGES.restamp_glanced(glanced, stamp, no_price)
        assert one == MESSAGES.restamp_response(row.body, answer, stamp, no_price), row.id


def test_the_quick_way_leads_to_the_same_events(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [[batch.events for batch in batches_of(row)] for row in streams()]
    plain = [batch.plain for row in streams() for batch in batches_of(row)]
    assert plain.count(True) > len(plain) / 3
    monkeypatch.setattr(quick, "read", lambda data: None)
    assert [[batch.events for batch in batches_of(row)] for row in streams()] == expected


def evidence(frames: list[Any]) -> int:
    """The place of the frame that says why the answer ended."""
    for number, frame in enumerate(frames):
        document: Any = json.loads(frame.data) if frame.data else {}
        if document.get("type") == "message_delta" and document["delta"].get("stop_reason"):
            return number
    return len(frames)


def false_successes(frames: list[Any], make: Any = MessagesStreamDecoder) -> list[int]:
    """The cuts (frames kept) that are told as something else than they are."""
    wrong = []
    for kept in range(len(frames) + 1):
        decoder = make()
        events: list[Event] = [e for frame in frames[:kept] for e in decoder.feed(frame).events]
        events += decoder.close().events
        if failed(checked(events)) is (kept > evidence(frames)):
            wrong.append(kept)
    return wrong


def test_streams_cut_behind_any_frame_are_failures_until_the_evidence() -> None:
    for row in streams():
        assert not false_successes(frames_of(row.body, row.framing)), row.id


class InventsStop(MessagesStreamDecoder):
    """A decoder with the fault that the prefix law is for."""

    def close(self) -> Batch:
        batch = super().close()
        if not batch.events or isinstance(batch.events[-1], ResponseEnd) or not self._started:
            return batch
        return Batch(None, None, (*self._all_ends(), ResponseEnd()))


def test_the_prefix_law_notices_an_invented_stop() -> None:
    frames = frames_of(streams()[0].body, streams()[0].framing)
    assert len(false_successes(frames, InventsStop)) == evidence(frames)


def test_a_broken_connection_is_a_failure_even_behind_the_stop_reason() -> None:
    for row in streams():
        decoder = MESSAGES.stream_decoder()
        frames = frames_of(row.body, row.framing)
        events = [e for frame in frames[:-1] for e in decoder.feed(frame).events]
        assert failed(checked([*events, *decoder.abort(RESET).events])), row.id


@cache
def rewritten() -> tuple[tuple[str, str, str, bytes], ...]:
    """(rewrite, id of the original, name of the road, body)."""
    assert SHARED is not None
    found = []
    with gzip.open(SHARED / "corpus" / "interactions-perturbed.jsonl.gz") as lines:
        for text in lines:
            row: Any = json.loads(text)
            if corpus.SPEAKS.get(row["dialect"]) == "messages":
                body = row["body"].encode() if "body" in row else b64decode(row["body_b64"])
                name = row["id"].removesuffix(f"~{row['pert']}")
                found.append((row["pert"], name, row["dialect"], body))
    return tuple(found)


def rewritten_events(rewrite: str, road: str, body: bytes) -> list[Event]:
    decoder = MESSAGES.stream_decoder()
    framing = corpus.FRAMED_OTHERWISE.get(road, Framing.SSE)
    events = [e for frame in frames_of(body, framing) for e in decoder.feed(frame).events]
    end = decoder.abort(RESET) if rewrite == "abort" else decoder.close()
    return checked([*events, *end.events])


def test_every_rewrite_is_accounted_for() -> None:
    assert {rewrite for rewrite, *_ in rewritten()} == {*SAME, *FAULTS}


@pytest.mark.parametrize("rewrite", SAME)
def test_rewrites_that_keep_the_meaning_decode_to_the_same_value(rewrite: str) -> None:
    rows = {row.id: row for row in streams()}
    cases = [case for case in rewritten() if case[0] == rewrite]
    assert len(cases) >= 15
    for _, name, road, body in cases:
        assert bare(folded(rewritten_events(rewrite, road, body))) == bare(answer_of(rows[name]))


@pytest.mark.parametrize("rewrite", FAULTS)
def test_rewrites_that_are_faults_are_failures(rewrite: str) -> None:
    cases = [case for case in rewritten() if case[0] == rewrite]
    assert len(cases) >= 15
    for _, name, road, body in cases:
        events = rewritten_events(rewrite, road, body)
        assert isinstance(events[-1], StreamError), name


def test_calls_ask_for_tools() -> None:
    """R4 on recorded traffic: a turn with calls of the client ended for them."""
    reasons = Counter(answer_of(row).choices[0].reason for row in recorded())
    assert reasons[FinishReason.TOOL_CALLS] >= 30
    assert reasons[FinishReason.STOP] >= 30
    assert None not in reasons
