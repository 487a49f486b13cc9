"""Dispositions: a field of a request that no table names, or half names, is found."""

import json

import pytest

from checks.dispositions import check_dispositions
from tests.checks.trees import ROOT, plant

ROW = '["{name}"]\nmapped = ["one"]\ndropped = ["two"]\nwhy = "two has it not"\n'
TWO = '[model]\nmapped = ["one", "two"]\n'
UNION = {"model": "m", "limit": 3, "shape": {"kind": "k"}, "tools": [{"name": "a", "strict": True}]}
NAMES = ("limit", "shape.kind", "tools[].name", "tools[].strict")


def tree(tmp_path, *names, rows="", union=UNION, alone=None):
    text = "".join(ROW.format(name=name) for name in names) + rows + '[model]\ncanon = "/model"\n'
    files = {
        "src/arno/dialects/dispositions/one.toml": text + 'mapped = ["one", "two"]\n',
        "src/arno/dialects/dispositions/two.toml": TWO,
        "tests/golden/union/one.json": json.dumps(union),
        "tests/golden/union/two.json": json.dumps({"model": "m"}),
    }
    if alone is not None:
        files["tests/golden/union/one.alone.json"] = json.dumps(alone)
    return check_dispositions(plant(tmp_path, files)).problems


def test_ours_passes():
    assert check_dispositions(ROOT).passed


def test_a_table_that_names_every_field_passes(tmp_path):
    assert tree(tmp_path, *NAMES) == ()


@pytest.mark.parametrize("missing", NAMES)
def test_a_field_without_a_section_fails(tmp_path, missing):
    problems = tree(tmp_path, *(name for name in NAMES if name != missing))
    assert len(problems) == 1
    assert "has no section" in problems[0]


def test_a_section_without_a_field_fails_unless_it_stands_alone(tmp_path):
    (problem,) = tree(tmp_path, *NAMES, "other")
    assert "[other] stands in no request" in problem
    assert tree(tmp_path, *NAMES, "other", alone={"other": {"other": 1}}) == ()


def test_a_table_without_a_request_fails(tmp_path):
    tree(tmp_path, *NAMES)
    (tmp_path / "tests/golden/union/two.json").unlink()
    (problem,) = check_dispositions(tmp_path).problems
    assert "there is no tests/golden/union/two.json" in problem


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ('[x]\nmapped = ["one"]\n', "[x] lists two 0 times"),
        ('[x]\nmapped = ["one", "two"]\ndropped = ["two"]\nwhy = "w"\n', "[x] lists two 2 times"),
        ('[x]\nmapped = ["one", "two", "six"]\n', "[x] speaks of an unknown dialect, six"),
        (
            '[x]\nmapped = ["one"]\ndropped = ["two"]\n',
            "[x] does not say why it is dropped for two",
        ),
        (
            '[x]\nmapped = ["one"]\nrefused = ["two"]\nwhy = { one = "w" }\n',
            "[x] does not say why it is refused for two",
        ),
        (
            '[x]\nmapped = ["one", "two"]\nlost = ["two"]\n',
            "[x] has a member that is not understood: lost",
        ),
        (
            '[x]\nmapped = ["one", "two"]\ncontract = "yes"\n',
            "[x] has a member that is not understood: contract",
        ),
    ],
)
def test_what_is_wrong_with_a_section(tmp_path, row, problem):
    problems = tree(tmp_path, *NAMES, rows=row, alone={"x": {"x": 1}})
    assert [found.split(": ", 1)[1] for found in problems] == [problem]
