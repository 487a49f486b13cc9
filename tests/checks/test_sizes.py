"""Sizes: 600 lines a file, 60 lines a function, aims at 400 and 40."""

import pytest

from checks.sizes import check_sizes
from tests.checks.trees import plant


def function(lines: int, head: str = "def long():") -> str:
    return "\n".join([head, *["    x = 1"] * (lines - 1)]) + "\n"


def test_the_largest_allowed_file_and_function_pass(tmp_path):
    files = {"src/arno/a.py": "x = 1\n" * 600, "tests/test_b.py": function(60)}
    outcome = check_sizes(plant(tmp_path, files))
    assert outcome.passed
    assert outcome.note == "over the aim: 1 files (400), 1 functions (40)"


@pytest.mark.parametrize("folder", ["src/arno", "tests", "checks", "benchmarks"])
def test_one_line_more_fails_in_every_code_folder(tmp_path, folder):
    files = {f"{folder}/a.py": "x = 1\n" * 601, f"{folder}/b.py": function(61)}
    assert check_sizes(plant(tmp_path, files)).problems == (
        f"{folder}/a.py: 601 lines, at most 600",
        f"{folder}/b.py:1: long has 61 lines, at most 60",
    )


def test_async_functions_and_methods_count(tmp_path):
    method = "class A:\n" + "".join(f"    {line}\n" for line in function(61).splitlines())
    files = {"src/a.py": function(61, "async def slow():"), "src/b.py": method}
    names = [problem.split()[1] for problem in check_sizes(plant(tmp_path, files)).problems]
    assert names == ["slow", "long"]
