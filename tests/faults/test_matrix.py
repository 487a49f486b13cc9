"""Every row of the fault matrix that concerns transports has test, control and mutant."""

import ast
from functools import cache

import pytest

from tests.faults.matrix import MATRIX, Row
from tests.shared import ROOT, SHARED, needs_shared

TRANSPORT = (*range(1, 8), *range(9, 14), *range(16, 19), *range(22, 27), *range(37, 41))
"""Rows that a transport has a part in; 19 to 21 are of framing, 27 to 36 of ledger and server."""


@cache
def functions_of(file):
    """Names of the tests in a file; those that pytest is told to leave out are not among them."""
    tree = ast.parse((ROOT / "tests" / file).read_bytes())
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return {name for name in found if name.startswith("test_")}


def missing(row):
    """The names of a row that no test has."""
    names = (*row.tests, *row.controls, *row.mutants)
    parts = [name.partition("::") for name in names]
    return [
        f"{file}::{test}"
        for file, _, test in parts
        if not (ROOT / "tests" / file).is_file() or test not in functions_of(file)
    ]


def test_no_row_is_left_out():
    assert tuple(MATRIX) == TRANSPORT


@pytest.mark.parametrize("number", MATRIX)
def test_a_row_has_test_control_and_mutant(number):
    row = MATRIX[number]
    assert row.tests
    assert row.controls
    assert row.mutants
    assert missing(row) == []


def test_a_name_that_nothing_has_is_noticed():
    """The control of the check itself."""
    ghost = Row("", "", ("faults/test_matrix.py::test_ghost",), ("faults/no.py::test_a",), ())
    assert missing(ghost) == ["faults/test_matrix.py::test_ghost", "faults/no.py::test_a"]


@needs_shared
def test_the_rows_are_those_of_the_specification():
    """Each number stands there, so that the table cannot drift from it unnoticed."""
    text = (SHARED / "spec" / "behaviour.md").read_text()
    for number in MATRIX:
        assert f"\n| {number} | " in text
