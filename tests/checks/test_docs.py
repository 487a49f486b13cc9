"""Docs: examples are executed and compared, links have targets."""

import pytest

from checks.docs import check_docs, matches
from tests.checks.trees import plant


def check(tmp_path, text: str) -> tuple[str, ...]:
    return check_docs(plant(tmp_path, {"docs/a.md": text, "docs/there.md": ""})).problems


def fenced(*pairs: tuple[str, str]) -> str:
    return "\n".join(f"```{language}\n{text}\n```" for language, text in pairs)


PASSING = {
    "a program": fenced(("python", "print(1)")),
    "a program and its output": fenced(("python", "print(1)\nprint(2)"), ("output", "1\n2")),
    "a part of the output": fenced(("python", "print('at 0.123 s')"), ("output", "at ... s")),
    "a command": fenced(("console", "$ echo hello\nhello\n$ true")),
    "a long command": fenced(("console", "$ echo one \\\n  two\none two")),
    "one folder a document": fenced(("console", "$ echo x > f"), ("python", "open('f').close()")),
    "an empty home": fenced(("console", '$ test "$HOME" = "$PWD"')),
    "a server": fenced(
        ("console", "$ python -c \"print('ready'); input(); print('x')\" < <(sleep 60) &\nready")
    ),
    "not run": fenced(("text", "$ false"), ("sh", "exit 1"), ("", "$ false")),
    "links": "[a](there.md) [b](there.md#part) [c](https://example.org/x) [d](#here)",
    "a link in a block": fenced(("text", "[a](nowhere.md)")),
}
FAILING = {
    "an error": (fenced(("python", "raise ValueError('no')")), "ValueError: no"),
    "a warning": (
        fenced(("python", "import warnings; warnings.warn('old')")),
        "UserWarning: old",
    ),
    "other output": (fenced(("python", "print(1)"), ("output", "2")), "expected '2', printed '1'"),
    "a failing command": (fenced(("console", "$ echo why; exit 3")), "exit code 3: why"),
    "a failing pipe": (fenced(("console", "$ false | true")), "exit code 1"),
    "other lines": (fenced(("console", "$ echo a\nb")), "expected 'b', printed 'a'"),
    "a second command": (fenced(("console", "$ true\n$ false")), "false: exit code 1"),
    "a dead server": (fenced(("console", "$ false &\nready")), "exit code 1"),
    "a silent server": (fenced(("console", "$ exec sleep 60 >/dev/null 2>&1 &")), "exit code -15"),
    "a missing module": (fenced(("python", "import nowhere_at_all")), "ModuleNotFoundError"),
    "a dead link": ("[a](nowhere.md)", "the link nowhere.md leads nowhere"),
}


@pytest.mark.parametrize("text", PASSING.values(), ids=PASSING)
def test_a_true_document_passes(tmp_path, text):
    assert check(tmp_path, text) == ()


@pytest.mark.parametrize(("text", "problem"), FAILING.values(), ids=FAILING)
def test_a_false_document_fails(tmp_path, text, problem):
    problems = check(tmp_path, text)
    assert len(problems) == 1
    assert problems[0].startswith("docs/a.md")
    assert problem in problems[0]


def test_the_line_of_the_example_is_named(tmp_path):
    text = "# Title\n\n" + fenced(("console", "$ true\n$ false"))
    assert check(tmp_path, text)[0].startswith("docs/a.md:5: ")


def test_keys_of_the_user_are_not_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    assert check(tmp_path, fenced(("console", '$ test -z "${SOME_API_KEY:-}"'))) == ()


def test_the_readme_is_a_document_too(tmp_path):
    outcome = check_docs(plant(tmp_path, {"README.md": fenced(("console", "$ false"))}))
    assert not outcome.passed
    assert outcome.note == "1 examples"


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("a", "a\n", True),
        ("a  \nb", "a\nb  \n\n", True),
        ("a...d", "a b\nc d", True),
        ("...", "", True),
        ("a.c", "abc", False),
        ("a", "ab", False),
        ("a...b", "a", False),
    ],
)
def test_matching(expected, printed, fits):
    assert matches(expected, printed) is fits
