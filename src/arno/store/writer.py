"""The writer: a thread that carries the journal into the database.

Serves architecture 4.6, behaviour R27 and R33, fault rows 28 and 30. Whatever keeps the database
from taking records, they stay in the journal and are tried again; a record that the database
refuses for itself (a value out of its range) is set aside, so that it cannot hold up the others.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError

from arno.ledger.entry import LedgerRecord
from arno.store.database import LOCK_WAIT_S, plain
from arno.store.journal import Batch, Journal
from arno.store.rows import insert

BATCH = 512
"""Records in one transaction."""

LINGER_S = 0.1
"""How long the first record of a group waits for others to share its transaction."""

BACKOFF_S = (0.05, 2.0)
"""First and longest pause after the database failed; doubled in between."""

_REFUSALS = (DataError, IntegrityError, OverflowError, TypeError, ValueError)


class WriterCounters(msgspec.Struct, frozen=True):
    """Records applied and rejected, damaged journal lines, and tries that failed."""

    applied: int = 0
    rejected: int = 0
    damaged: int = 0
    failures: int = 0


def is_refusal(error: Exception) -> bool:
    """Whether the database refuses the records themselves; anything else may pass with time."""
    unbindable = isinstance(error, StatementError) and not isinstance(error, DBAPIError)
    return unbindable or isinstance(error, _REFUSALS)


class Writer:
    """Owns the reading side of the journal from `start` to `stop`; neither side is closed here."""

    def __init__(self, journal: Journal, engine: Engine) -> None:
        """Nothing runs before `start`."""
        self._journal = journal
        self._engine = engine
        self._changed = threading.Condition()
        self._work = True
        self._asked = self._served = 0
        self._stopping = self._abandoned = False
        self._pause_s = 0.0
        self.counters = WriterCounters()
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="arno-ledger", daemon=True)

    def start(self) -> None:
        """Start with what the journal already holds."""
        self._thread.start()

    def wake(self) -> None:
        """Something was appended; cheap when the thread knows already."""
        if not self._work:
            with self._changed:
                self._work = True
                self._changed.notify_all()

    def flush(self, timeout_s: float | None) -> bool:
        """Wait until all that was appended before is applied or rejected; False if it is not.

        The thread tries at once, without waiting for company or the end of a pause.
        """
        with self._changed:
            self._asked += 1
            ticket = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._served >= ticket or self._stopping, timeout_s)
            return self._served >= ticket

    def stop(self, timeout_s: float) -> bool:
        """End the thread, after what is left or one failure; False if the database holds it."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        self._abandoned = True
        self._thread.join(2 * LOCK_WAIT_S)
        return not self._thread.is_alive()

    def _hurried(self) -> bool:
        return self._stopping or self._asked > self._served

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._hurried())
                self._changed.wait_for(self._hurried, LINGER_S)
                # Before the journal is read: what comes after this sets it again.
                self._work = False
                asked, last = self._asked, self._stopping
            if self._drain():
                self._succeeded(asked)
            elif not last:
                self._failed(asked)
            if last:
                return

    def _succeeded(self, asked: int) -> None:
        with self._changed:
            self._pause_s = 0.0
            self._served = asked
            self._changed.notify_all()

    def _failed(self, asked: int) -> None:
        first, longest = BACKOFF_S
        self._pause_s = min(max(first, 2 * self._pause_s), longest)
        with self._changed:
            self._work = True
            self._changed.wait_for(lambda: self._stopping or self._asked > asked, self._pause_s)

    def _drain(self) -> bool:
        """Apply everything; False if it could not be done now."""
        try:
            while not self._abandoned:
                batch = self._journal.next_batch(BATCH)
                if batch is None:
                    self.problem = None
                    return True
                self._apply(batch)
        except Exception as error:  # whatever it is, the thread lives and the records wait
            self.problem = plain(error)
            self.counters = msgspec.structs.replace(
                self.counters, failures=self.counters.failures + 1
            )
        return False

    def _apply(self, batch: Batch) -> None:
        rejected = self._insert(batch.records)
        self._journal.applied(batch)
        count = self.counters
        self.counters = msgspec.structs.replace(
            count,
            applied=count.applied + len(batch.records) - rejected,
            rejected=count.rejected + rejected,
            damaged=count.damaged + batch.damaged,
        )

    def _insert(self, records: Sequence[LedgerRecord]) -> int:
        """Insert records in one transaction; the number of those that were set aside."""
        if not records:
            return 0
        try:
            with self._engine.begin() as connection:
                insert(connection, records)
        except Exception as error:
            if not is_refusal(error):
                raise
            if len(records) > 1:
                return sum(self._insert((record,)) for record in records)
            self._journal.reject(records[0])
            return 1
        return 0
