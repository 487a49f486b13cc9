"""R2 for every dialect: a legal rewrite of a stream's framing changes no event.

The streams are hand-written upstreams of the SDKs' tests: text beyond ASCII, reasoning, tool calls.
Server-sent events are rewritten in every way the standard allows; the binary stream of Converse has
one form, so it is only cut, at every byte.
"""

from collections.abc import Callable, Iterable
from functools import cache

import msgspec
import pytest

from arno.canon.events import Event, KeepAlive, StreamError
from arno.canon.fold import fold
from arno.dialects import DIALECTS
from arno.wire.frame import Framing
from arno.wire.framing import FRAMERS
from tests.sdk import upstreams
from tests.sdk.upstreams.story import Asked

SCENARIOS = ("text", "thinking_tool", "parallel")
LINES = tuple(name for name, each in DIALECTS.items() if each.framing is Framing.SSE)
DONE = b"[DONE]"


@cache
def frames_of(dialect: str, scenario: str) -> tuple[bytes, ...]:
    """A stream of a dialect as its upstream sends it, one event each."""
    asked = Asked({}, scenario, True, {}, scenario=scenario)
    return tuple(upstreams.DIALECTS[dialect].answer(asked).body)


def fields_of(frame: bytes) -> list[tuple[bytes, bytes]]:
    """(field, value) of each line of an event."""
    lines = frame.replace(b"\r\n", b"\n").strip(b"\n").split(b"\n")
    pairs = [line.partition(b":") for line in lines]
    return [(name, value.removeprefix(b" ")) for name, _, value in pairs]


def written(
    frames: Iterable[bytes],
    *,
    end: bytes = b"\n",
    space: bytes = b" ",
    before: bytes = b"",
    more: tuple[bytes, ...] = (),
    drop: tuple[bytes, ...] = (),
    lines: Callable[[bytes], list[bytes]] = lambda value: [value],
) -> bytes:
    """The events again. before: in front of each; more: fields in each; lines: of the data."""
    body = b""
    for frame in frames:
        said = [pair for pair in fields_of(frame) if pair[0] not in drop]
        split = [(n, line) for n, v in said for line in (lines(v) if n == b"data" else [v])]
        text = [*more, *(name + b":" + space + value for name, value in split)]
        body += before + end.join(text) + end + end
    return body


def laid_out(value: bytes) -> list[bytes]:
    """JSON over several lines, which the standard joins again."""
    return [value] if value == DONE else msgspec.json.format(value, indent=2).split(b"\n")


REWRITES: dict[str, Callable[[tuple[bytes, ...]], bytes]] = {
    "LF": written,
    "CRLF": lambda frames: written(frames, end=b"\r\n"),
    "CR": lambda frames: written(frames, end=b"\r"),
    "no space after the colon": lambda frames: written(frames, space=b""),
    "BOM": lambda frames: b"\xef\xbb\xbf" + written(frames),
    "comments between": lambda frames: written(frames, before=b": OPENROUTER PROCESSING\n\n"),
    "comments of two words": lambda frames: written(frames, before=b": : keepalive\n\n"),
    "comments inside": lambda frames: written(frames, more=(b":", b": data: {}")),
    "comments that say data": lambda frames: written(frames, before=b':data: {"a":1}\r\n\r\n'),
    "empty lines between": lambda frames: written(frames, before=b"\n\n\n"),
    "id and retry": lambda frames: written(frames, more=(b"id: 7", b"retry: 3000")),
    "unknown fields": lambda frames: written(frames, more=(b"x-more: 1", b"nonsense")),
    "data over several lines": lambda frames: written(frames, lines=laid_out),
    "several lines of CR": lambda frames: written(frames, lines=laid_out, end=b"\r"),
    "no names of events": lambda frames: written(frames, drop=(b"event",)),
}


def decoded(dialect: str, pieces: Iterable[bytes]) -> list[Event]:
    """The events of a stream that comes in pieces, without signs of life."""
    framer, decoder = (
        FRAMERS[DIALECTS[dialect].framing](1 << 22),
        DIALECTS[dialect].stream_decoder(),
    )
    events: list[Event] = []
    for piece in pieces:
        for frame in framer.feed(piece):
            events += decoder.feed(frame).events
    for frame in framer.close():
        events += decoder.feed(frame).events
    events += decoder.close().events
    return [event for event in events if not isinstance(event, KeepAlive)]


@cache
def meant(dialect: str, scenario: str) -> list[Event]:
    """What a stream means as its upstream sends it."""
    return decoded(dialect, [b"".join(frames_of(dialect, scenario))])


def by_bytes(body: bytes) -> list[bytes]:
    """A byte at a time."""
    return [body[at : at + 1] for at in range(len(body))]


@pytest.mark.parametrize("rewrite", REWRITES)
@pytest.mark.parametrize("dialect", LINES)
def test_a_legal_framing_changes_no_event(dialect: str, rewrite: str) -> None:
    for scenario in SCENARIOS:
        body = REWRITES[rewrite](frames_of(dialect, scenario))
        assert decoded(dialect, [body]) == meant(dialect, scenario), scenario
        assert decoded(dialect, by_bytes(body)) == meant(dialect, scenario), scenario


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_stream_means_what_its_scenario_says(dialect: str) -> None:
    """The control: there is something in every stream that could get lost."""
    for scenario in SCENARIOS:
        result = fold(meant(dialect, scenario))
        assert result.failure is None
        assert result.response.choices[0].parts
    text = str(fold(meant(dialect, "text")).response)
    assert "�" not in text
    assert "🌊" in text


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_cut_at_every_byte_changes_no_event(dialect: str) -> None:
    """The text scenario holds characters of two and four bytes; its frames are few."""
    body = b"".join(frames_of(dialect, "text"))
    for at in range(len(body) + 1):
        assert decoded(dialect, [body[:at], body[at:]]) == meant(dialect, "text"), at


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_binary_messages_come_a_byte_at_a_time(scenario: str) -> None:
    body = b"".join(frames_of("converse", scenario))
    assert decoded("converse", by_bytes(body)) == meant("converse", scenario)


@pytest.mark.parametrize("dialect", LINES)
def test_a_comment_that_became_data_is_noticed(dialect: str) -> None:
    """A mutant of the rewrites: what is no comment breaks the stream, never passes silently."""
    body = written(frames_of(dialect, "text"), before=b"data: OPENROUTER PROCESSING\n\n")
    assert decoded(dialect, [body]) != meant(dialect, "text")
    assert isinstance(decoded(dialect, [body])[-1], StreamError)


@pytest.mark.parametrize("dialect", LINES)
def test_an_event_that_is_lost_is_noticed(dialect: str) -> None:
    frames = frames_of(dialect, "parallel")
    for at in range(len(frames)):
        left = frames[:at] + frames[at + 1 :]
        if decoded(dialect, [written(left)]) != meant(dialect, "parallel"):
            break
    else:
        raise AssertionError("no event of the stream matters")


@pytest.mark.parametrize("dialect", LINES)
def test_r2_a_keep_alive_sent_as_data_means_nothing(dialect: str) -> None:
    """`data: : keepalive`, which some proxies send."""
    body = written(frames_of(dialect, "text"), before=b"data: : keepalive\n\n")
    assert decoded(dialect, [body]) == meant(dialect, "text")
