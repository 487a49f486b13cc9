"""Whose deadline counts: tables by model and provider, and what a request may do to them (R11)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arno.engine import deadlines
from arno.engine.deadlines import NO_DEADLINES, DeadlineTable, tightened
from arno.exchange.driver import Deadlines
from tests.engine.harness import MODEL, SAME_ID, catalogue_of

OPERATOR = Deadlines(connect=10.0, first=60.0, idle=120.0, total=None)
CASES = {
    "nothing asked": (None, 5.0, OPERATOR),
    "nothing said": (NO_DEADLINES, 5.0, OPERATOR),
    "all shorter": (
        Deadlines(connect=1.0, first=2.0, idle=3.0, total=4.0),
        0.0,
        Deadlines(connect=1.0, first=2.0, idle=3.0, total=4.0),
    ),
    "all longer": (Deadlines(connect=99.0, first=99.0, idle=999.0, total=None), 0.0, OPERATOR),
    "some of each": (
        Deadlines(connect=None, first=5.0, idle=500.0, total=30.0),
        0.0,
        Deadlines(connect=10.0, first=5.0, idle=120.0, total=30.0),
    ),
    "its total counts from its beginning": (
        Deadlines(connect=None, first=None, idle=None, total=30.0),
        12.0,
        Deadlines(connect=10.0, first=60.0, idle=120.0, total=18.0),
    ),
    "its total is used up": (
        Deadlines(connect=None, first=None, idle=None, total=30.0),
        31.0,
        Deadlines(connect=10.0, first=60.0, idle=120.0, total=0.0),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_shorter_of_each_counts(case):
    asked, spent, expected = CASES[case]
    assert tightened(OPERATOR, asked, spent) == expected


SECONDS = st.none() | st.floats(0.001, 1e6)
ANY = st.builds(Deadlines, connect=SECONDS, first=SECONDS, idle=SECONDS, total=SECONDS)


def as_numbers(found):
    """connect, first, idle, total; no limit is infinite."""
    names = ("connect", "first", "idle", "total")
    values = [getattr(found, name) for name in names]
    return [float("inf") if value is None else value for value in values]


@given(ANY, ANY, st.floats(0, 1e6))
def test_a_request_never_lengthens_and_gets_at_most_what_it_asks(operator, asked, spent):
    found = as_numbers(tightened(operator, asked, spent))
    for mine, theirs, its in zip(found, as_numbers(operator), as_numbers(asked), strict=True):
        assert 0 <= mine <= min(theirs, its)


def candidates():
    catalogue = catalogue_of(("alpha", "http://127.0.0.1:1", False), ("beta", "http://x", False))
    return [*catalogue.candidates_for(MODEL), *catalogue.candidates_for(SAME_ID)]


def test_each_candidate_is_worked_out_once():
    asked = []

    def deadlines_for(candidate):
        asked.append((candidate.endpoint.slug, candidate.model))
        return Deadlines(first=float(len(asked)))

    table, found = DeadlineTable(deadlines_for), candidates()
    first = [table.of(candidate).first for candidate in found]
    assert [table.of(candidate).first for candidate in found] == first == [1.0, 2.0, 3.0, 4.0]
    assert asked == [("alpha", MODEL), ("beta", MODEL), ("alpha", SAME_ID), ("beta", SAME_ID)]


def test_what_is_known_is_bounded(monkeypatch):
    """Models come from requests, so their number has no other bound."""
    monkeypatch.setattr(deadlines, "_KNOWN_PLACES", 3)
    asked = []
    table, found = DeadlineTable(lambda c: asked.append(c) or Deadlines()), candidates()
    for candidate in found:
        table.of(candidate)
    assert len(table._known) == 1
    table.of(found[-1])
    assert len(asked) == 4


def check_all_cases():
    for case in CASES:
        test_the_shorter_of_each_counts(case)


MUTANTS = {
    "lengthens": lambda one, other: other if other is not None else one,
    "forgets what the operator left open": lambda one, other: one and min(one, other or one),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_found_out(mutant, monkeypatch):
    monkeypatch.setattr(deadlines, "_shorter", MUTANTS[mutant])
    with pytest.raises(AssertionError):
        check_all_cases()
