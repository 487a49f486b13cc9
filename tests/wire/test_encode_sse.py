"""Writing SSE: what is written reads back, and no text can forge a field or a frame."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.wire import Frame, SSEDecoder, encode_comment, encode_sse


@pytest.mark.parametrize(
    ("data", "event", "expected"),
    [
        (b"x", None, b"data: x\n\n"),
        (b"", None, b"data: \n\n"),
        (b" x", None, b"data:  x\n\n"),
        (b"{}", "message_stop", b"event: message_stop\ndata: {}\n\n"),
        (b"{}", "", b"data: {}\n\n"),
        (b"a\nb", None, b"data: a\ndata: b\n\n"),
        (b"a\r\nb\rc\n", "é", "event: é\ndata: a\ndata: b\ndata: c\ndata: \n\n".encode()),
    ],
)
def test_encode_sse(data: bytes, event: str | None, expected: bytes) -> None:
    assert encode_sse(data, event) == expected


@pytest.mark.parametrize("event", ["a\nb", "a\r", "\n", "a\r\ndata: forged"])
def test_an_event_name_holds_no_line_break(event: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_sse(b"x", event)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ARNO PROCESSING", b": ARNO PROCESSING\n"),
        ("", b": \n"),
        ("a\n\ndata: forged", b": a\n: \n: data: forged\n"),
        ("a\r\nb\rc", b": a\n: b\n: c\n"),
    ],
)
def test_encode_comment(text: str, expected: bytes) -> None:
    assert encode_comment(text) == expected


@given(
    st.binary(),
    st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")),
)
def test_an_event_reads_back(data: bytes, event: str | None) -> None:
    raw = encode_sse(data, event)
    lines = re.sub(rb"\r\n?", b"\n", data)
    assert SSEDecoder().feed(raw) == [Frame(raw, lines, event or "")]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_comment_reads_back_without_data_and_ends_no_event(text: str) -> None:
    raw = encode_comment(text)
    lines = re.sub(r"\r\n?", "\n", text).encode()
    assert SSEDecoder().feed(raw) == []
    assert SSEDecoder().feed(raw + b"\n") == [Frame(raw + b"\n", None, comment=lines)]
    event = raw + encode_sse(b"{}")
    assert SSEDecoder().feed(event) == [Frame(event, b"{}", comment=lines)]
