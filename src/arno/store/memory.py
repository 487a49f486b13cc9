"""A sink without files and without a database package: for the base install and for tests.

Serves architecture 4.6 where nothing has to outlive the process. It behaves as `StoreSink` does,
but keeps the newest records only.
"""

from __future__ import annotations

import heapq
import threading

from arno.ledger.entry import LedgerRecord
from arno.ledger.ports import Health, Totals
from arno.store.choose import age, best, is_named

CAPACITY = 10_000
"""Records kept by default, about 1 KiB each."""


class MemorySink:
    """A ledger in memory (`arno.ledger.ports.Sink`)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """capacity: records kept; the one appended first falls out first."""
        self._capacity = capacity
        self._records: dict[str, LedgerRecord] = {}
        self._forgotten: dict[str, Totals] = {}
        self._lock = threading.Lock()

    def append(self, record: LedgerRecord) -> None:
        """Keep a record; an id that is kept already changes nothing."""
        with self._lock:
            self._records.setdefault(record.generation.id, record)
            if len(self._records) > self._capacity:
                oldest = self._records.pop(next(iter(self._records)))
                key_id = oldest.generation.key_id
                self._forgotten[key_id] = self._forgotten.get(key_id, Totals()).plus(oldest)

    def _all(self) -> list[LedgerRecord]:
        with self._lock:
            return list(self._records.values())

    def generation(self, generation_id: str, key_id: str) -> LedgerRecord | None:
        """The record with this id of ours, or else the upstream's, within a key."""
        named = [record for record in self._all() if is_named(record, generation_id, key_id)]
        return best(named, generation_id)

    def totals(self, key_id: str, since_ms: int = 0) -> Totals:
        """Sums of a key's generations created at or after since_ms.

        Records that fell out count in the sums over all time (since_ms 0) only.
        """
        with self._lock:
            records = list(self._records.values())
            sums = Totals() if since_ms else self._forgotten.get(key_id, Totals())
        for record in records:
            entry = record.generation
            if entry.key_id == key_id and entry.created_at_ms >= since_ms:
                sums = sums.plus(record)
        return sums

    def recent(self, limit: int) -> tuple[LedgerRecord, ...]:
        """The newest records, newest first."""
        return tuple(heapq.nlargest(limit, self._all(), key=age))

    def health(self) -> Health:
        """Always well: nothing is waited for."""
        return Health(ok=True)
