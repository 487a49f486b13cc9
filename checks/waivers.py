"""Waivers: a rule is met, never switched off for one line, and no work is left as a note.

Comments that silence a checker or leave out coverage, tests skipped without a condition, reminders
of unfinished work, and bodies that only say that they are not there yet.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from checks.outcome import Outcome
from checks.tree import parse, place, python_files

SILENCERS = re.compile(
    r"#\s*(noqa\b|type:\s*ignore|pyright:|mypy:|pylint:|ruff:|nosec\b|fmt:|isort:)"
    r"|#\s*pragma:\s*no"
)
REMINDERS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
UNFINISHED = "NotImplementedError"


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _comment_findings(source: str) -> Iterator[tuple[int, str]]:
    for line, comment in _comments(source):
        if SILENCERS.search(comment):
            yield line, f"a waiver: {comment.strip()}"
        if REMINDERS.search(comment):
            yield line, f"unfinished work: {comment.strip()}"


def _docstring_findings(module: ast.Module) -> Iterator[tuple[int, str]]:
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(module):
        if isinstance(node, holders) and REMINDERS.search(ast.get_docstring(node) or ""):
            yield node.body[0].lineno, "unfinished work in a docstring"


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _bare_skips(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and _dotted(node) == "pytest.mark.skip":
            yield node.lineno, "a test skipped without a condition"


def _missing_bodies(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and node.id == UNFINISHED:
            yield node.lineno, f"{UNFINISHED}: write it, or make it a Protocol"


def check_waivers(root: Path) -> Outcome:
    """No waiver in any code of ours, nothing unfinished in the package."""
    problems: list[str] = []
    for path in python_files(root):
        module = parse(path)
        findings = [
            *_comment_findings(path.read_text(encoding="utf-8")),
            *_docstring_findings(module),
            *_bare_skips(module),
        ]
        if path.is_relative_to(root / "src"):
            findings.extend(_missing_bodies(module))
        problems.extend(f"{place(root, path, line)}: {text}" for line, text in findings)
    return Outcome(tuple(problems))
