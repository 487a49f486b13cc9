"""What a check hands back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """The result of one check: it passed when `problems` is empty.

    `problems` are printed one a line below the check's own line; `note` stands on that line.
    """

    problems: tuple[str, ...] = ()
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


Check = Callable[[Path], Outcome]
"""From the root of a source tree to what was found in it."""
