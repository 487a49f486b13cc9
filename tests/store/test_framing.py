"""The journal's lines: what was not written whole is found and skipped (fault row 27)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.store.framing import decode_line, encode_line, scan

PAYLOADS = [b'{"a":1}', b"{}", b'{"text":"9:00000000:{}"}', '{"ü":"☃"}'.encode()]
LINES = [encode_line(payload) for payload in PAYLOADS]
WHOLE = b"".join(LINES)
ENDS = [sum(map(len, LINES[: count + 1])) for count in range(len(LINES))]

JSON_LIKE = st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" "))


def test_the_format_is_fixed():
    assert encode_line(b'{"a":1}') == b'7:561bacaf:{"a":1}\n'


def test_whole_lines_are_read_in_order():
    found = scan(WHOLE, 100)
    assert (list(found.payloads), found.end, found.damaged) == (PAYLOADS, len(WHOLE), 0)


def test_reading_stops_at_the_number_of_lines():
    found = scan(WHOLE, 2)
    assert (list(found.payloads), found.end) == (PAYLOADS[:2], ENDS[1])


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_torn_tail_is_left_out_at_every_byte(cut):
    whole = [end for end in ENDS if end <= cut]
    found = scan(WHOLE[:cut], 100)
    assert list(found.payloads) == PAYLOADS[: len(whole)]
    assert (found.end, found.damaged) == (max(whole, default=0), 0)


@pytest.mark.parametrize("place", range(ENDS[0], ENDS[1]))
@pytest.mark.parametrize("change", [b"0", b"\n", b":", b"\xff"])
def test_a_changed_byte_costs_its_own_line_only(place, change):
    if WHOLE[place : place + 1] == change:
        return
    data = WHOLE[:place] + change + WHOLE[place + 1 :]
    found = scan(data, 100)
    assert set(found.payloads) <= set(PAYLOADS)
    assert PAYLOADS[0] in found.payloads
    assert found.payloads[-1] == PAYLOADS[-1]
    assert found.damaged >= 1
    assert found.end == len(data)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"2:a3a6bf43:{}x",
        b"02:a3a6bf43:{}",
        b"+2:a3a6bf43:{}",
        b"2:A3A6BF43:{}",
        b"2:a3a6bf44:{}",
        b"3:a3a6bf43:{}",
        b"2:{}",
        b"{}",
    ],
)
def test_only_the_exact_text_is_a_line(line):
    assert decode_line(b"2:a3a6bf43:{}") is None or decode_line(line) is None
    assert decode_line(line) is None


@given(st.lists(JSON_LIKE, max_size=8))
def test_any_texts_are_read_back(payloads):
    found = scan(b"".join(map(encode_line, payloads)), 100)
    assert list(found.payloads) == payloads


@given(st.binary(max_size=200))
def test_any_bytes_can_be_scanned(data):
    found = scan(data, 100)
    assert 0 <= found.end <= len(data)
    assert b"\n" not in data[found.end :]
