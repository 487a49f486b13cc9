"""R2: however the bytes of a stream arrive and however they are framed, they mean the same."""

from itertools import islice

import pytest

from arno.canon.events import KeepAlive, ResponseEnd
from arno.canon.fold import fold
from tests.engine.seed import needs_seed, seed_body
from tests.exchange.attempt import SMALL, WORDS, events, exchange, feed, output
from tests.wire.streams import bytewise, two_cuts

LINE_ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}
REWRITES = {
    "as it is": lambda body: body,
    "no space after the colon": lambda body: body.replace(b"data: ", b"data:"),
    "comments before and between": lambda body: (
        b": OPENROUTER PROCESSING\n\n" + body.replace(b"\n\n", b"\n\n: OPENROUTER PROCESSING\n\n")
    ),
    "comments inside": lambda body: body.replace(b"data: {", b": between\ndata: {"),
    "keepalive as data": lambda body: b"data: : keepalive\n\n" + body,
    "empty data": lambda body: b"data:\n\n" + body,
    "many data lines": lambda body: body.replace(b"data: {", b"data: {\ndata: "),
    "a byte order mark": lambda body: b"\xef\xbb\xbf" + body,
    "id and retry lines": lambda body: body.replace(b"data: {", b"id: 7\nretry: 9\ndata: {"),
    "blank lines": lambda body: body.replace(b"\n\n", b"\n\n\n\n"),
}


def meaning(pieces):
    return events(feed(exchange(), pieces))


def text_of(found):
    (choice,) = fold(found).response.choices
    return choice.parts[0].text


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("rewrite", REWRITES)
def test_the_framing_of_a_small_stream_means_nothing(rewrite, line_end):
    """R2: whole, byte by byte, and cut at many positions (at every one as it is)."""
    every = 1 if rewrite == "as it is" else 7
    body = REWRITES[rewrite](SMALL).replace(b"\n", LINE_ENDS[line_end])
    expected = meaning([SMALL])
    assert text_of(expected) == WORDS
    assert meaning([body]) == expected
    assert meaning(bytewise(body)) == expected
    for pieces in islice(two_cuts(body), None, None, every):
        assert meaning(pieces) == expected


@needs_seed
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("rewrite", REWRITES)
def test_the_framing_of_the_seed_means_nothing(rewrite, line_end, number):
    """R2: whole and byte by byte."""
    seed = seed_body(number)
    body = REWRITES[rewrite](seed).replace(b"\n", LINE_ENDS[line_end])
    expected = meaning([seed])
    assert expected[-1] == ResponseEnd()
    assert meaning([body]) == expected
    assert meaning(bytewise(body)) == expected


@needs_seed
def test_the_seed_cut_at_every_position_means_the_same():
    """R2, row 17: all 2-cuts; the contract's bytes are the seed's own."""
    seed = seed_body(0)
    expected = meaning([seed])
    for pieces in two_cuts(seed):
        steps = feed(exchange("contract"), pieces)
        assert events(steps) == expected
        assert output(steps) == seed


@pytest.mark.parametrize("row", ["plain", "encode"])
def test_a_restamped_stream_is_the_same_however_it_arrived(row):
    """R2: no character is lost or replaced on the way to the client."""
    expected = output(feed(exchange(row), [SMALL]))
    assert "\ufffd" not in expected.decode()
    assert text_of(meaning([expected])) == WORDS
    for pieces in (*two_cuts(SMALL), bytewise(SMALL)):
        assert output(feed(exchange(row), pieces)) == expected


def test_comments_are_signs_of_life_and_never_data():
    """R2: `data: : keepalive` is one too."""
    steps = feed(exchange(), [b": one\n\ndata: : two\n\n" + SMALL])
    alive = [e for step in steps for e in step.events if isinstance(e, KeepAlive)]
    assert [event.note for event in alive] == ["one", "two", "HELLO"]
    assert events(steps) == meaning([SMALL])


def test_a_byte_that_is_no_text_is_never_replaced():
    """R2, row 16: a wrong character is a fault, not U+FFFD."""
    broken = SMALL.replace("京".encode(), b"\xe4\xba")
    steps = feed(exchange("contract"), [broken])
    assert type(events(steps)[-1]).__name__ == "StreamError"
    assert b"\xef\xbf\xbd" not in output(steps)
