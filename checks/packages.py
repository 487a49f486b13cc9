"""Packages: how many others we bring to a user's machine, and that each is locked by hash.

At most 8 packages in the base install and 20 with the gateway extra. The lock files hold
requirements and hashes only: no index, no path, no option.
"""

import re
import tomllib
from pathlib import Path

from checks.outcome import Outcome

MOST = {"base.txt": 8, "gateway.txt": 20}
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}(?![0-9a-f])")
LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;]+)")


def normal(name: str) -> str:
    """A package's name as the index compares it: lower case, single dashes."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _logical_lines(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()[:1] not in {"", "#"}]


def read_lock(path: Path) -> tuple[dict[str, str], list[str]]:
    """The locked versions by package, and what is wrong with the file's lines."""
    versions: dict[str, str] = {}
    problems: list[str] = []
    for line in _logical_lines(path.read_text(encoding="utf-8")):
        locked = LOCKED.match(line)
        if locked is None:
            problems.append(f"{path.name}: not a locked requirement: {line[:60]}")
            continue
        versions[normal(locked[1])] = locked[2]
        if not HASH.search(line):
            problems.append(f"{path.name}: no hash for {locked[1]}")
    return versions, problems


def _declared(root: Path) -> dict[str, set[str]]:
    """The packages that pyproject.toml asks for, by the lock file that must hold them."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = project.get("dependencies", [])
    extra = project.get("optional-dependencies", {}).get("gateway", [])
    wanted = {"base.txt": base, "gateway.txt": [*base, *extra], "dev.txt": [*base, *extra]}
    return {
        name: {normal(found[0]) for line in lines if (found := NAME.match(line))}
        for name, lines in wanted.items()
    }


def check_packages(root: Path) -> Outcome:
    """The locks are complete, agree with each other and stay within the numbers of the house."""
    problems: list[str] = []
    versions: dict[str, dict[str, str]] = {}
    for path in sorted((root / "requirements").glob("*.txt")):
        versions[path.name], found = read_lock(path)
        problems.extend(found)
    for name, wanted in _declared(root).items():
        locked = versions.get(name, {})
        problems.extend(f"{name}: {package} is not locked" for package in wanted - set(locked))
    for name, most in MOST.items():
        count = len(versions.get(name, {}))
        if count > most:
            problems.append(f"{name}: {count} packages, at most {most}")
    problems.extend(_disagreements(versions))
    counts = [f"{name.removesuffix('.txt')} {len(versions.get(name, {}))}" for name in MOST]
    return Outcome(tuple(sorted(problems)), ", ".join(counts))


def _disagreements(versions: dict[str, dict[str, str]]) -> list[str]:
    developed = versions.get("dev.txt", {})
    return [
        f"{name}: {package} {version}, but dev.txt has {developed[package]}"
        for name, packages in versions.items()
        for package, version in packages.items()
        if developed.get(package, version) != version
    ]
