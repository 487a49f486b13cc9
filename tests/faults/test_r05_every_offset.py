"""R5, fault row 5: a stream interrupted after every byte ends as what it is, for client and ledger.

Four ways of being interrupted, two kinds of rows (bytes pass, or are restamped). One number is
printed: how many interruptions of how many were classified correctly.
"""

import asyncio
from itertools import product

import pytest

from arno.cassette.recordings import built_in
from tests.engine.seed import needs_seed, seed
from tests.engine.test_mutants import InventsSuccess, SwallowsTheBreak
from tests.faults.interruptions import Way, expected, first_finish, sweep

COARSE = 97


def classified(*sweeps, step=1):
    """The check, over (interaction, way, contract); prints one number for all of them."""
    count, wrong = 0, []
    for interaction, way, contract in sweeps:
        found = asyncio.run(sweep(interaction, [way], contract=contract, step=step))
        count, wrong = count + found.count, wrong + found.wrong
    print(f"{count - len(wrong)} of {count} interruptions classified correctly")
    assert wrong == []
    return count


def shipped():
    """The harbour conversation that comes with the program."""
    return built_in().cassette.interactions


@pytest.mark.slow
def test_row_5_every_offset_of_the_shipped_stream():
    """A reset, an early end and a client that leaves; the test below has all ways on both rows."""
    first, _ = shipped()
    ways = ((Way.RESET, False), (Way.END, False), (Way.LEAVE, True))
    count = classified(*((first, way, contract) for way, contract in ways))
    assert count == len(ways) * (len(first.response.body) + 1)


def test_row_5_offsets_of_both_shipped_streams_on_both_rows():
    classified(*product(shipped(), Way, (True, False)), step=COARSE)


@pytest.mark.slow
@needs_seed
def test_row_5_every_offset_of_the_seed():
    [first, second] = seed()
    count = classified((first, Way.RESET, True), (second, Way.END, False))
    assert count == len(first.response.body) + len(second.response.body) + 2


def test_the_expectation_is_made_of_the_bytes_alone():
    """The judge of the judge, at the places where an answer changes its meaning."""
    body = shipped()[0].response.body
    end, finish = len(body), first_finish(body)
    assert finish < end
    table = {
        Way.FIN: ("error", "error", "complete"),
        Way.RESET: ("error", "error", "complete"),
        Way.END: ("error", "complete", "complete"),
        Way.LEAVE: ("cancelled", "cancelled", "complete"),
    }
    for way, outcomes in table.items():
        assert tuple(expected(way, at, body) for at in (finish - 1, finish, end)) == outcomes


def same(seen, *, cancelled):
    """Every failure is a failure, whatever the client had read by then."""
    if seen is not None and seen.complete:
        return "success"
    return "cancelled" if cancelled else "error"


MUTANTS = {
    "invents an end": ("arno.engine.plan.Exchange", InventsSuccess),
    "says nothing of a break": ("arno.engine.plan.Exchange", SwallowsTheBreak),
    "a ledger that knows no truncation": ("arno.engine.attempts.state_of", same),
    "a ledger that knows no leaving": ("arno.engine.attempts.Book.cancel", lambda self, status: 0),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_row_5_a_mutant_is_found_out(mutant, monkeypatch):
    monkeypatch.setattr(*MUTANTS[mutant])
    with pytest.raises(AssertionError):
        classified(*((shipped()[0], way, False) for way in Way), step=COARSE)
