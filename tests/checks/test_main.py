"""`python -m checks`: one line a check, the findings below it, and the exit code."""

import pytest

from checks.__main__ import main, report
from checks.outcome import Outcome
from checks.table import CHECKS
from tests.checks.trees import plant

LONG = {"src/arno/a.py": "x = 1\n" * 601}


def test_a_check_that_passes_is_one_line():
    assert report("sizes", Outcome(note="a note"), 1.234) == "sizes        ok       1.2 s  a note"


def test_findings_stand_below_the_line():
    lines = report("sizes", Outcome(("one", "two")), 0.0).splitlines()
    assert lines == ["sizes        FAILED   0.0 s", "    one", "    two"]


@pytest.mark.parametrize(
    ("names", "files", "code", "last"),
    [
        (["sizes", "waivers"], {}, 0, "all checks passed"),
        (["sizes", "waivers"], LONG, 1, "checks failed: sizes"),
        (["nothing"], {}, 2, f"no such check: nothing (there are: {', '.join(CHECKS)})"),
    ],
)
def test_exit_code_and_last_line(tmp_path, capsys, names, files, code, last):
    assert main(names, plant(tmp_path, files)) == code
    assert capsys.readouterr().out.splitlines()[-1] == last
