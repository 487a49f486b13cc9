"""Chunks of a recorded body: exact where timing is current, sensible where it is stale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.cassette.errors import CassetteError
from arno.cassette.govcr import load
from arno.cassette.model import End, WireTiming
from arno.cassette.timing import Chunk, chunks_of, is_current, read_wire, retimed, wire_tree
from tests.cassette.files import SEED, go_vcr_files, interaction, recording
from tests.shared import needs_shared

STREAM = b"data: a\n\n: note\n\nevent: x\r\ndata: b\r\n\r\ndata: cut"
SSE = "text/event-stream; charset=utf-8"
BY_EVENT = (b"data: a\n\n", b": note\n\n", b"event: x\r\ndata: b\r\n\r\n", b"data: cut")

PAIRS = st.lists(st.tuples(st.integers(0, 10**15), st.integers(1, 10**9)), max_size=20).map(
    lambda pairs: tuple(zip(sorted(at for at, _ in pairs), [n for _, n in pairs], strict=True))
)


def test_current_timing_gives_the_recorded_chunks():
    wire = WireTiming(((0, 3), (1_234_567, len(STREAM) - 3)))
    item = interaction(answer=STREAM, content_type=SSE, wire=wire)
    assert chunks_of(item) == (Chunk(0, STREAM[:3]), Chunk(1_234_567, STREAM[3:]))


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(None, id="no timing"),
        pytest.param(WireTiming(()), id="no chunks"),
        pytest.param(WireTiming(((5, len(STREAM) - 1),)), id="body grew"),
        pytest.param(WireTiming(((5, len(STREAM) + 1),)), id="body shrank"),
    ],
)
def test_stale_timing_gives_one_chunk_per_event(wire):
    item = interaction(answer=STREAM, content_type=SSE, wire=wire)
    assert chunks_of(item) == tuple(Chunk(0, data) for data in BY_EVENT)


@pytest.mark.parametrize(("body", "count"), [(b'{"a":"b\\n\\nc"}\n\n{}', 1), (b"", 0)])
def test_other_bodies_are_one_chunk(body, count):
    assert chunks_of(interaction(answer=body)) == (Chunk(0, body),) * count


def test_an_empty_body_is_current_with_no_chunks():
    assert is_current(WireTiming(), b"")
    assert not is_current(WireTiming(), b"x")


@given(PAIRS, st.sampled_from(End), st.none() | st.text(min_size=1))
def test_timing_comes_back_to_the_nanosecond(pairs, end, sent):
    wire = WireTiming(pairs, sent, end)
    assert read_wire(wire_tree(wire)) == wire


@pytest.mark.parametrize(
    ("pair", "text"),
    [
        ((0, 1), "0:1"),
        ((15_000_000, 37), "15:37"),
        ((15_250_000, 37), "15.25:37"),
        ((1, 2), "0.000001:2"),
        ((60_000_000_000, 3), "60000:3"),
    ],
)
def test_the_text_of_a_chunk(pair, text):
    assert wire_tree(WireTiming((pair,)))["chunks"] == text


@pytest.mark.parametrize(
    "text",
    ["1", "1:", ":1", "1:0", "1:-1", "-1:1", "1.:1", "1.1234567:1", "a:1", "1:1,2:2", "1e3:1"],
)
def test_what_is_no_chunk_is_refused(text):
    with pytest.raises(CassetteError, match="ms:length"):
        read_wire({"chunks": text})


def test_chunks_out_of_order_are_refused():
    with pytest.raises(CassetteError, match="order of time"):
        read_wire({"chunks": "5:1 4:1"})


def test_a_stream_that_did_not_end_well_says_so():
    assert read_wire({"chunks": "1:1"}).end is End.EOF
    assert read_wire({"chunks": "1:1", "end": "client-closed"}).end is End.CLIENT_CLOSED


@needs_shared
def test_the_seed_has_one_chunk_per_event():
    first = load(recording(SEED)).interactions[0]
    chunks = chunks_of(first)
    assert len(chunks) == 26
    assert all(chunk.data.startswith(b"data: ") for chunk in chunks)


@needs_shared
@pytest.mark.parametrize("name", go_vcr_files())
def test_the_chunks_of_a_recording_join_to_its_body(name):
    for item in load(recording(name)).interactions:
        assert b"".join(chunk.data for chunk in chunks_of(item)) == item.response.body


@given(st.binary(max_size=60), st.lists(st.integers(1, 9), max_size=10))
def test_chunks_always_join_to_the_body(body, lengths):
    wire = WireTiming(tuple((0, length) for length in lengths))
    item = interaction(answer=body, content_type="text/event-stream", wire=wire)
    assert b"".join(chunk.data for chunk in chunks_of(item)) == body


BODY = b"0123456789"
EDITS = [
    pytest.param([], [(1, 4), (2, 3), (3, 3)], id="nothing"),
    pytest.param([(1, 2, 5)], [(1, 8), (2, 3), (3, 3)], id="longer inside a chunk"),
    pytest.param([(0, 4, 1)], [(1, 1), (2, 3), (3, 3)], id="a whole chunk shorter"),
    pytest.param([(3, 5, 2)], [(1, 5), (2, 2), (3, 3)], id="across: goes with where it began"),
    pytest.param([(2, 9, 1)], [(1, 3), (3, 1)], id="across three: the middle one is gone"),
    pytest.param([(4, 7, 0)], [(1, 4), (3, 3)], id="a chunk emptied"),
    pytest.param([(0, 1, 2), (1, 2, 2), (8, 10, 1)], [(1, 6), (2, 3), (3, 2)], id="several"),
]


@pytest.mark.parametrize(("edits", "chunks"), EDITS)
def test_timing_follows_edits_of_the_body(edits, chunks):
    wire = WireTiming(((1, 4), (2, 3), (3, 3)))
    changed = retimed(wire, edits)
    assert changed.chunks == tuple(chunks)
    grown = sum(length - (end - start) for start, end, length in edits)
    assert is_current(changed, BODY + b"x" * grown if grown > 0 else BODY[: len(BODY) + grown])


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6), st.integers(0, 6)), max_size=5),
)
def test_timing_after_any_edits_still_sums_to_the_body(lengths, gaps):
    total = sum(lengths)
    edits, place, size = [], 0, total
    for gap, width, length in gaps:
        start = place + gap
        place = start + width
        if place > total:
            break
        edits.append((start, place, length))
        size += length - width
    changed = retimed(WireTiming(tuple((0, length) for length in lengths)), edits)
    assert sum(length for _, length in changed.chunks) == size
