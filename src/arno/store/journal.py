"""The journal: every record is written down here before its request is acknowledged.

Serves architecture 4.6, behaviour R27 and R33, fault rows 27, 28 and 30. One journal per process;
the files of processes that are gone are adopted on start. It is the only queue in front of the
database: what waits there waits on disk, so an outage costs no memory and inference never waits.
Applying a record twice is harmless (`rows.insert` goes by generation id).
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from arno.ledger.entry import LedgerRecord
from arno.ledger.ports import RecordNotDurable, StoreUnavailable
from arno.store.framing import Scan, encode_line
from arno.store.private import FILE_MODE, own_folder
from arno.store.segment import MAX_LINE, Segment

SUFFIX = ".journal"
REJECTED = "rejected.lines"
"""Records that no database accepts, in the journal's line format."""

SEGMENT_BYTES = 4 * 1024 * 1024
"""A file that has reached this size is followed by a new one."""

READ_LINES = 500

_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(LedgerRecord)


class Batch(msgspec.Struct, frozen=True):
    """Records that follow each other in one file, and the place behind them."""

    segment: Segment
    records: tuple[LedgerRecord, ...]
    end: int
    lines: int = 0
    damaged: int = 0


class Journal:
    """Append from any thread; `next_batch` and `applied` belong to one writer thread."""

    def __init__(
        self, directory: Path, *, fsync: bool = False, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        """Adopt the orphans and open a file of our own. Raises StoreUnavailable.

        fsync: each record survives the end of the machine as well, at the price of a disk write
        in the caller's thread.
        """
        self._directory = directory
        self._fsync = fsync
        self._segment_bytes = segment_bytes
        self._write_lock = threading.Lock()
        self._retire_lock = threading.Lock()
        self._closed = False
        self.appended = self.too_long = 0
        self._segments: list[Segment] = []
        try:
            own_folder(directory)
            self._adopt()
            self.orphans = len(self._segments)
            self._active = self._open()
        except OSError as error:
            for segment in self._segments:
                segment.close()
            raise StoreUnavailable(f"cannot open a journal in {directory}: {error}") from error

    def _adopt(self) -> None:
        for path in sorted(self._directory.glob("*" + SUFFIX)):
            if orphan := Segment.adopt(path):
                self._segments.append(orphan)

    def _open(self) -> Segment:
        path = self._directory / f"{os.getpid()}-{uuid.uuid4().hex}{SUFFIX}"
        segment = Segment.create(path)
        self._segments.append(segment)
        if self._fsync:
            _sync_directory(self._directory)
        return segment

    def append(self, record: LedgerRecord) -> None:
        """Write a record down. Raises RecordNotDurable; nothing of it is kept then.

        A record that is too long for any journal is counted: its request is lost to the ledger.
        """
        line = encode_line(_encode(record))
        with self._write_lock:
            if self._closed:
                raise RecordNotDurable("the journal is closed")
            if len(line) > MAX_LINE:
                self.too_long += 1
                raise RecordNotDurable(
                    f"the record of a request has {len(line)} bytes and the journal takes"
                    f" {MAX_LINE}: it is not in the ledger"
                )
            if self._active.size >= self._segment_bytes:
                # No room for one more file is no reason to refuse: the old one grows on.
                with contextlib.suppress(OSError):
                    self._active = self._open()
            self._active.write(line, fsync=self._fsync)
            self.appended += 1

    def next_batch(self, max_records: int) -> Batch | None:
        """The oldest records that are not applied yet, None if there are none."""
        for segment in tuple(self._segments):
            if self._retired(segment) or segment.done():
                continue
            found = segment.read(segment.applied, max_records)
            records = tuple(_decode(found))
            if not found.end:
                # A torn tail; what is longer than any line may hide some and is kept aside.
                hidden = segment.size - segment.applied > MAX_LINE
                return Batch(segment, (), segment.size, damaged=int(hidden))
            lines = found.damaged + len(found.payloads)
            end = segment.applied + found.end
            return Batch(segment, records, end, lines, lines - len(records))
        return None

    def applied(self, batch: Batch) -> None:
        """The batch is in the database (or rejected): never give it out again."""
        batch.segment.damaged += batch.damaged
        batch.segment.applied_lines += batch.lines
        batch.segment.applied = batch.end

    def pending(self) -> int:
        """How many records are written down and not applied."""
        return sum(segment.lines - segment.applied_lines for segment in tuple(self._segments))

    def _retired(self, segment: Segment) -> bool:
        """Remove a file that is applied and gets no more records; True if it is gone."""
        with self._write_lock:
            if segment is self._active or not segment.done():
                return False
        self._retire(segment)
        return True

    def _retire(self, segment: Segment) -> None:
        with self._retire_lock:
            self._segments.remove(segment)
            segment.retire()

    def reject(self, record: LedgerRecord) -> None:
        """Keep a record aside that the database refuses for good. Raises OSError."""
        line = encode_line(_encode(record))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        fd = os.open(self._directory / REJECTED, flags, FILE_MODE)
        with os.fdopen(fd, "ab") as file:
            file.write(line)

    @contextlib.contextmanager
    def unapplied(self, about: str = "") -> Iterator[Iterator[LedgerRecord]]:
        """The records that are not applied at this moment, oldest file first.

        about: only records whose text holds this (a cheap first sieve, the caller looks closer).
        While the context lasts no file is removed; appends and applying go on.
        """
        with self._retire_lock:
            places = [(segment, segment.applied) for segment in self._segments]
            yield self._from(places, msgspec.json.encode(about)[1:-1])

    def _from(self, places: list[tuple[Segment, int]], about: bytes) -> Iterator[LedgerRecord]:
        for segment, start in places:
            offset = start
            while offset < segment.size:
                found = segment.read(offset, READ_LINES)
                yield from _decode(found, about)
                if not found.end:
                    break
                offset += found.end

    def close(self) -> None:
        """Remove what is applied; leave the rest, unlocked, for the next process."""
        with self._write_lock:
            self._closed = True
        with self._retire_lock:
            for segment in self._segments:
                if segment.done():
                    segment.retire()
                else:
                    segment.close()
            self._segments.clear()


def _decode(found: Scan, about: bytes = b"") -> Iterator[LedgerRecord]:
    for payload in found.payloads:
        if about in payload:
            with contextlib.suppress(msgspec.DecodeError):
                yield _decoder.decode(payload)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
