"""Changelog: its form, and that it speaks about the version in the source."""

import pytest

from checks.changelog import check_changelog
from tests.checks.trees import plant

PENDING = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- All of it.\n"
EMPTY = "# Changelog\n\n## [Unreleased]\n"
RELEASED = "\n## [0.1.0] - 2030-01-31\n\n### Fixed\n\n- A thing.\n"


def check(tmp_path, version: str, changelog: str) -> tuple[str, ...]:
    source = f'VERSION = "{version}"\n'
    files = {"src/arno/version.py": source, "CHANGELOG.md": changelog}
    return check_changelog(plant(tmp_path, files)).problems


@pytest.mark.parametrize(
    ("version", "changelog"),
    [
        ("0.1.0", PENDING),
        ("0.1.0", EMPTY + RELEASED),
        ("0.1.0", PENDING + RELEASED),
        ("0.2.0", PENDING + RELEASED),
        ("0.10.0", PENDING + RELEASED.replace("0.1.0", "0.9.0")),
    ],
)
def test_a_fitting_changelog_passes(tmp_path, version, changelog):
    assert check(tmp_path, version, changelog) == ()


@pytest.mark.parametrize(
    ("version", "changelog", "problem"),
    [
        ("0.1.0", EMPTY, "nothing is said about version 0.1.0"),
        ("0.2.0", EMPTY + RELEASED, "nothing is said about version 0.2.0"),
        ("0.0.9", PENDING + RELEASED, "version 0.0.9 is older than the newest release described"),
        ("0.1.0", RELEASED, "the first heading must be '## [Unreleased]'"),
        ("0.1.0", EMPTY + RELEASED.replace(" - 2030-01-31", ""), "[0.1.0] has no date"),
        (
            "0.1.0",
            PENDING.replace("Added", "New") + RELEASED,
            "[Unreleased] has a section 'New'",
        ),
    ],
)
def test_a_fault_is_named(tmp_path, version, changelog, problem):
    assert check(tmp_path, version, changelog) == (f"CHANGELOG.md: {problem}",)


def test_a_source_without_version_fails(tmp_path):
    files = {"src/arno/version.py": "", "CHANGELOG.md": PENDING}
    assert check_changelog(plant(tmp_path, files)).problems == ("src/arno/version.py: no VERSION",)
