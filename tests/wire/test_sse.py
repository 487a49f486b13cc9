"""SSE rules one by one, splits, bounds and cost (behaviour R2 and R12, fault rows 16 to 20)."""

import re
import tracemalloc
from itertools import repeat
from operator import length_hint

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.wire import DEFAULT_LIMIT, Frame, FrameTooLarge, SSEDecoder, sse
from tests.wire.streams import (
    bytewise,
    cut_at,
    decode,
    decode_bounded,
    events,
    reference_events,
    two_cuts,
)

BOM = b"\xef\xbb\xbf"
TEXT = "北京你好🙂é".encode()

# One frame each: the bytes and what the decoder makes of them.
FRAMES = {
    "one line": (b"data: x\n\n", Frame(b"", b"x")),
    "no space after the colon": (b"data:x\n\n", Frame(b"", b"x")),
    "only one space is stripped": (b"data:  x\n\n", Frame(b"", b" x")),
    "a tab is not stripped": (b"data:\tx\n\n", Frame(b"", b"\tx")),
    "trailing space is kept": (b"data: x \n\n", Frame(b"", b"x ")),
    "colons in the value": (b"data: a: b\n\n", Frame(b"", b"a: b")),
    "keep-alive inside data": (b"data: : keepalive\n\n", Frame(b"", b": keepalive")),
    "several lines": (b"data: a\ndata: b\ndata\n\n", Frame(b"", b"a\nb\n")),
    "field without colon": (b"data\n\n", Frame(b"", b"")),
    "empty data": (b"data:\n\n", Frame(b"", b"")),
    "non-ASCII": (b"data: " + TEXT + b"\n\n", Frame(b"", TEXT)),
    "cut UTF-8 stays as it is": (b"data: \xe5\x8c\n\n", Frame(b"", b"\xe5\x8c")),
    "event": (b"event: ping\ndata: x\n\n", Frame(b"", b"x", event="ping")),
    "the last event name counts": (b"event: a\nevent:b\ndata: x\n\n", Frame(b"", b"x", "b")),
    "event without data": (b"event: ping\n\n", Frame(b"", None, event="ping")),
    "event in invalid UTF-8": (b"event: \xff\ndata: x\n\n", Frame(b"", b"x", "\ufffd")),
    "id": (b"id: 7\ndata: x\n\n", Frame(b"", b"x", id="7")),
    "empty id resets": (b"id\ndata: x\n\n", Frame(b"", b"x", id="")),
    "id with NUL is ignored": (b"id: 7\0\ndata: x\n\n", Frame(b"", b"x")),
    "retry": (b"retry: 2500\n\n", Frame(b"", None, retry=2500)),
    "retry with a sign is ignored": (b"retry: -1\ndata: x\n\n", Frame(b"", b"x")),
    "retry with other digits is ignored": ("retry: ٣\n\n".encode(), Frame(b"", None)),
    "retry without digits is ignored": (b"retry\n\n", Frame(b"", None)),
    "retry of 5,000 digits is ignored": (b"retry: " + b"9" * 5000 + b"\n\n", Frame(b"", None)),
    "unknown field": (b"Data: y\nfoo: z\ndata: x\n\n", Frame(b"", b"x")),
    "space before the field name": (b" data: x\n\n", Frame(b"", None)),
    "comment": (
        b": OPENROUTER PROCESSING\n\n",
        Frame(b"", None, comment=b"OPENROUTER PROCESSING"),
    ),
    "comment beside data": (b":a\ndata: x\n:  b\n\n", Frame(b"", b"x", comment=b"a\n b")),
    "empty comment": (b":\n\n", Frame(b"", None, comment=b"")),
    "CRLF": (b"event: e\r\ndata: x\r\n\r\n", Frame(b"", b"x", event="e")),
    "CR": (b"event: e\rdata: x\r\r", Frame(b"", b"x", event="e")),
    "mixed": (b"event: e\rid: 1\r\ndata: x\n\n", Frame(b"", b"x", event="e", id="1")),
    "other separators are content": (b"data: a\x0b\x0c\x1e\xc2\x85b\n\n", None),
    "BOM": (BOM + b"data: x\n\n", Frame(b"", b"x")),
    "BOM, CRLF": (BOM + b"data: x\r\n\r\n", Frame(b"", b"x")),
    "only one BOM is stripped": (BOM + BOM + b"data: x\n\n", Frame(b"", None)),
    "blank line": (b"\n", Frame(b"", None)),
    "BOM and blank line": (BOM + b"\n", Frame(b"", None)),
}

