"""Changelog: CHANGELOG.md follows Keep a Changelog and fits the version in src/arno/version.py.

The version is either the newest released one, or newer than it while `Unreleased` has entries.
"""

import re
from pathlib import Path

from checks.outcome import Outcome

VERSION = re.compile(r'^VERSION(?:: \w+)? = "([^"]+)"', re.MULTILINE)
RELEASE = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$", re.MULTILINE)
KINDS = frozenset({"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"})


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _sections(text: str) -> list[tuple[str, str | None, str]]:
    """(version, date, body) of every release heading, in the file's order."""
    headings = list(RELEASE.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    return [
        (heading[1], heading[2], text[heading.end() : end])
        for heading, end in zip(headings, ends, strict=True)
    ]


def _form(sections: list[tuple[str, str | None, str]]) -> list[str]:
    problems = []
    for name, date, body in sections:
        if name != "Unreleased" and date is None:
            problems.append(f"[{name}] has no date")
        kinds = re.findall(r"^### (.*)$", body, re.MULTILINE)
        problems.extend(f"[{name}] has a section '{k}'" for k in kinds if k not in KINDS)
    if not sections or sections[0][0] != "Unreleased":
        problems.append("the first heading must be '## [Unreleased]'")
    return problems


def _fit(version: str, sections: list[tuple[str, str | None, str]]) -> list[str]:
    released = [name for name, _, _ in sections if name != "Unreleased"]
    pending = any(name == "Unreleased" and "\n- " in body for name, _, body in sections)
    newest = max((_numbers(name) for name in released), default=())
    if _numbers(version) == newest:
        return []
    if _numbers(version) < newest:
        return [f"version {version} is older than the newest release described"]
    return [] if pending else [f"nothing is said about version {version}"]


def check_changelog(root: Path) -> Outcome:
    """The changelog has the agreed form and speaks about the version of the source."""
    found = VERSION.search((root / "src/arno/version.py").read_text(encoding="utf-8"))
    if found is None:
        return Outcome(("src/arno/version.py: no VERSION",))
    sections = _sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    problems = [*_form(sections), *_fit(found[1], sections)]
    return Outcome(tuple(f"CHANGELOG.md: {text}" for text in problems), f"version {found[1]}")
