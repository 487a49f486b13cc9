"""Fenced blocks: where they begin and end, and their language."""

import pytest

from checks.markdown import Block, blocks


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("no fence", []),
        ("```python\nx\n```\n", [Block("python", "x", 1)]),
        ("a\n\n```\nx\ny\n```\n", [Block("", "x\ny", 3)]),
        ("```console title\n$ x\n```", [Block("console", "$ x", 1)]),
        ("````text\n```python\nx\n```\n````", [Block("text", "```python\nx\n```", 1)]),
        ("```a\n1\n```\n```b\n2\n```", [Block("a", "1", 1), Block("b", "2", 4)]),
        ("```a\nnever closed", [Block("a", "never closed", 1)]),
        ("```a\n```", [Block("a", "", 1)]),
    ],
)
def test_blocks(markdown, expected):
    assert list(blocks(markdown)) == expected
