"""The binary event stream: messages, splits, faults, bounds; the vendor's parser agrees."""

import base64
import gzip
import json
import struct
import tracemalloc
from collections.abc import Iterable
from itertools import repeat
from uuid import UUID

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from arno.wire import (
    DEFAULT_LIMIT,
    EventStreamBytesDecoder,
    EventStreamDecoder,
    Frame,
    FrameTooLarge,
    MalformedMessage,
    WireError,
    encode_message,
)
from arno.wire.eventstream import MAX_HEADERS, decode_headers, encode_block, encode_headers
from tests.shared import SHARED, needs_shared
from tests.wire.messages import Decoder, decode, decode_bounded, event, header, message, string
from tests.wire.streams import bytewise, cut_at, two_cuts

KIND = string(":message-type", "event")
EVENT = string(":event-type", "e") + KIND
EXCEPTION = string(":exception-type", "throttlingException") + string(":message-type", "exception")
ERROR = (
    string(":error-code", "InternalFailure")
    + string(":error-message", 'it "broke"')
    + string(":message-type", "error")
)

FRAMES = {
    "event": (message(EVENT, b"{}"), b"{}", "e"),
    "no payload": (message(EVENT), b"", "e"),
    "not JSON, not UTF-8": (message(EVENT, b"\xff\x00"), b"\xff\x00", "e"),
    "no headers": (message(b"", b"x"), b"x", ""),
    "no message type": (message(string(":event-type", "e")), b"", "e"),
    "exception": (
        message(EXCEPTION, b'{"message":"m"}'),
        b'{"message":"m"}',
        "!throttlingException",
    ),
    "error": (message(ERROR), b'{"message":"it \\"broke\\""}', "!InternalFailure"),
    "error with a payload": (message(ERROR, b"{}"), b"{}", "!InternalFailure"),
    "other headers are read past": (
        message(header("n", 3, b"\0\1") + EVENT + header("t", 0, b""), b"x"),
        b"x",
        "e",
    ),
}


@pytest.mark.parametrize(("raw", "data", "name"), FRAMES.values(), ids=FRAMES)
def test_one_frame(raw: bytes, data: bytes, name: str) -> None:
    expected = [Frame(raw, data, name)]
    assert decode([raw]) == expected
    assert decode([raw, raw]) == decode([raw + raw]) == expected * 2


VALUES = {
    0: (b"", True),
    1: (b"", False),
    2: (b"\xff", -1),
    3: (b"\x80\x00", -32768),
    4: (struct.pack("!i", -7), -7),
    5: (struct.pack("!q", 2**63 - 1), 2**63 - 1),
    6: (b"\0\3\0\xff\1", b"\0\xff\1"),
    7: (b"\0\2\xc3\xa9", "é"),
    8: (struct.pack("!q", 1_700_000_000_123), 1_700_000_000_123),
    9: (bytes(range(16)), UUID(bytes=bytes(range(16)))),
}


@pytest.mark.parametrize(("kind", "value", "expected"), [(k, *v) for k, v in VALUES.items()])
def test_every_type_of_header_value(kind: int, value: bytes, expected: object) -> None:
    block = EVENT + header("x", kind, value) + string("y", "after")
    found = decode_headers(block)
    assert (found["x"], type(found["x"])) == (expected, type(expected))
    assert found["y"] == "after"
    assert decode([message(block, b"p")])[0].event == "e"


BAD_HEADERS = {
    "name runs over": b"\x05ab",
    "no type": b"\x01a",
    "value runs over": header("a", 4, b"\0\0"),
    "length runs over": header("a", 7, b"\0"),
    "string runs over": header("a", 7, b"\0\5ab"),
    "name is no UTF-8": b"\x01\xff\x00",
    "string is no UTF-8": header("a", 7, b"\0\1\xff"),
    "unknown type": header("a", 10, b""),
    "twice": string("a", "1") + string("a", "2"),
    "unknown kind of message": string(":message-type", "question"),
}

