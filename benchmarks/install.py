"""Size of what is installed: the base package and the gateway extra with all that they need.

Sizes are those of the files that the installed packages list (RECORD), without compiled Python, so
that they do not depend on which installer was used. This package counts with its source files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.children import ROOT
from benchmarks.table import Row, Section

MOST = {"base": 8, "gateway": 20}
"""Packages that an install may bring."""


def needed(texts: Iterable[str]) -> dict[str, Distribution]:
    """The packages that these requirements bring here, by name, and all that those need."""
    found: dict[str, Distribution] = {}
    left = [Requirement(text) for text in texts]
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        left += [Requirement(text) for text in found[name].requires or ()]
    return found


def size_mb(package: Distribution) -> float:
    """What a package's files take, in MB (2**20 bytes)."""
    paths = [Path(str(file.locate())) for file in package.files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def _own_mb() -> float:
    files = [path for path in (ROOT / "src/arno").rglob("*") if "__pycache__" not in path.parts]
    return sum(path.stat().st_size for path in files if path.is_file()) / 2**20


def _row(what: str, packages: dict[str, Distribution], most: int) -> Row:
    sizes = {name: size_mb(package) for name, package in packages.items()}
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:3]
    parts = ", ".join(f"{name} {sizes[name]:.1f}" for name in largest)
    note = f"{len(sizes)} packages besides ours (at most {most}): {parts}"
    return Row(what=what, unit="MB", samples=(_own_mb() + sum(sizes.values()),), note=note)


def sections() -> Iterator[Section]:
    """The base install and the one with the gateway extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = project["dependencies"]
    gateway = [*base, *project["optional-dependencies"]["gateway"]]
    own = Row(what="our own files", unit="MB", samples=(_own_mb(),))
    rows = (
        own,
        _row("base install", needed(base), MOST["base"]),
        _row("with the gateway extra", needed(gateway), MOST["gateway"]),
    )
    yield Section(
        title="Size of the install",
        under="Files that the packages list, on this platform, without compiled Python.",
        rows=rows,
    )
