"""The recorder: finished interactions to a go-vcr file that is complete after each of them (R39).

The file is whole whenever somebody reads it, and holds every interaction that had ended when a
process ends early (`arno.transport.growing_file`); a save costs what it adds. Faults of the
recording never reach the traffic: they are told at the end, by `close`.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec

from arno.cassette.errors import CassetteError
from arno.cassette.govcr import dump
from arno.cassette.model import (
    Cassette,
    End,
    Interaction,
    RecordedRequest,
    RecordedResponse,
    Style,
    Tree,
)
from arno.cassette.redact import dump_redacted
from arno.cassette.rules import DEFAULT, REPLACEMENT, Redaction
from arno.transport.growing_file import GrowingFile
from arno.version import VERSION

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes of one cassette; what does not fit is a problem, told by `Recorder.close`."""

MAX_PROBLEMS: Final = 20
"""How many problems are kept."""

_EMPTY: Final = dump(Cassette())
_NUMBER: Final = b"id: 0\n"
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
    place. `extra`: root keys written behind the interactions. `onto`: a cassette that is gone on
    with; what it holds comes first and is written as it is, in its style. Calls come from one
    thread at a time. Use `with`, or `close` at the end.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        timing: bool = False,
        rename_urls: Mapping[str, str] | None = None,
        extra: Mapping[str, Tree] | None = None,
        onto: Cassette | None = None,
        redaction: Redaction = DEFAULT,
        max_file: int = MAX_FILE,
    ) -> None:
        self.path = Path(path)
        before = Cassette() if onto is None else onto
        self._timing = timing
        self._rename_urls = dict(rename_urls or {})
        self._style = before.style
        root = {**before.extra, **(extra or {})}
        self._tail = dump_redacted(Cassette(extra=root, style=self._style)).removeprefix(_EMPTY)
        self._redaction = redaction
        self._file = GrowingFile(self.path)
        head, self._dash = _frame(self._style)
        self._order: list[int] = []
        self._pieces: list[bytes] = [head]
        self._room = max_file
        self._refused: list[str] = []
        self._unwritten: str | None = None
        self.cut = 0
        """How many of the interactions that were added have no end."""
        for item in before.interactions:
            self._insert(-1, self._item(dump(Cassette((item,), style=self._style))))
        self._before = len(self._order)

    @property
    def count(self) -> int:
        """How many interactions were added."""
        return len(self._order) - self._before

    @property
    def problems(self) -> tuple[str, ...]:
        """Why interactions are missing; never holds what was recorded."""
        unwritten = () if self._unwritten is None else (self._unwritten,)
        return (*self._refused, *unwritten)

    def __call__(self, interaction: Interaction) -> None:
        """Add one interaction and save. Never raises: the traffic must go on."""
        try:
            same = self._add(interaction)
        except CassetteError as error:
            self.refuse(str(error))
        else:
            self._save(same)

    def refuse(self, problem: str) -> None:
        """Note that something is missing from the recording; the `on_problem` of a transport."""
        if len(self._refused) < MAX_PROBLEMS:
            self._refused.append(problem)

    def close(self) -> None:
        """Write the file even if nothing was recorded. Raises RecordingIncomplete."""
        self._save(len(self._pieces))
        self._file.close()
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

    def _add(self, interaction: Interaction) -> int:
        """Put an interaction in its place. Gives how many pieces before it stay as they are."""
        _refuse_encoded(interaction)
        text = self._text(interaction)
        if len(text) > self._room:
            raise CassetteError(f"interaction {interaction.id} does not fit: the file is full")
        wire = interaction.wire
        self.cut += wire is not None and wire.end is not End.EOF
        return self._insert(interaction.id, text)

    def _insert(self, order: int, text: bytes) -> int:
        """Number a text by its place, and those behind it anew."""
        self._room -= len(text)
        place = bisect(self._order, order)
        self._order.insert(place, order)
        texts = [text, *(piece.partition(b"\n")[2] for piece in self._pieces[place + 1 :])]
        self._pieces[place + 1 :] = [
            b"%bid: %d\n%b" % (self._dash, number, one) for number, one in enumerate(texts, place)
        ]
        return place + 1 if len(self._order) > 1 else 0

    def _item(self, data: bytes) -> bytes:
        """The one interaction of a file, behind its number."""
        return data.partition(_NUMBER)[2]

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
            data = dump_redacted(Cassette((written,), style=self._style), self._redaction)
        except CassetteError as error:
            # The error's own number is that of a file with one interaction.
            raise CassetteError(f"request {interaction.id}: {error}") from error
        return self._item(data)

    def _renamed(self, url: str) -> str:
        for old, new in self._rename_urls.items():
            rest = url.removeprefix(old)
            # The base must end where a name or a port does: `:80` is no beginning of `:8080`.
            if rest != url and rest[:1] in _BASE_ENDS:
                return new + rest
        return url

    def _save(self, same: int) -> None:
        """Write the file; a write that fails is made good by the next one."""
        pieces = self._pieces if self._order else [_EMPTY]
        try:
            self._file.save(pieces, self._tail, same)
        except OSError as error:
            self._unwritten = f"cannot write the file: {error.strerror}"
        else:
            self._unwritten = None


def recorder_note(wall_ns: int, redaction: Redaction = DEFAULT) -> dict[str, Tree]:
    """The root key `x_recorder`: who wrote a file, when, and what was left out of it."""
    moment = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    note: dict[str, Tree] = {
        "name": "arno",
        "version": VERSION,
        "recorded_at": moment.isoformat().replace("+00:00", "Z"),
        "redactions": {
            "request_headers_kept": ", ".join(sorted(redaction.request_headers)),
            "response_headers_kept": ", ".join(sorted(redaction.response_headers)),
            "removed": "query parameters that name a key or token",
            "replaced": "body fields that name one, and the request's own credentials anywhere",
            "replacement": REPLACEMENT,
        },
    }
    return {"x_recorder": note}


def _frame(style: Style) -> tuple[bytes, bytes]:
    """How a file of this style begins, and what stands before the number of an interaction."""
    nothing = Interaction(0, RecordedRequest("", ""), RecordedResponse("", 0))
    before = dump(Cassette((nothing,), style=style)).partition(_NUMBER)[0]
    lines = before.splitlines(keepends=True)
    return b"".join(lines[:-1]), lines[-1]


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
