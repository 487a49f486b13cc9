"""Words: provider names live in the catalogue, and the repository speaks of the product alone.

A provider is a data row. Its name or slug as a string anywhere in the code outside
`src/arno/providers` means a branch that belongs in the row. Docstrings may name providers.
Text files must not hold paths of one person's machine nor the hosts of package registries.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from checks.outcome import Outcome
from checks.tree import parse, place, python_files, text_files

CATALOGUE = {
    "catalogue.toml": ("endpoint", ("name", "slug")),
    "prices.toml": ("price", ("served_by",)),
}
"""The catalogue's files: the rows in them and the keys that hold a provider's name."""

DISPLAY_NAMES = "names.toml"
"""The file whose table `slugs` maps a display name to its slug."""

FOREIGN = {
    r"(?<![\w.])/(?:root|home/\w+|Users/\w+)/": "a path of one machine",
    r"(?<![\w.])/(?:work|opt|mnt)/\w": "a path of one machine",
    r"\b(?:pypi|pythonhosted)\.org\b": "the host of a package registry",
    r"\bregistry\.(?:npmjs|yarnpkg)\.": "the host of a package registry",
    r"\b(?:proxy|sum)\.golang\.org\b": "the host of a package registry",
    r"\bconda\.anaconda\.org\b": "the host of a package registry",
}


def _document(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def provider_names(root: Path) -> frozenset[str]:
    """Every name and slug in the catalogue; what answers from recordings is no provider."""
    folder = root / "src/arno/providers"
    names: set[str] = set()
    for file, (table, keys) in CATALOGUE.items():
        for row in _document(folder / file).get(table, []):
            if row.get("transport") != "replay":
                names.update(row[key] for key in keys if row.get(key))
    slugs = _document(folder / DISPLAY_NAMES).get("slugs", {})
    return frozenset(names | set(slugs) | set(slugs.values()))


def _docstrings(module: ast.Module) -> set[int]:
    """The positions of strings that stand alone as statements."""
    return {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def _strings(module: ast.Module) -> Iterator[tuple[int, str]]:
    documentation = _docstrings(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            value = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            if isinstance(value, str):
                yield node.lineno, value


def _provider_findings(root: Path) -> Iterator[str]:
    names = provider_names(root)
    if not names:
        if (root / "src/arno/providers").is_dir():
            yield "src/arno/providers: no provider's name found, see checks/words.py"
        return
    words = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")
    for path in python_files(root, "src"):
        if path.is_relative_to(root / "src/arno/providers"):
            continue
        for line, text in _strings(parse(path)):
            if found := pattern.search(text):
                yield f"{place(root, path, line)}: the provider's name '{found[0]}' in code"


def _foreign_findings(root: Path) -> Iterator[str]:
    for path in text_files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for pattern, what in FOREIGN.items():
            for found in re.finditer(pattern, text):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{place(root, path, line)}: {what}: {found[0]}"


def check_words(root: Path) -> Outcome:
    """No provider's name in code outside the catalogue, no word of foreign places."""
    problems = (*_provider_findings(root), *_foreign_findings(root))
    return Outcome(problems, f"{len(provider_names(root))} provider names")
