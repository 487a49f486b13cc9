"""Format, lint and types: the settings of pyproject.toml, each tried with code that it refuses."""

import pytest

from checks.tools import check_format, check_lint, check_types
from tests.checks.trees import PYPROJECT, plant

pytestmark = pytest.mark.slow

GOOD = '"""A module."""\n\n\ndef double(number: int) -> int:\n    """Twice the number."""\n'
GOOD += "    return 2 * number\n"
BRANCHES = "".join(f"    if x == {i}:\n        return {i}\n" for i in range(10))
REFUSED = {
    "an unused import": ("import os\n", "F401"),
    "no docstring": ("def f() -> None:\n    pass\n", "D103"),
    "no annotation": ('def f(x) -> None:\n    """Nothing."""\n', "ANN001"),
    "the other JSON codec": ("import json\n\nX = json\n", "TID251"),
    "pickle": ("import pickle\n\nX = pickle\n", "TID251"),
    "an HTTP library": ("from httpx import Client\n\nX = Client\n", "TID251"),
    "unsafe YAML": ("import yaml\n\nX = yaml.load\n", "TID251"),
    "sleep": ("import time\n\nX = time.sleep\n", "TID251"),
    "a wall clock": ("import datetime\n\nX = datetime.datetime.now\n", "TID251"),
    "complexity": (f'def f(x: int) -> int:\n    """Branches."""\n{BRANCHES}    return 0\n', "C901"),
    "a blocking call": ('async def f() -> None:\n    """Read."""\n    open("x")\n', "ASYNC230"),
    "a shell": ('import os\n\nos.system("ls " + __name__)\n', "S605"),
    "a wide except": ("try:\n    pass\nexcept:\n    pass\n", "E722"),
}


def tree(tmp_path, code: str, name: str = "src/arno/a.py"):
    return plant(tmp_path, {"pyproject.toml": PYPROJECT, name: code})


@pytest.mark.parametrize("check", [check_format, check_lint, check_types])
def test_good_code_passes(tmp_path, check):
    assert check(tree(tmp_path, GOOD)).problems == ()


def test_other_formatting_fails(tmp_path):
    problems = check_format(tree(tmp_path, GOOD.replace("2 * number", "2*number"))).problems
    assert "src/arno/a.py" in problems[0]


@pytest.mark.parametrize(("code", "rule"), REFUSED.values(), ids=REFUSED)
def test_lint_refuses(tmp_path, code, rule):
    problems = check_lint(tree(tmp_path, f'"""A module."""\n\n{code}')).problems
    assert any(rule in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("def double(number):\n    return 2 * number\n", "no-untyped-def"),
        ("X: int = 'text'\n", "assignment"),
        ("def f(x: list) -> None: ...\n", "type-arg"),
    ],
)
def test_types_are_strict_in_the_package(tmp_path, code, rule):
    problems = check_types(tree(tmp_path, code)).problems
    assert any(f"[{rule}]" in problem for problem in problems), problems


def test_tests_need_no_annotations_but_what_has_them_is_checked(tmp_path):
    free = "def test_a(tmp_path):\n    assert tmp_path\n"
    assert check_types(tree(tmp_path, free, "tests/test_a.py")).problems == ()
    wrong = "def helper() -> int:\n    return 'text'\n"
    assert not check_types(tree(tmp_path, wrong, "tests/test_a.py")).passed
