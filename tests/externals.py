"""External programs that some tests need: the one list of them.

    from tests.externals import needs

    pytestmark = needs("node")              # a module; also usable as a decorator
    program = find("go").program            # its path, inside such a test

A test whose program is missing is skipped and named in the run's last lines. Where
`ARNO_REQUIRE_EXTERNALS=1` is set (as `.ci/run` does) it fails instead.
"""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

import msgspec
import pytest


class External(msgspec.Struct, frozen=True):
    """One program: where to look for it, what it is for and where Debian has it."""

    program: str
    """The file that must be found."""
    why: str
    """What is tested with it."""
    debian: str
    """The Debian packages that contain it."""
    version: tuple[str, ...] = ("--version",)
    """The arguments that make it print its version."""
    minimum: tuple[int, ...] = (0,)
    companions: tuple[str, ...] = ()
    """Other programs that must be there as well."""
    in_ci_lock: bool = False
    """Whether requirements/ci.txt has it, because Debian's own may be older than the minimum."""

    @property
    def remedy(self) -> str:
        """What to do when it is missing."""
        if self.in_ci_lock:
            return ".venv/bin/pip install -r requirements/ci.txt"
        return f"Debian: apt-get install {self.debian}"


EXTERNALS: Mapping[str, External] = {
    "node": External(
        program="node",
        why="the official npm SDKs against the gateway",
        debian="nodejs npm",
        minimum=(18,),
        companions=("npm",),
    ),
    "go": External(
        program="go",
        why="the official Go SDK against the gateway, and go-vcr over our cassettes",
        debian="golang-go",
        version=("version",),
        minimum=(1, 24),
        in_ci_lock=True,
    ),
    "postgres": External(
        program="postgres",
        why="the ledger on PostgreSQL",
        debian="postgresql",
        minimum=(14,),
        companions=("initdb", "pg_ctl"),
    ),
    "redis": External(
        program="redis-server",
        why="limits shared between processes",
        debian="redis-server",
        minimum=(6,),
    ),
}


class Found(msgspec.Struct, frozen=True):
    """The result of looking for one external: its path, or why it cannot be used."""

    program: str
    problem: str = ""


def _search_path() -> str:
    """The environment's own programs, PATH, and Debian's folder of PostgreSQL servers."""
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), *map(str, servers)]
    return os.pathsep.join(folders)


def _version(program: str, arguments: tuple[str, ...]) -> tuple[int, ...]:
    done = subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    number = re.search(r"(\d+(?:\.\d+)*)", done.stdout)
    return tuple(map(int, number[1].split("."))) if number else ()


def look_for(external: External) -> Found:
    """Find one program and its companions and compare its version with the minimum."""
    path = _search_path()
    for name in (external.program, *external.companions):
        if shutil.which(name, path=path) is None:
            return Found("", f"{name} is not installed")
    program = shutil.which(external.program, path=path) or ""
    version = _version(program, external.version)
    if version < external.minimum:
        have, least = (".".join(map(str, v)) for v in (version, external.minimum))
        return Found("", f"{external.program} is version {have or 'unknown'}, {least} is needed")
    return Found(program)


@functools.cache
def find(name: str) -> Found:
    """The external of that name in the table; looked for once per process."""
    return look_for(EXTERNALS[name])


def needs(*names: str) -> pytest.MarkDecorator:
    """The mark for tests that need these externals; a name outside the table is an error."""
    unknown = sorted(set(names) - set(EXTERNALS))
    if unknown or not names:
        raise LookupError(f"not in tests/externals.py: {', '.join(unknown) or 'no name'}")
    return pytest.mark.external(*names)


def required() -> bool:
    """Whether a missing external is a failure instead of a skip."""
    return os.environ.get("ARNO_REQUIRE_EXTERNALS", "") not in {"", "0"}


def _calls_needs(node: ast.AST) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == needs.__name__
    )


def _asked_for(path: Path) -> Iterator[str]:
    """The names in a file's calls of `needs`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if _calls_needs(node):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def used() -> frozenset[str]:
    """The externals that some test of this tree asks for."""
    files = Path(__file__).parent.rglob("*.py")
    return frozenset(name for path in files for name in _asked_for(path) if name in EXTERNALS)


def main(arguments: list[str]) -> None:
    """Print what tests need and this machine lacks: Debian packages, or names in the lock."""
    locked = arguments == ["--in-ci-lock"]
    for name in sorted(used()):
        external = EXTERNALS[name]
        if find(name).problem and external.in_ci_lock == locked:
            print(name if locked else external.debian)


if __name__ == "__main__":
    main(sys.argv[1:])
