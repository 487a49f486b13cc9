"""The sans-IO response parser: any split of the bytes, every cut, and the limits."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.transport.response_parser import MAX_INTERIM, ProtocolViolation, ResponseParser

LIMIT = 4096

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

RESPONSES = {
    "length": (OK + b"Content-Length: 5\r\n\r\nhello", b"hello"),
    "chunked": (CHUNKED + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nx-t: v\r\n\r\n", b"hello"),
    "interim": (
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK + b"content-length: 5\r\n\r\nhello",
        b"hello",
    ),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", b""),
    "value in spaces": (OK + b"x-pad:  \t a b \t \r\ncontent-length: 0\r\n\r\n", b""),
}


def parse(pieces, method="GET") -> ResponseParser:
    parser = ResponseParser(LIMIT)
    parser.begin(method)
    for piece in pieces:
        parser.feed(piece)
    return parser


def outcome(parser: ResponseParser):
    return (
        parser.status,
        parser.headers,
        b"".join(parser.pieces),
        parser.complete,
        parser.keep_alive,
    )


@pytest.mark.parametrize("name", RESPONSES)
@given(data=st.data())
def test_any_split_gives_the_same_response(name, data):
    raw, body = RESPONSES[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1))))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole = parse([raw])
    assert outcome(parse(pieces)) == outcome(whole)
    assert (b"".join(whole.pieces), whole.complete, whole.keep_alive) == (body, True, True)
    assert whole.size == len(body)


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_cut_anywhere_is_not_complete(name):
    raw, body = RESPONSES[name]
    for cut in range(len(raw)):
        parser = parse([raw[:cut]])
        assert not parser.complete, raw[:cut]
        assert not parser.until_close
        assert body.startswith(b"".join(parser.pieces))


def test_values_lose_the_space_around_them():
    assert parse([RESPONSES["value in spaces"][0]]).headers[0] == ("x-pad", "a b")


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\n", True),
    ],
)
def test_keep_alive(head, keep_alive):
    parser = parse([head + b"content-length: 2\r\n\r\nok"])
    assert (parser.complete, parser.keep_alive) == (True, keep_alive)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_one_parser_reads_response_after_response(method):
    parser = ResponseParser(LIMIT)
    for number in range(3):
        parser.begin(method)
        body = b"" if method == "HEAD" else b"body%d" % number
        parser.feed(OK + b"x-n: %d\r\ncontent-length: 5\r\n\r\n" % number + body)
        assert parser.complete
        assert parser.headers[0] == ("x-n", str(number))
        assert b"".join(parser.pieces) == body


def test_body_of_an_unframed_response_ends_with_the_connection():
    parser = parse([OK + b"\r\n", b"abc"])
    assert (parser.until_close, parser.complete, parser.pieces) == (True, False, [b"abc"])


@pytest.mark.parametrize("excess", [b"H", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", b"\0"])
@pytest.mark.parametrize("name", RESPONSES)
def test_bytes_after_the_end_spoil_the_connection_not_the_response(name, excess):
    raw, body = RESPONSES[name]
    parser = parse([raw + excess])
    assert (b"".join(parser.pieces), parser.complete, parser.keep_alive) == (body, True, False)


def test_body_bytes_after_the_head_of_a_head_response_spoil_the_connection():
    parser = parse([OK + b"content-length: 5\r\n\r\nhello"], "HEAD")
    assert (parser.pieces, parser.complete, parser.keep_alive) == ([], True, False)


TOO_LARGE = {
    "one long header": [OK + b"x: " + b"a" * LIMIT + b"\r\ncontent-length: 0\r\n\r\n"],
    "many headers": [OK + b"x: y\r\n" * LIMIT],
    "header in pieces": [OK + b"x: ", *[b"a" * 100] * LIMIT],
    "reason phrase in pieces": [b"HTTP/1.1 200 ", *[b"O" * 100] * LIMIT],
    "chunk extension in pieces": [CHUNKED + b"1;", *[b"e" * 100] * LIMIT],
    "trailer in pieces": [CHUNKED + b"0\r\nx: ", *[b"a" * 100] * LIMIT],
    "many trailers": [CHUNKED + b"0\r\n" + b"x: y\r\n" * LIMIT],
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_not_body_is_bounded(name):
    with pytest.raises(ProtocolViolation, match=f"above {LIMIT} bytes"):
        parse(TOO_LARGE[name])


def test_a_long_body_in_small_pieces_is_no_limit():
    parser = parse([OK + b"content-length: 1000000\r\n\r\n", *[b"a" * 100] * 10_000])
    assert parser.complete


def test_chunk_framing_of_a_long_body_is_no_limit():
    parser = parse([CHUNKED, *[b"1\r\n", b"a", b"\r\n"] * 10_000, b"0\r\n\r\n"])
    assert (parser.complete, parser.size) == (True, 10_000)


def test_interim_responses_are_counted():
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    final = OK + b"content-length: 0\r\n\r\n"
    assert parse([interim * MAX_INTERIM + final]).complete
    with pytest.raises(ProtocolViolation, match="interim"):
        parse([interim * (MAX_INTERIM + 1) + final])


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_raise_anything_else(pieces):
    """Whatever comes is parsed or refused; the parser never claims more body than it was fed."""
    parser = ResponseParser(LIMIT)
    with suppress(ProtocolViolation):
        for piece in [CHUNKED, *pieces]:
            parser.feed(piece)
    assert parser.size == len(b"".join(parser.pieces)) <= sum(map(len, pieces))