STREAMS = {
    "LF": b": note\n\nevent: a\ndata: 1\n\ndata: " + TEXT + b"\ndata: y\n\n\ndata: [DONE]\n\n",
    "CRLF": b": note\r\n\r\ndata: 1\r\n\r\ndata: " + TEXT + b"\r\n\r\n\r\ndata: [DONE]\r\n\r\n",
    "CR": b": note\r\rdata: 1\r\rdata: " + TEXT + b"\r\r\rdata: [DONE]\r\r",
    "mixed": b"\r\ndata: 1\r\r\ndata: " + TEXT + b"\n\r\n\rdata: 2\n\rid: 3\r\n\n\r\r\n\r",
    "LF, then CRLF": b"data: 1\n\ndata: 2\r\n\r\n",
    "CR in an LF frame": b"data: 1\rdata: 2\n\n",
    "one byte of a second line": b"data: 1\ni",
    "CR, then LF": b"data: 1\r\r\n\r\n\n\rdata: 2\r\r\n",
    "BOM": BOM + b"data: " + TEXT + b"\n\n" + BOM + b"data: void\n\ndata: 2\n\n",
    "BOM and blank lines": BOM + b"\r\n\r\ndata: 1\n\n",
    "half a BOM": BOM[:2],
    "unfinished line": b"data: 1\n\ndata: 2",
    "unfinished event": b"data: 1\n\ndata: 2\n",
    "unfinished event, CRLF": b"data: 1\r\n\r\ndata: 2\r\n",
    "ends in CR": b"data: 1\r\n\r\ndata: 2\r\n\r",
    "empty": b"",
}


def with_raw(frame: Frame, raw: bytes) -> Frame:
    return Frame(raw, frame.data, frame.event, frame.id, frame.retry, frame.comment, frame.complete)


@pytest.mark.parametrize(("body", "expected"), FRAMES.values(), ids=FRAMES)
def test_one_frame(body: bytes, expected: Frame | None) -> None:
    expected = expected or Frame(b"", body[6:-2])
    assert decode([body]) == [with_raw(expected, body)]


@pytest.mark.parametrize(("body", "expected"), FRAMES.values(), ids=FRAMES)
def test_one_frame_after_another(body: bytes, expected: Frame | None) -> None:
    """The paths for plain and for odd chunks agree; a BOM counts at the very start alone."""
    first = b"data: first\n\n"
    expected = expected or Frame(b"", body[6:-2])
    frames = decode([first, body])
    assert frames == decode([first + body])
    assert frames[0] == Frame(first, b"first")
    assert events(frames) == reference_events(first + body)
    if not body.startswith(BOM):
        assert frames[1:] == [with_raw(expected, body)]


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_no_split_shows(body: bytes) -> None:
    whole = decode([body])
    assert b"".join(frame.raw for frame in whole) == body
    assert events(whole) == reference_events(body)
    assert decode(bytewise(body)) == whole
    for chunks in two_cuts(body):
        assert decode(chunks) == whole
        assert decode([part for chunk in chunks for part in (chunk[:1], chunk[1:])]) == whole


FIELD_TOKENS = [b"id: 1", b"id: \0", b"retry: 30", b"event: e", b"data: {}\n\n", TEXT, BOM, BOM[:2]]
LINE_ENDS = [b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r"]
TOKENS = st.sampled_from([*LINE_ENDS, *FIELD_TOKENS, b"data: ", b"data:", b"data", b":", b" "])
BODIES = st.lists(TOKENS | st.binary(max_size=4), max_size=25).map(b"".join)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@given(BODIES, PLACES)
def test_law_framing(body: bytes, places: list[int]) -> None:
    whole = decode([body])
    assert b"".join(frame.raw for frame in whole) == body
    assert events(whole) == reference_events(body)
    assert all(frame.complete for frame in whole[:-1])
    assert decode(cut_at(body, places)) == whole
    assert decode(bytewise(body)) == whole


@given(BODIES, PLACES, st.integers(1, 40))
def test_law_framing_holds_at_the_limit(body: bytes, places: list[int], limit: int) -> None:
    """What is refused, and the frames before it, do not depend on the split either."""
    frames = decode([body])
    accepted = next((n for n, f in enumerate(frames) if len(f.raw) > limit), len(frames))
    expected = (frames[:accepted], accepted < len(frames))
    for chunks in ([body], cut_at(body, places), bytewise(body)):
        assert decode_bounded(chunks, limit) == expected


FIELD_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))
FIELDS = st.lists(
    st.tuples(st.sampled_from(["data", "event", "id", "retry", "", "other"]), FIELD_TEXT)
)


