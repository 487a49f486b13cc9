"""Fault scripts: every form there is, and what each mistake is told."""

import pytest

from arno.cassette.errors import CassetteError
from arno.cassette.faults import (
    BadJson,
    CloseBeforeHead,
    Cut,
    DropDone,
    DupEvent,
    EndEarly,
    ErrorEvent,
    Fault,
    FaultSyntaxError,
    Place,
    Rechunk,
    Refuse,
    SlowFirst,
    SplitUtf8,
    Stall,
    Status,
    Unit,
    parse_faults,
)

S = 1_000_000_000


def event(number):
    return Place(Unit.EVENT, number)


FORMS = {
    "refuse": Refuse(),
    "close-before-head": CloseBeforeHead(),
    "status=503": Status(503),
    "status=429 retry-after=2": Status(429, "2"),
    'status=429 retry-after="Wed, 21 Oct 2026 07:28:00 GMT"': Status(
        429, "Wed, 21 Oct 2026 07:28:00 GMT"
    ),
    "slow-first=5s": SlowFirst(5 * S),
    "slow-first=1.5s": SlowFirst(3 * S // 2),
    "slow-first=20ms": SlowFirst(S // 50),
    "cut at event=7": Cut(event(7)),
    "cut at event=7 eof": Cut(event(7)),
    "cut at event=7 reset": Cut(event(7), reset=True),
    "cut at byte=1234 reset": Cut(Place(Unit.BYTE, 1234), reset=True),
    "cut at byte=0": Cut(Place(Unit.BYTE, 0)),
    "cut at ratio=0.5": Cut(Place(Unit.RATIO, 0.5)),
    "cut at ratio=.5": Cut(Place(Unit.RATIO, 0.5)),
    "cut at ratio=1": Cut(Place(Unit.RATIO, 1)),
    "end-early at event=2": EndEarly(event(2)),
    "end-early at byte=9": EndEarly(Place(Unit.BYTE, 9)),
    "stall at event=3 for=30s": Stall(event(3), 30 * S),
    "stall for=30s at byte=5": Stall(Place(Unit.BYTE, 5), 30 * S),
    "bad-json at event=2": BadJson(event(2)),
    "dup-event at event=2": DupEvent(event(2)),
    "error-event at event=2": ErrorEvent(event(2)),
    "drop-done": DropDone(),
    "split-utf8": SplitUtf8(),
    "rechunk=1": Rechunk(size=1),
    "rechunk=random(7)": Rechunk(seed=7),
    "rechunk=coalesce": Rechunk(),
}


@pytest.mark.parametrize("text", FORMS)
def test_every_form(text):
    assert parse_faults(text) == (Fault(FORMS[text], text=text),)


@pytest.mark.parametrize("text", FORMS)
def test_every_form_takes_conditions(text):
    [fault] = parse_faults(f"  {text}   only-attempt=2  model=a/b:free ")
    assert (fault.what, fault.attempt, fault.model) == (FORMS[text], 2, "a/b:free")
    [fault] = parse_faults(f"{text} attempt=3")
    assert (fault.what, fault.attempt, fault.model) == (FORMS[text], 3, None)


def test_a_script_has_a_fault_a_line_or_several():
    script = "# first\n\nstatus=503 only-attempt=1; slow-first=1s  # both\n  drop-done\n;;\n"
    assert [fault.text for fault in parse_faults(script)] == [
        "status=503 only-attempt=1",
        "slow-first=1s",
        "drop-done",
    ]
    assert parse_faults("") == parse_faults("# nothing") == ()


MISTAKES = {
    "explode": "expected one of refuse, close-before-head, status",
    "status": "expected status=..., got 'status'",
    "status=99": "expected a status from 200 to 599, got '99'",
    "status=600": "expected a status from 200 to 599, got '600'",
    "status=5xx": "expected a status from 200 to 599, got '5xx'",
    "status=": "expected a status from 200 to 599, got ''",
    "status=429 retry-after=": "expected seconds or a date in quotes, got ''",
    "status=429 retry-after=Wed, 21 Oct": "expected nothing more, got '21'",
    "refuse=1": "expected refuse without a value, got 'refuse=1'",
    "refuse now": "expected nothing more, got 'now'",
    "slow-first=5": "expected a duration such as 30s or 500ms, got '5'",
    "slow-first=0s": "expected a duration such as 30s or 500ms, got '0s'",
    "slow-first=-5s": "expected a duration such as 30s or 500ms, got '-5s'",
    "slow-first=": "expected a duration such as 30s or 500ms, got ''",
    "cut": "expected at event=... or byte=... or ratio=..., got nothing",
    "cut event=3": "expected at event=... or byte=... or ratio=..., got 'event=3'",
    "cut at": "expected at event=... or byte=... or ratio=..., got nothing",
    "cut at evnt=3": "expected at event=... or byte=... or ratio=..., got 'evnt=3'",
    "cut at event=0": "expected an event from 1, got '0'",
    "cut at event=-1": "expected an event from 1, got '-1'",
    "cut at event=1.5": "expected an event from 1, got '1.5'",
    "cut at byte=x": "expected a number of bytes, got 'x'",
    "cut at ratio=1.5": "expected a ratio from 0 to 1, got '1.5'",
    "cut at ratio=nan": "expected a ratio from 0 to 1, got 'nan'",
    "cut at event=3 byte=4": "expected nothing more, got 'byte=4'",
    "cut at event=3 fin": "expected nothing more, got 'fin'",
    "cut at event=3 eof reset": "expected nothing more, got 'eof'",
    "cut at event=3 for=3s": "expected nothing more, got 'for=3s'",
    "stall at event=3": "expected a duration such as 30s or 500ms, got nothing",
    "bad-json at byte=3": "expected at event=..., got 'byte=3'",
    "dup-event": "expected at event=..., got nothing",
    "drop-done at event=3": "expected nothing more, got 'at'",
    "rechunk=0": "expected bytes, random(SEED) or coalesce, got '0'",
    "rechunk=random": "expected bytes, random(SEED) or coalesce, got 'random'",
    "rechunk=random(-1)": "expected bytes, random(SEED) or coalesce, got 'random(-1)'",
    "refuse only-attempt=0": "expected an attempt from 1, got '0'",
    "refuse only-attempt=1 attempt=2": "expected nothing more, got 'attempt=2'",
    "refuse model=": "expected model=NAME, got 'model='",
    "only-attempt=1": "expected one of refuse,",
    '"refuse"': "expected words and name=value, got '\"refuse\"'",
    'status=429 retry-after="2': "expected words and name=value, got 'retry-after=\"2'",
    "cut at event=\u0663": "expected an event from 1",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_every_mistake_is_told_with_its_place(text):
    with pytest.raises(FaultSyntaxError) as caught:
        parse_faults(f"# a comment\ndrop-done; {text}")
    assert str(caught.value).startswith(f"line 2: fault {text!r}: expected ")
    assert MISTAKES[text] in str(caught.value)
    assert caught.value.line == 2
    assert isinstance(caught.value, CassetteError)
