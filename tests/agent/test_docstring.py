"""Descriptions out of docstrings."""

import pytest

from arno.agent.docstring import Docstring, parse_docstring

FULL = """Find a place
    by its name.

    This paragraph is for programmers.

    Args:
        name: What it is called,
            in any language.
        limit (int, optional): How many at most.
        *rest: others
        empty:

    Returns:
        places: a list
    """


def test_summary_is_the_first_paragraph_on_one_line() -> None:
    assert parse_docstring(FULL).summary == "Find a place by its name."


def test_parameters_are_read_with_their_continuations_and_without_their_types() -> None:
    assert parse_docstring(FULL).parameters == {
        "name": "What it is called, in any language.",
        "limit": "How many at most.",
        "rest": "others",
    }


@pytest.mark.parametrize("word", ["Args", "Arguments", "Parameters", "args"])
def test_the_section_has_several_names(word: str) -> None:
    text = f"Do it.\n\n{word}:\n  x: the x\n"
    assert parse_docstring(text) == Docstring("Do it.", {"x": "the x"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, Docstring()),
        ("", Docstring()),
        ("   ", Docstring()),
        ("Args:\n    x: only this", Docstring(None, {"x": "only this"})),
        ("One line", Docstring("One line")),
        ("Text\nArgs:\n    x: directly below", Docstring("Text", {"x": "directly below"})),
        ("Text\n\nArgs:\n    no entry here", Docstring("Text")),
        ("Text\n\nArgs:", Docstring("Text")),
        ("Text\n\nArgs:\n    x: a: colon", Docstring("Text", {"x": "a: colon"})),
    ],
)
def test_edge_cases(text: str | None, expected: Docstring) -> None:
    assert parse_docstring(text) == expected
