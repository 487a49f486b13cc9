"""Keys by reference: the value of an environment variable, or what a file holds.

A value never gets into a message, a report or a repr.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path as FilePath

import msgspec

from arno.gateway.config.problems import Problems
from arno.gateway.config.toml_lines import Path

MAX_KEY = 8192
"""Characters of a key."""


class Secret(msgspec.Struct, frozen=True):
    """A key and where it comes from (`environment GROQ_API_KEY`, `file groq.key`)."""

    value: str
    origin: str

    def __repr__(self) -> str:
        return f"Secret({self.origin})"

    @property
    def problem(self) -> str | None:
        """Why it cannot be sent: a key goes into a header line, so printable ASCII, no blank."""
        if len(self.value) <= MAX_KEY and all("!" <= sign <= "~" for sign in self.value):
            return None
        return f"expected one key of printable ASCII in it, at most {MAX_KEY} characters"


class Secrets:
    """Looks up the keys that a document refers to; `warnings` are for the operator."""

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self.environ = environ
        self.warnings: list[str] = []
        self._problems = problems

    def find(self, at: Path, key_env: str | None, key_file: str | None) -> Secret | None:
        """The key that a table refers to; None, with a problem noted, if there is none.

        The table at `at` names at least one of the two.
        """
        source = self._problems.source
        if source.said((*at, "key_env")) and source.said((*at, "key_file")):
            self._problems.add((*at, "key_file"), "expected one of key_env and key_file, not both")
            return None
        if key_env is not None:
            return self._variable((*at, "key_env"), key_env)
        return None if key_file is None else self._file((*at, "key_file"), key_file)

    def _variable(self, path: Path, name: str) -> Secret | None:
        value = self.environ.get(name, "")
        if not value:
            self._problems.add(path, f"the environment variable {name} is not set")
            return None
        return self._checked(path, Secret(value, f"environment {name}"))

    def _file(self, path: Path, text: str) -> Secret | None:
        place = self._problems.source.file(path, text)
        try:
            value, mode = _read(place)
        except (OSError, UnicodeDecodeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or "no UTF-8 text"
            self._problems.add(path, f"the file cannot be read: {why}")
            return None
        if mode & 0o077:
            origin = self._problems.source.origin(path)
            self.warnings.append(
                f"{origin}: the key file {place} can be read by other users: chmod 600 it"
            )
        return self._checked(path, Secret(value.strip(), f"file {place}"))

    def _checked(self, path: Path, secret: Secret) -> Secret | None:
        problem = secret.problem if secret.value else "the file is empty"
        if problem is None:
            return secret
        self._problems.add(path, problem)
        return None


def _read(place: FilePath) -> tuple[str, int]:
    """The text of a regular file and its mode: a pipe could deliver for ever. Raises OSError."""
    handle = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(0, "not a regular file")
        return file.read(2 * MAX_KEY).decode("utf-8"), mode
