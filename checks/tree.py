"""The files of a source tree, as the checks see them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

CODE_FOLDERS = ("src", "tests", "checks", "benchmarks")
"""Where our Python code is."""

PRUNED = frozenset({"__pycache__", "node_modules", "build", "dist"})

SUFFIXES = frozenset(
    {"", ".md", ".py", ".toml", ".txt", ".in", ".yaml", ".yml", ".json", ".js", ".mjs", ".go"}
    | {".mod", ".sum", ".html", ".css", ".ini", ".mako", ".sh"}
)
"""The suffixes of files that people read."""


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """Every Python file below these folders of the tree, in order."""
    for folder in folders or CODE_FOLDERS:
        yield from _walk(root / folder, frozenset({".py"}))


def text_files(root: Path) -> Iterator[Path]:
    """Every text file that belongs to the tree: what git tracks or would, or else all of them."""
    for path in _listed(root) or _walk(root, SUFFIXES):
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def _listed(root: Path) -> list[Path]:
    if not (root / ".git").exists():
        return []
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return sorted(root / name for name in set(done.stdout.split("\0")) if name)


def _walk(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.name.startswith(".") and path.name not in PRUNED:
            yield from _walk(path, suffixes)
        elif path.is_file() and path.suffix in suffixes:
            yield path


def parse(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def place(root: Path, path: Path, line: int = 0) -> str:
    """`src/arno/x.py:12`, the form that editors and terminals make clickable."""
    name = path.relative_to(root).as_posix()
    return f"{name}:{line}" if line else name
