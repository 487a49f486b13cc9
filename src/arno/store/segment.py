"""One file of the journal: written at its end, read from its start, removed when applied.

Serves architecture 4.6. The lock on the file (flock, kept as long as it is open) tells the journal
of a living process from an orphan. A write lands whole or is taken back, so that a full disk (fault
row 30) cannot hide what is written after it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from arno.ledger.ports import RecordNotDurable
from arno.store.framing import Scan, scan
from arno.store.private import FILE_MODE

CHUNK = 256 * 1024
"""Bytes read at once; a longer line makes the piece grow."""

MAX_LINE = 1024 * 1024
"""Longest line in bytes. Entries hold no content, so a longer one is a fault of ours."""


def take_lock(fd: int, path: Path) -> bool:
    """Lock an open file; False if another process has it, or it is no longer what path names.

    Whoever removes a journal does so under its lock: a file that was opened before and locked
    after its removal would be a journal that nobody finds again.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(fd), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _count_lines(fd: int) -> int:
    count = offset = 0
    while data := os.pread(fd, CHUNK, offset):
        count += data.count(b"\n")
        offset += len(data)
    return count


class Segment:
    """An open, locked journal file.

    `size` and `applied` are offsets in bytes, `lines` and `applied_lines` the same in lines. The
    first of each pair belongs to whoever writes, the second to whoever applies.
    """

    def __init__(self, path: Path, fd: int) -> None:
        """Take over a locked descriptor; what the file already holds is still to be applied."""
        self.path = path
        self.size = os.fstat(fd).st_size
        self.applied = 0
        self.lines = _count_lines(fd)
        self.applied_lines = 0
        self.damaged = 0
        self._fd = fd

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file of ours. Raises OSError, FileExistsError if the name is taken."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE)
        if not take_lock(fd, path):
            os.close(fd)
            raise FileExistsError(f"another process took over the new journal {path}")
        return cls(path, fd)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """The file of a process that is gone, None if it lives or somebody else adopts it.

        Raises OSError, also for a link: no journal of ours is one.
        """
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        if take_lock(fd, path):
            return cls(path, fd)
        os.close(fd)
        return None

    def write(self, line: bytes, *, fsync: bool) -> None:
        """Append a line with one write. Raises RecordNotDurable; the file is then as before."""
        try:
            written = os.pwrite(self._fd, line, self.size)
            if written < len(line):
                # A signal or a nearly full disk; only a second try tells which, and says why.
                written += os.pwrite(self._fd, line[written:], self.size + written)
            if fsync:
                os.fdatasync(self._fd)
        except OSError as error:
            self._take_back()
            raise RecordNotDurable(f"cannot write the journal {self.path}: {error}") from error
        if written < len(line):
            self._take_back()
            raise RecordNotDurable(f"cannot write the journal {self.path}: the disk is full")
        self.size += len(line)
        self.lines += 1

    def _take_back(self) -> None:
        # If even this fails, the next line is written over the torn one: `size` has not moved.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self.size)

    def read(self, offset: int, max_lines: int) -> Scan:
        """Lines from an offset on; its end is 0 when no whole line follows (a torn tail)."""
        want = CHUNK
        while True:
            data = os.pread(self._fd, min(want, self.size - offset), offset)
            found = scan(data, max_lines)
            if found.end or want > MAX_LINE or offset + len(data) >= self.size:
                return found
            want *= 2

    def done(self) -> bool:
        """Whether everything that was acknowledged has been applied."""
        return self.applied >= self.size

    def close(self) -> None:
        """Give up the lock and leave the file for the next process."""
        os.close(self._fd)

    def retire(self) -> None:
        """Remove the applied file; one with damaged lines is kept aside for the operator."""
        with contextlib.suppress(FileNotFoundError):
            if self.damaged:
                self.path.rename(self.path.with_suffix(".damaged"))
            else:
                self.path.unlink()
        os.close(self._fd)
