"""Sizes: a file has at most 600 lines and a function at most 60, in our own code everywhere.

Half-way marks (400 and 40) are what we aim at; what lies above them is counted in the note. There
is no way to waive this: a long file is two files.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from checks.outcome import Outcome
from checks.tree import parse, place, python_files

FILE_AIM, FILE_MOST = 400, 600
FUNCTION_AIM, FUNCTION_MOST = 40, 60

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def _functions(path: Path) -> Iterator[tuple[FunctionNode, int]]:
    for node in ast.walk(parse(path)):
        if isinstance(node, FunctionNode):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def check_sizes(root: Path) -> Outcome:
    """No file and no function is longer than the house allows."""
    problems: list[str] = []
    files = functions = 0
    for path in python_files(root):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        files += lines > FILE_AIM
        if lines > FILE_MOST:
            problems.append(f"{place(root, path)}: {lines} lines, at most {FILE_MOST}")
        for node, length in _functions(path):
            functions += length > FUNCTION_AIM
            if length > FUNCTION_MOST:
                where = place(root, path, node.lineno)
                problems.append(f"{where}: {node.name} has {length} lines, at most {FUNCTION_MOST}")
    note = f"over the aim: {files} files ({FILE_AIM}), {functions} functions ({FUNCTION_AIM})"
    return Outcome(tuple(problems), note)
