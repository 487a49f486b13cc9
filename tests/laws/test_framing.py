"""Law Framing over the recordings: any split gives the same frames; joined, they give the body."""

import gzip
from collections.abc import Iterator
from random import Random

import pytest

from arno.wire import Frame, json
from tests.shared import SHARED, needs_shared
from tests.wire.streams import decode, events, random_cuts, reference_events

# Rewrites of one stream differ in a few places only, so a part of them shows what all would; the
# stride is prime so that every kind of rewrite is met.
FILES = {"interactions.jsonl.gz": 1, "interactions-perturbed.jsonl.gz": 7}


def recorded_streams(name: str, stride: int) -> Iterator[tuple[str, bytes]]:
    """Id and body of the SSE streams in one file of the corpus."""
    assert SHARED is not None
    with gzip.open(SHARED / "corpus" / name) as lines:
        for number, line in enumerate(lines):
            if number % stride:
                continue
            row = json.loads(line)
            assert isinstance(row, dict)
            if row["body_kind"] == "sse":
                yield f"{row['id']} {row.get('pert', '')}", row["body"].encode()


def joined(frames: list[Frame]) -> bytes:
    return b"".join(frame.raw for frame in frames)


@needs_shared
@pytest.mark.parametrize(("name", "stride"), FILES.items(), ids=FILES)
def test_recorded_streams_are_framed_exactly(name: str, stride: int) -> None:
    random = Random(name)
    count = 0
    for case, body in recorded_streams(name, stride):
        whole = decode([body])
        assert joined(whole) == body, case
        assert events(whole) == reference_events(body), case
        for _ in range(3):
            assert decode(random_cuts(body, random)) == whole, case
        count += 1
    assert count > 100


@needs_shared
def test_recorded_data_is_json_or_done() -> None:
    """No recorded frame is cut wrongly: all data parses, and re-encoded says the same."""
    for case, body in recorded_streams("interactions.jsonl.gz", 1):
        for frame in decode([body]):
            if frame.data is None or frame.data == b"[DONE]":
                continue
            document = json.loads(frame.data)
            assert json.equal(json.loads(json.dumps(document)), document), case
