"""Matrix: a page that is not what the script prints is found, and so is what the script finds."""

import pytest

from checks.matrix import check_matrix
from tests.checks.trees import plant

SAYS = "print('| a |')\n"
FAILS = "import sys\nprint('lost: one', file=sys.stderr)\nsys.exit(1)\n"


def problems(tmp_path, script, page):
    files = {"scripts/support_matrix.py": script}
    if page is not None:
        files["docs/matrix.md"] = page
    return check_matrix(plant(tmp_path, files)).problems


def test_the_page_as_it_is_printed_passes(tmp_path):
    assert problems(tmp_path, SAYS, "| a |\n") == ()


@pytest.mark.parametrize("page", ["| b |\n", "", None])
def test_a_stale_page_fails_and_says_what_to_do(tmp_path, page):
    (problem,) = problems(tmp_path, SAYS, page)
    assert "python scripts/support_matrix.py --write" in problem


def test_what_was_lost_in_silence_fails(tmp_path):
    assert problems(tmp_path, FAILS, "| a |\n") == ("lost: one",)


def test_a_script_that_ends_without_a_word_fails(tmp_path):
    script = "import sys\nsys.exit(1)\n"
    assert problems(tmp_path, script, "") == ("scripts/support_matrix.py failed",)


def test_a_tree_without_a_matrix_passes(tmp_path):
    assert check_matrix(tmp_path).passed
