"""The sink that keeps the ledger in files: a journal in front of a database.

Serves architecture 4.6, behaviour R27 and R33, fault rows 27, 28 and 30. `append` writes to the
journal in the caller's thread and never waits for the database. Everything else may wait: call it
off the event loop. Reads add what the journal holds and the database does not, each record once.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from sqlalchemy import Connection

from arno.ledger.entry import LedgerRecord
from arno.ledger.ports import Health, Totals
from arno.store import rows
from arno.store.answers import StoredAnswers
from arno.store.choose import age, best, is_named
from arno.store.database import open_engine, snapshot
from arno.store.journal import SEGMENT_BYTES, Journal
from arno.store.migrate import bring_up_to_date
from arno.store.origins import StoredOrigins
from arno.store.writer import Writer

CLOSE_WAIT_S = 10.0
"""How long `close` lets the writer work; what is left stays in the journal."""


class Counters(msgspec.Struct, frozen=True):
    """What the sink has done since it was opened; pending is as of now.

    too_long: records that were longer than a line of the journal, and are lost. orphans: journal
    files of processes that are gone. rejected: records that the database refuses,
    kept aside in `rejected.lines`. damaged: journal lines that cannot be read, kept in `*.damaged`.
    failures: tries of the writer that failed.
    """

    appended: int
    too_long: int
    applied: int
    rejected: int
    damaged: int
    failures: int
    orphans: int
    pending: int


class StoreSink:
    """A ledger in an SQLite file or a PostgreSQL database (`arno.ledger.ports.Sink`)."""

    def __init__(
        self,
        where: str | Path,
        journal_dir: Path,
        *,
        fsync: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        """Open, bring the schema up to date, and start on what earlier processes left.

        where: a file or a database URL. journal_dir: may be shared by processes with one database.
        fsync: records survive the end of the machine too, at the price of a disk write each.
        Raises ValueError, StoreUnavailable, MigrationError.
        """
        self._engine = open_engine(where, full_sync=fsync)
        try:
            bring_up_to_date(self._engine)
            self._journal = Journal(Path(journal_dir), fsync=fsync, segment_bytes=segment_bytes)
        except BaseException:
            self._engine.dispose()
            raise
        self._writer = Writer(self._journal, self._engine)
        self._writer.start()
        self.answers = StoredAnswers(self._engine)
        self.origins = StoredOrigins(self._engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, record: LedgerRecord) -> None:
        """Write a record down; on return it survives the end of the process.

        Raises RecordNotDurable (nothing of the record is kept).
        """
        self._journal.append(record)
        self._writer.wake()

    def generation(self, generation_id: str, key_id: str) -> LedgerRecord | None:
        """The record with this id of ours, or else the upstream's, within a key.

        Raises StoreUnavailable when only the database could tell.
        """
        with self._journal.unapplied(generation_id) as waiting:
            named = [record for record in waiting if is_named(record, generation_id, key_id)]
            pending = best(named, generation_id)
            if pending is not None and pending.generation.id == generation_id:
                return pending
            with snapshot(self._engine) as connection:
                stored = rows.generation(connection, generation_id, key_id)
        return best([record for record in (stored, pending) if record], generation_id)

    def totals(self, key_id: str, since_ms: int = 0) -> Totals:
        """Sums of a key's generations created at or after since_ms. Raises StoreUnavailable."""
        with self._journal.unapplied(key_id) as waiting, snapshot(self._engine) as connection:
            sums = rows.totals(connection, key_id, since_ms)
            mine = (
                record
                for record in waiting
                if record.generation.key_id == key_id
                and record.generation.created_at_ms >= since_ms
            )
            for record in _missing(connection, mine):
                sums = sums.plus(record)
        return sums

    def recent(self, limit: int) -> tuple[LedgerRecord, ...]:
        """The newest records, newest first. Raises StoreUnavailable."""
        with self._journal.unapplied() as waiting, snapshot(self._engine) as connection:
            stored = rows.recent(connection, limit)
            pending = heapq.nlargest(limit, waiting, key=age)
        # A record that is in both places is the same one: the stored wins.
        merged = {record.generation.id: record for record in (*pending, *stored)}
        return tuple(heapq.nlargest(limit, merged.values(), key=age))

    def health(self) -> Health:
        """How the sink is, without asking the database.

        A record that was too long is told, but does not make the sink unwell: the next one is
        taken, and nobody may stop a server by one odd request.
        """
        rejected, too_long = self._writer.counters.rejected, self._journal.too_long
        problem = self._writer.problem
        if problem is None and rejected:
            problem = f"{rejected} records were refused by the database and set aside"
        ok = problem is None
        if ok and too_long:
            problem = f"{too_long} records were too long to be written down and are lost"
        return Health(ok=ok, pending=self._journal.pending(), problem=problem)

    @property
    def counters(self) -> Counters:
        """What has been done so far."""
        done = self._writer.counters
        return Counters(
            appended=self._journal.appended,
            too_long=self._journal.too_long,
            applied=done.applied,
            rejected=done.rejected,
            damaged=done.damaged,
            failures=done.failures,
            orphans=self._journal.orphans,
            pending=self._journal.pending(),
        )

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything appended so far is in the database; False if it is not."""
        return self._writer.flush(timeout_s)

    def close(self, timeout_s: float = CLOSE_WAIT_S) -> bool:
        """Apply what is left and stop; False if records stay behind, in the journal."""
        self.origins.close()
        if not self._writer.stop(timeout_s):
            # Its files stay open and locked for the thread that still uses them.
            return False
        empty = self._journal.pending() == 0
        self._journal.close()
        self._engine.dispose()
        return empty


def _missing(connection: Connection, records: Iterable[LedgerRecord]) -> Iterator[LedgerRecord]:
    """Those records that have no row, each id once."""
    source = iter(records)
    seen: set[str] = set()
    while some := list(islice(source, rows.IDS_AT_ONCE)):
        known = rows.existing(connection, [record.generation.id for record in some])
        for record in some:
            if record.generation.id not in known | seen:
                seen.add(record.generation.id)
                yield record
