"""Packages: few, locked by hash, and every lock file tells the same."""

import pytest

from checks.packages import check_packages, normal
from tests.checks.trees import plant

HASH = "    --hash=sha256:" + "0" * 64
PROJECT = """
[project]
dependencies = ["Alpha_One>=1"]
[project.optional-dependencies]
gateway = ["beta[extra]>=2; sys_platform != 'win32'"]
"""


def lock(*requirements: str) -> str:
    return "".join(f"{line} \\\n{HASH} \\\n{HASH}\n    # via x\n" for line in requirements)


def tree(**changes: str) -> dict[str, str]:
    """A correct tree, with some of its files replaced."""
    base, gateway = "alpha-one==1.0", "beta==2.0 ; sys_platform != 'win32'"
    locks = {"base": lock(base), "gateway": lock(base, gateway), "dev": lock(base, gateway)}
    texts = {**locks, **changes}
    return {"pyproject.toml": PROJECT} | {
        f"requirements/{name}.txt": text for name, text in texts.items()
    }


def test_a_correct_tree_passes_and_its_packages_are_counted(tmp_path):
    outcome = check_packages(plant(tmp_path, tree()))
    assert outcome.passed
    assert outcome.note == "base 1, gateway 2"


@pytest.mark.parametrize(("name", "most"), [("base", 8), ("gateway", 20)])
def test_the_house_number_passes_and_one_more_fails(tmp_path, name, most):
    names = ["alpha-one==1.0", "beta==2.0", *(f"p{i}==1" for i in range(most - 2))]
    assert check_packages(plant(tmp_path, tree(**{name: lock(*names)}))).passed
    crowded = tree(**{name: lock(*names, "last==1")})
    assert check_packages(plant(tmp_path, crowded)).problems == (
        f"{name}.txt: {most + 1} packages, at most {most}",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("alpha-one==1.0\n", "base.txt: no hash for alpha-one"),
        ("alpha-one==1.0 \\\n    --hash=sha256:00\n", "base.txt: no hash for alpha-one"),
        ("", "base.txt: alpha-one is not locked"),
        (lock("alpha-one==1.1"), "base.txt: alpha-one 1.1, but dev.txt has 1.0"),
        (
            "--index-url https://example.org\n" + lock("alpha-one==1.0"),
            "base.txt: not a locked requirement: --index-url https://example.org",
        ),
        (
            lock("alpha-one==1.0") + "-e ./here\n",
            "base.txt: not a locked requirement: -e ./here",
        ),
        (
            lock("alpha-one==1.0", "free>=1"),
            "base.txt: not a locked requirement: free>=1",
        ),
    ],
)
def test_a_fault_in_a_lock_is_named(tmp_path, text, problem):
    problems = check_packages(plant(tmp_path, tree(base=text))).problems
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_names_compare_as_the_index_compares_them():
    assert normal("Alpha_.One") == "alpha-one"
