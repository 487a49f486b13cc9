"""`ext`: what counts as a value that carries nothing."""

from decimal import Decimal
from typing import Any

import pytest

from arno.canon.ext import NO_EXT, is_empty


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_these_carry_nothing(value: Any) -> None:
    assert is_empty(value)


@pytest.mark.parametrize("value", [0, False, Decimal(0), " ", [None], {"a": None}, [[]], "null"])
def test_these_say_something(value: Any) -> None:
    assert not is_empty(value)


def test_no_ext_is_empty() -> None:
    assert is_empty(NO_EXT)
