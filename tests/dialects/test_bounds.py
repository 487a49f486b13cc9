"""Bounds on what a stream keeps."""

from arno.canon.events import PartDelta, PartEnd, PartStart, Slot
from arno.canon.parts import TextPart
from arno.dialects.bounds import PIECE, Budget, weight


def test_a_budget_takes_up_to_its_limit_and_no_more() -> None:
    budget = Budget(10)
    assert budget.take(4)
    assert budget.take(6)
    assert not budget.take(1)
    assert budget.take(0)


def test_what_does_not_fit_is_not_counted() -> None:
    budget = Budget(10)
    assert not budget.take(11)
    assert budget.take(10)


def test_what_is_released_can_be_taken_again() -> None:
    budget = Budget(10)
    assert budget.take(10)
    budget.release(3)
    assert not budget.take(4)
    assert budget.take(3)


def test_an_event_weighs_what_it_says_and_a_little_more() -> None:
    long = "x" * 1000
    assert weight(PartDelta(0, Slot.TEXT, long)) == PIECE + 1000
    assert weight(PartDelta(0, Slot.ANNOTATION, {"url": long})) > 1000
    assert weight(PartStart(0, TextPart(text=long))) > 1000
    assert PIECE < weight(PartEnd(0)) < 200