@given(
    st.lists(FIELDS, max_size=5),
    st.sampled_from(["\n", "\r", "\r\n"]),
    PLACES,
    st.sampled_from([b"", BOM]),
)
def test_arbitrary_text_survives_arbitrary_splits(
    written: list[list[tuple[str, str]]], end: str, places: list[int], bom: bytes
) -> None:
    text = "".join(
        "".join(f"{name}: {value}{end}" for name, value in fields) + end for fields in written
    )
    frames = decode(cut_at(bom + text.encode(), places))
    assert [frame.data for frame in frames if frame.data is not None] == [
        "\n".join(values).encode()
        for fields in written
        if (values := [value for name, value in fields if name == "data"])
    ]
    assert all(frame.complete for frame in frames)


# What each chunk releases: never more than one byte is waited for, and none by a CR stream.
RELEASES = {
    "LF": [(b"data: 1\n", 0), (b"\n", 1), (b"data: 2\n\n", 1)],
    "comment at once": [(b": wait\n\n", 1)],
    "CR": [(b"data: 1\r", 0), (b"\r", 1), (b"data: 2\r\r", 1)],
    "CR, first line blank": [(b"\r", 0), (b"data: 1\r\r", 2)],
    "CRLF": [(b"data: 1\r\n", 0), (b"\r", 0), (b"\n", 1), (b"data: 2\r\n\r\n", 1)],
    "LF, then CR": [(b"data: 1\n\r", 0), (b"d", 1)],
    "CR, then a late LF": [(b"data: 1\r\r", 1), (b"\n", 0), (b"data: 2\r\r", 1)],
}


@pytest.mark.parametrize("steps", RELEASES.values(), ids=RELEASES)
def test_a_frame_is_released_with_its_last_byte(steps: list[tuple[bytes, int]]) -> None:
    decoder = SSEDecoder()
    for chunk, released in steps:
        assert len(decoder.feed(chunk)) == released


def test_an_lf_after_an_ended_cr_frame_belongs_to_the_next_frame() -> None:
    first = Frame(b"data: 1\r\r", b"1")
    frames = decode([b"data: 1\r\r\ndata: 2\r\r"])
    assert frames == [first, Frame(b"\ndata: 2\r\r", b"2")]
    # That CR and LF were one line end after all, so the next CR is taken for half of CRLF again.
    assert decode([b"data: 1\r\r\n\r\n"]) == [first, Frame(b"\n\r\n", None)]


@pytest.mark.parametrize("plain", [b"data: 2\n\n", b"data: 2\n\ndata: 3\n\n", b"id: 2\r\n\r\n"])
@pytest.mark.parametrize("rest", [b"\ndata: 4\n\n", b"\r\n", BOM + b"\n\n", b"data: 4\r\r"])
def test_plain_chunks_end_what_a_cr_began(plain: bytes, rest: bytes) -> None:
    """The paths for plain chunks leave the decoder as the line scanner would have left it."""
    chunks = [b"data: 1\r\r", plain, *bytewise(rest)]
    assert decode(chunks) == decode([b"".join(chunks)])


ENDS = {
    "nothing": (b"", []),
    "after a frame": (b"data: 1\n\n", []),
    "in a line": (b"data: 1", [Frame(b"data: 1", None, complete=False)]),
    "before the blank line": (b"id: 1\n", [Frame(b"id: 1\n", None, complete=False)]),
    "in a comment": (b": no", [Frame(b": no", None, complete=False)]),
    "line ends in CR": (b"data: 1\r", [Frame(b"data: 1\r", None, complete=False)]),
    "blank line ends in CR": (b"data: 1\n\r", [Frame(b"data: 1\n\r", b"1")]),
    "lone CR": (b"\r", [Frame(b"\r", None)]),
    "LF of a cut CRLF": (b"data: 1\r\r\n", [Frame(b"\n", None)]),
    "BOM": (BOM, [Frame(BOM, None)]),
    "half a BOM": (BOM[:1], [Frame(BOM[:1], None, complete=False)]),
}


