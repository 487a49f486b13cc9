"""`python -m checks [NAME...]`: run all checks, or the named ones; exit 1 if one of them fails."""

import sys
import time
from pathlib import Path

from checks.outcome import Outcome
from checks.table import CHECKS

ROOT = Path(__file__).resolve().parents[1]


def report(name: str, outcome: Outcome, seconds: float) -> str:
    """One line for a check that passed; for one that failed, its findings below that line."""
    state = "ok" if outcome.passed else "FAILED"
    head = f"{name:<12} {state:<6} {seconds:5.1f} s  {outcome.note}".rstrip()
    return "\n".join([head, *(f"    {problem}" for problem in outcome.problems)])


def main(names: list[str], root: Path = ROOT) -> int:
    """Run the named checks over the tree and print their results; the exit code."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"no such check: {', '.join(unknown)} (there are: {', '.join(CHECKS)})")
        return 2
    failed = []
    for name in names or list(CHECKS):
        start = time.perf_counter()
        outcome = CHECKS[name](root)
        print(report(name, outcome, time.perf_counter() - start), flush=True)
        if not outcome.passed:
            failed.append(name)
    print(f"checks failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