GOOD = event("good", b'{"n":1}')
FAULTS = {
    "first checksum": message(EVENT, b"{}", first=1),
    "last checksum": message(EVENT, b"{}", last=1 << 31),
    "a flipped bit": GOOD[:40] + bytes((GOOD[40] ^ 4,)) + GOOD[41:],
    "total says too little for a message": message(EVENT, b"{}", total=15, size=0),
    "total says nothing": message(EVENT, b"{}", total=0, size=0),
    "headers over the total": message(EVENT, b"{}", size=len(EVENT) + 3),
    "total too small by one": message(EVENT, b"{}", total=17 + len(EVENT)),
    "headers too large": message(b"\0" * (MAX_HEADERS + 1), b"{}"),
    "declares 4 GB": message(EVENT, b"{}", total=0xFFFFFFFF),
    "declares one byte over the limit": message(EVENT, b"{}", total=DEFAULT_LIMIT + 1),
    "text": b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html></html>",
    **{f"headers: {name}": message(block, b"{}") for name, block in BAD_HEADERS.items()},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_refused_at_once_and_for_good(fault: bytes) -> None:
    """Whatever the split: the frames before the fault, then the error on every call."""
    assert decode_bounded([GOOD, GOOD], DEFAULT_LIMIT) == (decode([GOOD, GOOD]), "")  # control
    expected = decode_bounded([GOOD + fault + GOOD], DEFAULT_LIMIT)
    assert expected[0] == decode([GOOD])
    assert expected[1]
    for chunks in ([GOOD, fault, GOOD], [*bytewise(GOOD + fault[:300]), fault[300:] + GOOD]):
        assert decode_bounded(chunks, DEFAULT_LIMIT) == expected
    framer = EventStreamDecoder()
    assert len(framer.feed(GOOD + fault)) == 1
    for call in (lambda: framer.feed(GOOD), framer.close, lambda: framer.feed(b"")):
        with pytest.raises(WireError, match=expected[1][:20]):
            call()


@pytest.mark.parametrize("name", ["first checksum", "declares 4 GB", "headers over the total"])
def test_what_is_declared_is_checked_with_its_last_byte(name: str) -> None:
    fault = FAULTS[name]
    framer = EventStreamDecoder()
    assert framer.feed(fault[:11]) == []
    with pytest.raises(WireError):
        framer.feed(fault[11:12])


STREAM = b"".join(raw for raw, _, _ in FRAMES.values())


def test_no_split_shows() -> None:
    whole = decode([STREAM])
    assert b"".join(frame.raw for frame in whole) == STREAM
    assert decode(bytewise(STREAM)) == whole
    for chunks in two_cuts(STREAM):
        assert decode(chunks) == whole


@pytest.mark.parametrize("length", [*range(1, len(GOOD))])
def test_a_message_that_is_cut_off_is_told_unfinished(length: int) -> None:
    """The end of the body is not the framing's to judge: the dialect's cut rule does."""
    framer = EventStreamDecoder()
    assert framer.feed(GOOD + GOOD[:length]) == [Frame(GOOD, b'{"n":1}', "good")]
    assert framer.close() == [Frame(GOOD[:length], None, complete=False)]
    assert framer.close() == []
    with pytest.raises(ValueError, match="closed"):
        framer.feed(GOOD)


NAMES = st.sampled_from([":event-type", ":message-type", ":exception-type", ":error-code", "x"])
TEXTS = st.sampled_from(["event", "exception", "error", "chunk", ""]) | st.text(max_size=8)
GOOD_HEADERS = st.dictionaries(NAMES, TEXTS, max_size=4).map(
    lambda found: {**found, ":message-type": "event"}
)
MESSAGES = st.builds(encode_message, GOOD_HEADERS, st.binary(max_size=40))
WRONG = st.sampled_from([fault[:400] for fault in FAULTS.values()])
PIECES = st.one_of(MESSAGES, MESSAGES, st.binary(max_size=20), WRONG)
BODIES = st.lists(PIECES, max_size=8).map(b"".join)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@given(BODIES, PLACES, st.sampled_from([60, 200, DEFAULT_LIMIT]))
def test_law_framing(body: bytes, places: list[int], limit: int) -> None:
    """For bytes of any kind: frames or a WireError, the same for every split."""
    for decoder in (EventStreamDecoder, EventStreamBytesDecoder):
        frames, fault = decode_bounded([body], limit, decoder)
        raw = b"".join(frame.raw for frame in frames)
        assert raw == (body[: len(raw)] if fault else body)
        assert all(frame.complete for frame in frames[:-1])
        assert decode_bounded(cut_at(body, places), limit, decoder) == (frames, fault)
        assert decode_bounded(bytewise(body), limit, decoder) == (frames, fault)


@given(st.binary(max_size=200), st.data())
def test_no_changed_byte_goes_unnoticed(payload: bytes, data: st.DataObject) -> None:
    raw = event("e", payload)
    place = data.draw(st.integers(0, len(raw) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    changed = raw[:place] + bytes((raw[place] ^ bit,)) + raw[place + 1 :]
    frames, fault = decode_bounded([changed], DEFAULT_LIMIT)
    assert fault
    assert frames == []
    assert decode_bounded([raw], DEFAULT_LIMIT)[1] == ""


@given(st.lists(st.tuples(GOOD_HEADERS, st.binary(max_size=60)), max_size=5))
def test_the_vendors_parser_reads_what_we_write(
    written: list[tuple[dict[str, str], bytes]],
) -> None:
    buffer = EventStreamBuffer()
    body = b"".join(encode_message(headers, payload) for headers, payload in written)
    buffer.add_data(body)
    assert [(found.headers, found.payload) for found in buffer] == written
    assert [frame.data for frame in decode([body])] == [payload for _, payload in written]


def test_a_block_of_headers_is_encoded_once_for_many_messages() -> None:
    headers = {":event-type": "e", ":message-type": "event"}
    assert encode_headers(headers) == EVENT
    assert encode_block(EVENT, b"{}") == encode_message(headers, b"{}") == message(EVENT, b"{}")


@pytest.mark.parametrize(
    "headers",
    [{"": "v"}, {"n" * 256: "v"}, {"n": "v" * 0x8000}, {f"n{i}": "v" * 0x7FFF for i in range(5)}],
    ids=["no name", "long name", "long value", "many"],
)
def test_headers_that_do_not_fit_are_our_callers_mistake(headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"fit|over"):
        encode_message(headers, b"")


def chunked(payload: bytes) -> bytes:
    document = {"bytes": base64.b64encode(payload).decode(), "p": "abcdef"}
    return event("chunk", json.dumps(document).encode())


DOCUMENTS = {
    "typed": (chunked(b'{"type":"ping"}'), b'{"type":"ping"}', "ping"),
    "no type": (chunked(b'{"outputText":"x"}'), b'{"outputText":"x"}', ""),
    "type is no text": (chunked(b'{"type":1}'), b'{"type":1}', ""),
    "not JSON": (chunked(b"\xff"), b"\xff", ""),
    "nothing": (chunked(b""), b"", ""),
    "exception": FRAMES["exception"],
    "another event": FRAMES["event"],
}


@pytest.mark.parametrize(("raw", "data", "name"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_documents_in_base64(raw: bytes, data: bytes, name: str) -> None:
    assert decode([raw], EventStreamBytesDecoder) == [Frame(raw, data, name)]
    assert decode(bytewise(raw), EventStreamBytesDecoder) == [Frame(raw, data, name)]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"bytes":"*"}', b'{"bytes":1}', b"\xff"])
def test_a_payload_without_a_document_is_refused(payload: bytes) -> None:
    fault = event("chunk", payload)
    good = chunked(b'{"type":"ping"}')
    framer = EventStreamBytesDecoder()
    assert [frame.event for frame in framer.feed(good + fault + good)] == ["ping"]
    for call in (lambda: framer.feed(good), framer.close):
        with pytest.raises(MalformedMessage, match="base64"):
            call()
    with pytest.raises(MalformedMessage, match="base64"):
        EventStreamBytesDecoder().feed(fault)


def peak_of(chunks: Iterable[bytes], limit: int, decoder: Decoder) -> tuple[int, str]:
    """Most bytes held while a body is decoded, and why it was refused."""
    tracemalloc.start()
    try:
        _, fault = decode_bounded(chunks, limit, decoder)
        return tracemalloc.get_traced_memory()[1], fault
    finally:
        tracemalloc.stop()


class TestBounds:
    def test_a_message_may_be_as_long_as_the_limit(self) -> None:
        assert decode_bounded([GOOD], len(GOOD)) == (decode([GOOD]), "")
        framer = EventStreamDecoder(len(GOOD) - 1)
        with pytest.raises(FrameTooLarge) as refused:
            framer.feed(GOOD)
        assert (refused.value.limit, refused.value.seen) == (len(GOOD) - 1, len(GOOD))
        assert len(decode_bounded([GOOD * 100], len(GOOD))[0]) == 100

    @pytest.mark.parametrize("limit", [0, -1])
    def test_a_limit_is_positive(self, limit: int) -> None:
        with pytest.raises(ValueError, match="limit"):
            EventStreamDecoder(limit)

    @pytest.mark.parametrize("decoder", [EventStreamDecoder, EventStreamBytesDecoder])
    def test_a_declared_length_takes_no_memory(self, decoder: Decoder) -> None:
        """16 MB are declared and allowed, a hundred bytes come: nothing is set aside for them."""
        start = message(EVENT, b"x" * 40, total=16 * 1024 * 1024)
        peak, fault = peak_of([start], 32 * 1024 * 1024, decoder)
        assert fault == ""
        assert peak < 100_000
        assert "limit" in peak_of([start], DEFAULT_LIMIT, decoder)[1]

    def test_an_upstream_that_never_stops_is_refused_at_its_first_bytes(self) -> None:
        chunk = b"x" * 65_536
        start = message(EVENT, chunk, total=200_000_000)
        peak, fault = peak_of([start, *repeat(chunk, 3000)], DEFAULT_LIMIT, EventStreamDecoder)
        assert "limit" in fault
        assert peak < 1_000_000

    def test_endless_headers_are_refused_at_their_first_bytes(self) -> None:
        start = message(b"", size=4_000_000, total=5_000_000)
        peak, fault = peak_of(
            [start, *repeat(b"\1a\0" * 20_000, 100)], DEFAULT_LIMIT, EventStreamDecoder
        )
        assert "headers" in fault
        assert peak < 1_000_000

    def test_headers_may_be_as_large_as_their_limit(self) -> None:
        piece = b"v" * 0x7FF0
        four = b"".join(header(f"h{n}", 6, b"\x7f\xf0" + piece) for n in range(4))
        rest = MAX_HEADERS - len(four) - len(header("last", 6, b"\0\0"))
        full = four + header("last", 6, struct.pack("!H", rest) + b"v" * rest)
        assert len(full) == MAX_HEADERS
        assert len(decode([message(full)])) == 1
        over = four + header("last", 6, struct.pack("!H", rest + 1) + b"v" * (rest + 1))
        assert f"over {MAX_HEADERS}" in decode_bounded([message(over)], DEFAULT_LIMIT)[1]

    def test_a_large_message_is_held_in_few_copies(self) -> None:
        body = event("e", b"x" * 5_000_000)
        chunks = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
        peak, fault = peak_of(chunks, DEFAULT_LIMIT, EventStreamDecoder)
        assert fault == ""
        assert peak < 3 * DEFAULT_LIMIT

    def test_many_kinds_of_headers_are_not_all_remembered(self) -> None:
        framer = EventStreamDecoder()
        for number in range(1000):
            (frame,) = framer.feed(event(f"e{number}", b""))
            assert frame.event == f"e{number}"
        assert len(framer._meanings) < 100


@needs_shared
def test_recorded_streams() -> None:
    """Every recorded binary stream is read as the vendor's own parser reads it."""
    assert SHARED is not None
    count = 0
    with gzip.open(SHARED / "corpus" / "interactions.jsonl.gz") as lines:
        for line in lines:
            row = json.loads(line)
            if row["body_kind"] != "eventstream":
                continue
            body = base64.b64decode(row["body_b64"])
            buffer = EventStreamBuffer()
            buffer.add_data(body)
            expected = [(found.headers[":event-type"], found.payload) for found in buffer]
            frames = decode([body])
            assert [(frame.event, frame.data) for frame in frames] == expected
            assert b"".join(frame.raw for frame in frames) == body
            assert decode(cut_at(body, range(0, len(body), 7))) == frames
            if "converse" not in row["dialect"]:
                inner = decode([body], EventStreamBytesDecoder)
                assert all(json.loads(f.data or b"")["type"] == f.event != "" for f in inner)
            count += 1
    assert count == 9