@pytest.mark.parametrize(("body", "left"), ENDS.values(), ids=ENDS)
def test_close_returns_what_is_left(body: bytes, left: list[Frame]) -> None:
    decoder = SSEDecoder()
    for chunk in bytewise(body):
        decoder.feed(chunk)
    assert decoder.close() == left
    assert decoder.close() == []
    with pytest.raises(ValueError, match="closed"):
        decoder.feed(b"data: 2\n\n")


class TestLimit:
    def test_a_frame_may_be_as_long_as_the_limit(self) -> None:
        frame = b"data: 45678\n\n"
        for end in (frame, frame.replace(b"\n", b"\r\n"), frame.replace(b"\n", b"\r")):
            assert decode_bounded([end], len(end)) == ([Frame(end, b"45678")], False)
            assert decode_bounded([end], len(end) - 1) == ([], True)
            assert decode_bounded(bytewise(end), len(end) - 1) == ([], True)

    def test_frames_before_the_refused_one_are_kept(self) -> None:
        decoder = SSEDecoder(limit=20)
        assert [f.data for f in decoder.feed(b"data: 1\n\ndata: " + b"x" * 30)] == [b"1"]
        for call in (lambda: decoder.feed(b"\n\n"), decoder.close, lambda: decoder.feed(b"")):
            with pytest.raises(FrameTooLarge) as refused:
                call()
            assert (refused.value.limit, refused.value.seen) == (20, 36)

    def test_a_decoder_stays_failed(self) -> None:
        decoder = SSEDecoder(limit=8)
        for _ in range(3):
            with pytest.raises(FrameTooLarge):
                decoder.feed(b"data: 123456789")
        with pytest.raises(FrameTooLarge):
            decoder.close()

    def test_the_limit_holds_for_a_frame_and_not_for_a_chunk(self) -> None:
        assert len(decode_bounded([b"data: 1\n\n" * 100], 9)[0]) == 100

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_is_positive(self, limit: int) -> None:
        with pytest.raises(ValueError, match="limit"):
            SSEDecoder(limit)

    def test_200_mb_without_a_newline_stay_bounded(self) -> None:
        chunk = b"x" * 65_536
        chunks = repeat(chunk, 200_000_000 // len(chunk))
        tracemalloc.start()
        try:
            frames, refused = decode_bounded(chunks, DEFAULT_LIMIT)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (frames, refused) == ([], True)
        taken = 200_000_000 // len(chunk) - length_hint(chunks)
        assert taken == DEFAULT_LIMIT // len(chunk) + 1
        assert peak < 16_000_000

    def test_a_large_event_is_held_in_few_copies(self) -> None:
        """Fault row 18: memory grows by at most three times the limit."""
        body = b"data: " + b"x" * 5_000_000 + b"\n\n"
        chunks = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
        tracemalloc.start()
        try:
            frames, refused = decode_bounded(chunks, DEFAULT_LIMIT)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (frames, refused) == ([Frame(body, body[6:-2])], False)
        assert peak < 3 * DEFAULT_LIMIT


class CountingSearch:
    """Stands in for the compiled pattern and counts the bytes it has to look at."""

    def __init__(self) -> None:
        self.pattern = re.compile(rb"\r\n?|\n")
        self.looked_at = 0

    def search(self, buffer: bytearray, start: int) -> re.Match[bytes] | None:
        found = self.pattern.search(buffer, start)
        self.looked_at += (found.end() if found else len(buffer)) - start
        return found


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("size", [1, 7])
def test_the_work_is_linear_in_small_pieces(
    monkeypatch: pytest.MonkeyPatch, end: bytes, size: int
) -> None:
    counting = CountingSearch()
    monkeypatch.setattr(sse, "_LINE_END", counting)
    body = b"data: " + b"x" * 20_000 + end + b"data: y" + end + end + b"data: " + b"z" * 20_000
    decode([body[at : at + size] for at in range(0, len(body), size)])
    assert len(body) // 2 < counting.looked_at < len(body) + 20


def test_plain_chunks_never_reach_the_line_scanner(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = CountingSearch()
    monkeypatch.setattr(sse, "_LINE_END", counting)
    frame = b"data: 1\n\n"
    crlf = frame.replace(b"\n", b"\r\n")
    for chunks in ([frame], [frame * 9], [frame[:4], frame[4:] * 3], [crlf], [crlf * 3]):
        decode(chunks)
    assert counting.looked_at <= 4
