"""Bounds on what a stream keeps."""

from arno.dialects.bounds import Budget


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
