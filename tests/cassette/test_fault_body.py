"""What faults make of a body, move by move: bytes of a read, waits, and the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.cassette import fault_body
from arno.cassette.fault_body import FaultedBody, HeldTooMuch, Stop, Wait, touches_body
from arno.cassette.faults import parse_faults
from arno.wire import MalformedJSON, SSEDecoder, json

E1, E2, E3 = (b'data: {"n":%d,"t":"\xc3\xa9\xe2\x82\xac"}\n\n' % n for n in (1, 2, 3))
COMMENT = b": ping\n\n"
DONE = b"data: [DONE]\n\n"
BODY = E1 + COMMENT + E2 + E3 + DONE
ERROR = (
    b'data: {"type":"error","error":{"type":"api_error","code":502,'
    b'"message":"injected error event"}}\n\n'
)
S = 1_000_000_000


def play(script, chunks, *, events=True, length=None, stop=Stop.END):
    """All moves, and the texts of the faults that fired."""
    fired = []
    body = FaultedBody(
        parse_faults(script),
        events=events,
        length=length,
        fired=lambda fault: fired.append(fault.text),
    )
    moves = [move for chunk in chunks for move in body.feed(chunk)]
    moves += body.close(stop)
    assert body.feed(b"more") == body.close() == []
    return moves, fired


def moves_of(script, chunks=(BODY,), **how):
    return play(script, chunks, **how)[0]


MOVES = {
    "cut at event=1": [Stop.EOF],
    "cut at event=2 eof": [E1 + COMMENT, Stop.EOF],
    "cut at event=2 reset": [E1 + COMMENT, Stop.RESET],
    "cut at event=4": [E1 + COMMENT + E2 + E3, Stop.EOF],
    "cut at byte=0": [Stop.EOF],
    "cut at byte=5 reset": [BODY[:5], Stop.RESET],
    f"cut at byte={len(BODY)}": [BODY, Stop.EOF],
    "cut at ratio=0": [Stop.EOF],
    "cut at ratio=0.5": [BODY[: len(BODY) // 2], Stop.EOF],
    "cut at ratio=1": [BODY, Stop.EOF],
    "end-early at event=2": [E1 + COMMENT, Stop.END],
    "end-early at byte=7": [BODY[:7], Stop.END],
    "stall at event=1 for=1s": [Wait(S), BODY, Stop.END],
    "stall at event=3 for=1s": [E1 + COMMENT + E2, Wait(S), E3 + DONE, Stop.END],
    "stall at byte=3 for=1s": [BODY[:3], Wait(S), BODY[3:], Stop.END],
    "bad-json at event=2": [E1 + COMMENT + E2[:-3] + b"\n\n" + E3 + DONE, Stop.END],
    "bad-json at event=4": [E1 + COMMENT + E2 + E3 + b"data: [DONE\n\n", Stop.END],
    "dup-event at event=2": [E1 + COMMENT + E2 + E2 + E3 + DONE, Stop.END],
    "error-event at event=2": [E1 + COMMENT + ERROR, Stop.END],
    "drop-done": [E1 + COMMENT + E2 + E3, Stop.END],
    "rechunk=40": [BODY[at : at + 40] for at in range(0, len(BODY), 40)] + [Stop.END],
    "rechunk=coalesce": [BODY, Stop.END],
}


@pytest.mark.parametrize("script", MOVES)
def test_every_fault(script):
    moves, fired = play(script, [BODY])
    assert moves == MOVES[script]
    assert fired == [script]


@pytest.mark.parametrize("script", [text for text in MOVES if "rechunk=40" not in text])
def test_however_the_body_arrives_the_fault_is_the_same(script):
    moves, fired = play(script, [BODY[at : at + 1] for at in range(len(BODY))])
    assert joined(moves) == joined(MOVES[script])
    assert set(fired) == {script}


def joined(moves):
    """The moves with bytes that follow each other as one."""
    result = []
    for move in moves:
        if isinstance(move, bytes) and result and isinstance(result[-1], bytes):
            result[-1] += move
        else:
            result.append(move)
    return result


def test_control_without_a_fault_that_is_met_nothing_changes():
    for script in ("", "cut at event=6", "cut at byte=9999", "dup-event at event=9"):
        assert play(script, [E1, COMMENT, E2 + E3, DONE]) == (
            [E1, COMMENT, E2 + E3, DONE, Stop.END],
            [],
        )


def test_faults_at_events_leave_other_bodies_alone():
    script = "cut at event=1; drop-done; bad-json at event=1"
    assert play(script, [BODY], events=False) == ([BODY, Stop.END], [])


def test_events_come_as_soon_as_they_are_whole():
    body = FaultedBody(
        parse_faults("cut at event=3"), events=True, length=None, fired=lambda _: None
    )
    assert body.feed(E1) == [E1]
    assert body.feed(E2[:9]) == []
    assert body.feed(E2[9:]) == [E2]
    assert body.feed(E3) == [Stop.EOF]


def test_a_known_length_holds_nothing_back():
    body = FaultedBody(
        parse_faults("cut at ratio=0.5"), events=True, length=10, fired=lambda _: None
    )
    assert body.feed(b"abc") == [b"abc"]
    assert body.feed(b"defgh") == [b"de", Stop.EOF]


def test_a_length_to_be_found_out_keeps_the_reads():
    assert moves_of("cut at ratio=0.5", [b"abc", b"de", b"fgh", b"ij"]) == [
        b"abc",
        b"de",
        Stop.EOF,
    ]


def test_an_empty_body():
    for script, moves in {
        "cut at byte=0": [Stop.EOF],
        "cut at ratio=0.5": [Stop.EOF],
        "cut at byte=1": [Stop.END],
        "cut at event=1": [Stop.END],
        "rechunk=coalesce": [Stop.END],
    }.items():
        assert moves_of(script, []) == moves


def test_several_faults():
    script = "stall at event=2 for=1s; cut at event=3; dup-event at event=1; rechunk=coalesce"
    # One read for all comes when all is known, behind the wait.
    assert moves_of(script) == [Wait(S), E1 + E1 + COMMENT + E2, Stop.EOF]
    assert moves_of("stall at event=2 for=1s; cut at event=2 reset") == [
        E1 + COMMENT,
        Wait(S),
        Stop.RESET,
    ]
    assert moves_of(
        "cut at byte=9; stall at byte=2 for=1s; stall at ratio=0.2 for=2s", [b"0123456789" * 2]
    ) == [
        b"01",
        Wait(S),
        b"23",
        Wait(2 * S),
        b"45678",
        Stop.EOF,
    ]
    assert moves_of(f"dup-event at event=1; cut at byte={2 * len(E1)}") == [E1 + E1, Stop.EOF]


def test_what_is_held_comes_before_the_end():
    unfinished = BODY[:-5]
    for script in ("drop-done", "cut at ratio=1", "rechunk=coalesce"):
        moves = moves_of(script, [unfinished[:50], unfinished[50:]], stop=Stop.FAILED)
        assert b"".join(move for move in moves if isinstance(move, bytes)) == unfinished
        assert moves[-1] is (Stop.EOF if "cut" in script else Stop.FAILED)


def test_named_events_get_a_named_error():
    named = b"event: message_start\ndata: {}\n\n"
    assert moves_of("error-event at event=2", [named, named]) == [
        named,
        b"event: error\n" + ERROR,
        Stop.END,
    ]
    assert moves_of("bad-json at event=1", [named]) == [
        b"event: message_start\ndata: {\n\n",
        Stop.END,
    ]


@pytest.mark.parametrize("data", [b"{}", b'{"a":[1]} ', b"[1]", b"12", b'"x"', b"null", b"true"])
def test_bad_json_is_never_json(data):
    [frame] = SSEDecoder().feed(moves_of("bad-json at event=1", [b"data: " + data + b"\n\n"])[0])
    with pytest.raises(MalformedJSON):
        json.loads(frame.data)


def test_split_utf8_ends_reads_inside_characters():
    assert moves_of("split-utf8", ["aé€😀".encode(), "é".encode()[:1], "é".encode()[1:]]) == [
        b"a\xc3",
        b"\xa9\xe2",
        b"\x82\xac\xf0",
        b"\x9f\x98\x80",
        b"\xc3",
        b"\xa9",
        Stop.END,
    ]


def test_random_reads_are_those_of_their_seed():
    first, again, other = (moves_of(f"rechunk=random({n})") for n in (7, 7, 8))
    assert first == again != other
    assert first[:-1] == moves_of("rechunk=random(7)", [BODY])[:-1]
    assert [len(move) for move in first[:3]] == SIZES_OF_SEED_7


SIZES_OF_SEED_7 = [31, 64, 8]


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    script=st.sampled_from(
        ["rechunk=1", "rechunk=7", "rechunk=random(3)", "rechunk=coalesce", "split-utf8"]
    ),
    events=st.sampled_from(["", "; stall at event=1 for=1s", "; stall at byte=3 for=1s"]),
)
def test_reads_and_waits_change_no_byte(chunks, script, events):
    moves = moves_of(script + events, chunks)
    assert b"".join(move for move in moves if isinstance(move, bytes)) == b"".join(chunks)
    assert moves[-1] is Stop.END
    assert b"" not in moves


def test_what_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr(fault_body, "MAX_HELD", 100)
    with pytest.raises(HeldTooMuch):
        moves_of("cut at ratio=0.5", [bytes(60), bytes(60)])
    assert moves_of("cut at ratio=0.5", [bytes(60), bytes(40)])[-1] is Stop.EOF
    assert moves_of("rechunk=coalesce", [bytes(60)] * 3) == [bytes(120), bytes(60), Stop.END]


def test_which_faults_are_of_the_body():
    heads = parse_faults("refuse; close-before-head; status=503; slow-first=1s")
    assert not any(map(touches_body, heads))
    assert all(map(touches_body, parse_faults("\n".join(MOVES))))
