"""A file that grows and is whole at every moment, at a cost of what was added (R39).

Whoever reads it, and whatever ends this process, finds the last saved content: a save writes beside
the file, then renames. Writing all of it each time would cost the square of its length, so from
`TWIN_FROM` bytes on there are two copies: a save brings the hidden one up to date (it lacks the
last two additions), renames it to the file's name, and keeps the old file under the hidden name for
the next save. Every addition is written twice, whatever the length of the file.

The hidden copy (`.NAME.xxxxxxxx.tmp`) is gone after `close`; a process that is killed leaves it. A
copy that somebody else has touched is not trusted and written anew; so it is without hard links.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

TWIN_FROM: Final = 256 * 1024
"""Bytes from which on a hidden copy is kept; a shorter file is written whole each time."""

_PRIVATE: Final = 0o600

_Mark = tuple[int, int, int]
"""What tells that a file is the one we wrote: inode, size, time of its last change."""


class _Copy(msgspec.Struct):
    """One copy as we left it. pieces: how many of the first ones it holds as they are now."""

    path: Path
    mark: _Mark
    pieces: int

    def is_ours(self) -> bool:
        """Whether nobody has touched it since."""
        return _mark_of(self.path) == self.mark


class GrowingFile:
    """The file at `path`; nothing is written before the first save."""

    def __init__(self, path: Path, *, twin_from: int = TWIN_FROM) -> None:
        self.path = path
        self.written = 0
        """Bytes written by all saves."""
        self._twin_from = twin_from
        self._ends: list[int] = []
        self._shown: _Copy | None = None
        self._hidden: _Copy | None = None

    def save(self, pieces: Sequence[bytes], tail: bytes, same: int) -> None:
        """Let the file hold `pieces` and `tail`. same: how many of the first pieces are those of
        the call before. Raises OSError, and leaves the file as it was.

        A new file is for its owner alone, since recordings hold conversations; one that was there
        keeps its mode.
        """
        self._remember(pieces, same)
        if self._hidden is not None and not self._hidden.is_ours():
            self.close()
        base = self._hidden
        kept = 0 if base is None else base.pieces
        data = b"".join([*pieces[kept:], tail])
        beside = self._beside() if base is None else base.path
        try:
            _write(beside, self._ends[kept - 1] if kept else 0, data, new=base is None)
            self.written += len(data)
            beside.chmod(_mode_of(self.path))
            self._swap(_Copy(beside, _mark_of(beside), len(pieces)))
        except BaseException:
            self.close()
            with suppress(OSError):
                beside.unlink()
            raise

    def close(self) -> None:
        """Remove the hidden copy."""
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            with suppress(OSError):
                hidden.path.unlink()

    def _remember(self, pieces: Sequence[bytes], same: int) -> None:
        """Note where each piece ends, and what the copies still hold."""
        same = min(same, len(self._ends))
        del self._ends[same:]
        for piece in pieces[same:]:
            self._ends.append((self._ends[-1] if self._ends else 0) + len(piece))
        for copy in (self._shown, self._hidden):
            if copy is not None:
                copy.pieces = min(copy.pieces, same)

    def _swap(self, fresh: _Copy) -> None:
        """Show the fresh copy; keep what was shown for the next save, if that is worth it."""
        old, self._hidden = self._shown, None
        if old is not None and self._ends[-1] >= self._twin_from and old.is_ours():
            place = self._beside()
            # Not every file system has hard links; the next save then writes the whole file.
            with suppress(OSError):
                os.link(self.path, place)
                self._hidden = _Copy(place, old.mark, old.pieces)
        os.replace(fresh.path, self.path)
        fresh.path = self.path
        self._shown = fresh

    def _beside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.tmp")


def _write(path: Path, start: int, data: bytes, *, new: bool) -> None:
    """Let the file at `path` end with `data` from `start` on."""
    flags = os.O_WRONLY | (os.O_CREAT | os.O_EXCL if new else 0)
    with open(os.open(path, flags, _PRIVATE), "wb") as file:
        file.truncate(start)
        file.seek(start)
        file.write(data)


def _mark_of(path: Path) -> _Mark:
    """(0, 0, 0), which no file has, where there is none."""
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return _PRIVATE
