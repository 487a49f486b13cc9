"""Waivers: nothing is switched off for one line, nothing is left unfinished."""

import pytest

from checks.waivers import check_waivers
from tests.checks.trees import plant

# Split, so that this file itself holds no waiver.
WAIVERS = [
    "import os  # noqa",
    "import os  # noqa: F401",
    "x: int = ''  # type: ignore",
    "x: int = ''  # type:ignore[assignment]",
    "x = 1  # pragma: no cover",
    "x = 1  # pyright: basic",
    "# mypy: ignore-errors",
    "x = 1  # nosec",
    "x = 1  # TODO: later",
    "# FIXME",
    '"""Works.\n\nXXX: not always.\n"""',
    "@pytest.mark.skip\ndef test_a(): ...",
    "@pytest.mark.skip(reason='flaky')\ndef test_a(): ...",
]


@pytest.mark.parametrize("folder", ["src/arno", "tests", "checks", "benchmarks"])
@pytest.mark.parametrize("text", WAIVERS)
def test_a_waiver_is_found_in_every_code_folder(tmp_path, folder, text):
    problems = check_waivers(plant(tmp_path, {f"{folder}/a.py": text + "\n"})).problems
    assert len(problems) == 1
    assert problems[0].startswith(f"{folder}/a.py:")


@pytest.mark.parametrize(
    "text",
    [
        "# The type: ignore it when unknown\n",
        "pattern = 'noqa'\n",
        "todo = 'TODO'\n",
        "@pytest.mark.skipif(True, reason='r')\ndef test_a(): ...\n",
        "'''A list of things to do.'''\n",
    ],
)
def test_what_only_looks_like_a_waiver_passes(tmp_path, text):
    assert check_waivers(plant(tmp_path, {"src/a.py": text})).passed


def test_an_unfinished_body_fails_in_the_package_only(tmp_path):
    text = "def f():\n    raise NotImplementedError\n"
    files = {"src/arno/a.py": text, "tests/test_a.py": text}
    problems = check_waivers(plant(tmp_path, files)).problems
    assert [problem.split(":")[:2] for problem in problems] == [["src/arno/a.py", "2"]]
