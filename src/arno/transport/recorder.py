"""The recorder: finished interactions to a go-vcr file that is complete after each of them (R39).

The file is replaced as a whole (written beside it, then renamed), so that whoever reads it finds a
cassette, and a process that ends early leaves every interaction that had ended. An interaction is
turned into text once; a save joins the texts. Faults of the recording never reach the traffic: they
are told at the end, by `close`.
"""

from __future__ import annotations

import os
import secrets
import stat
from bisect import insort
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from arno.cassette.errors import CassetteError
from arno.cassette.govcr import dump
from arno.cassette.model import Cassette, End, Interaction, Tree
from arno.cassette.redact import dump_redacted
from arno.cassette.rules import DEFAULT, Redaction

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes of one cassette; what does not fit is a problem, told by `Recorder.close`."""

MAX_PROBLEMS: Final = 20
"""How many problems are kept."""

_EMPTY: Final = dump(Cassette())
_HEAD: Final = _EMPTY.removesuffix(b" []\n") + b"\n"
_FIRST: Final = b"- id: 0\n"
_PRIVATE: Final = 0o600
_BASE_ENDS: Final = ("", "/", "?")


class RecordingIncomplete(CassetteError):
    """Some interactions were not written; `problems` says why, one line each."""

    def __init__(self, path: Path, problems: tuple[str, ...]) -> None:
        super().__init__(f"{path} lacks interactions: {'; '.join(problems)}")
        self.problems = problems


class Recorder:
    """Writes a cassette; the `on_interaction` of one or more `RecordTransport`s.

    Interactions stand in the order of their requests (`id`). `timing`: keep chunk times in
    `x_wire`; without it only an answer that did not end well has one, since it must not replay as
    complete. `rename_urls`: base URLs, without a slash at their end, and what is written in their
    place. `extra`: root keys written behind the interactions. Use `with`, or `close` at the end.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        timing: bool = False,
        rename_urls: Mapping[str, str] | None = None,
        extra: Mapping[str, Tree] | None = None,
        redaction: Redaction = DEFAULT,
        max_file: int = MAX_FILE,
    ) -> None:
        self.path = Path(path)
        self._timing = timing
        self._rename_urls = dict(rename_urls or {})
        self._tail = dump_redacted(Cassette(extra=dict(extra or {}))).removeprefix(_EMPTY)
        self._redaction = redaction
        self._room = max_file
        self._texts: list[tuple[int, int, bytes]] = []
        self._refused: list[str] = []
        self._unwritten: str | None = None

    @property
    def count(self) -> int:
        """How many interactions are kept."""
        return len(self._texts)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why interactions are missing; never holds what was recorded."""
        unwritten = () if self._unwritten is None else (self._unwritten,)
        return (*self._refused, *unwritten)

    def __call__(self, interaction: Interaction) -> None:
        """Add one interaction and save. Never raises: the traffic must go on."""
        try:
            self._add(interaction)
        except CassetteError as error:
            if len(self._refused) < MAX_PROBLEMS:
                self._refused.append(str(error))
        else:
            self._save()

    def close(self) -> None:
        """Write the file even if nothing was recorded. Raises RecordingIncomplete."""
        self._save()
        if self.problems:
            raise RecordingIncomplete(self.path, self.problems)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; an exception on its way out is not replaced."""
        if kind is None:
            self.close()

    def _add(self, interaction: Interaction) -> None:
        _refuse_encoded(interaction)
        text = self._text(interaction)
        if len(text) > self._room:
            raise CassetteError(f"interaction {interaction.id} does not fit: the file is full")
        self._room -= len(text)
        # The second member keeps the order of arrival among requests of the same number.
        insort(self._texts, (interaction.id, len(self._texts), text))

    def _text(self, interaction: Interaction) -> bytes:
        """The interaction as it stands in the file, behind its number."""
        wire = interaction.wire
        if wire is not None and not self._timing and wire.end is End.EOF:
            wire = None
        request = msgspec.structs.replace(
            interaction.request, url=self._renamed(interaction.request.url)
        )
        written = msgspec.structs.replace(interaction, request=request, wire=wire)
        try:
            data = dump_redacted(Cassette((written,)), self._redaction)
        except CassetteError as error:
            # The error's own number is that of a file with one interaction.
            raise CassetteError(f"request {interaction.id}: {error}") from error
        return data.removeprefix(_HEAD + _FIRST)

    def _renamed(self, url: str) -> str:
        for old, new in self._rename_urls.items():
            rest = url.removeprefix(old)
            # The base must end where a name or a port does: `:80` is no beginning of `:8080`.
            if rest != url and rest[:1] in _BASE_ENDS:
                return new + rest
        return url

    def _save(self) -> None:
        """Write the file; a write that fails is made good by the next one."""
        items = b"".join(
            b"- id: %d\n%b" % (place, text) for place, (_, _, text) in enumerate(self._texts)
        )
        data = (_HEAD + items if items else _EMPTY) + self._tail
        try:
            _replace(self.path, data)
        except OSError as error:
            self._unwritten = f"cannot write the file: {error.strerror}"
        else:
            self._unwritten = None


def _refuse_encoded(interaction: Interaction) -> None:
    """A replay gives bodies without an encoding: one that has one would come back as noise."""
    for name, values in interaction.response.headers.items():
        if name.lower() == "content-encoding" and any(map(_encodes, values)):
            raise CassetteError(
                f"request {interaction.id}: the answer is encoded ({', '.join(values)[:40]})"
                " though the request did not ask for it; such a body cannot be replayed"
            )


def _encodes(value: str) -> bool:
    return value.strip().lower() not in ("", "identity")


def _replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of the file in one step. A new file is for its owner alone, since
    recordings hold conversations; one that was there keeps its mode.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    try:
        with open(handle, "wb") as file:
            file.write(data)
        beside.chmod(_mode_of(path))
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return _PRIVATE
