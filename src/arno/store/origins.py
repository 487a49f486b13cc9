"""Origins of reasoning artefacts in the ledger's database, behind a memory of the latest ones.

Serves R18 across processes and restarts. Nothing here is waited for: what is learned is written by
a thread of its own, and a look-up that the database does not answer in time counts as unknown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from queue import Empty, SimpleQueue

from sqlalchemy import Engine, delete, select

from arno.ledger.ports import StoreUnavailable
from arno.store.answers import writing
from arno.store.database import snapshot
from arno.store.rows import IDS_AT_ONCE, INSERTS
from arno.store.schema import ARTEFACT

KEPT_DAYS = 30
MOST_WAITING = 100_000
"""Artefacts that may wait for the database; more are remembered by this process alone."""
_DAY_MS = 86_400_000
_GROUP = 500
_LINGER_S = 0.1


class StoredOrigins:
    """Digests (hex) to slugs. `close` before the engine is disposed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: SimpleQueue[tuple[str, str] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="arno-origins", daemon=True)
        self._thread.start()

    def write(self, digests: Iterable[str], endpoint: str) -> None:
        """Remember that `endpoint` made these; written soon, without waiting."""
        for digest in digests:
            if self._waiting.qsize() < MOST_WAITING:
                self._waiting.put((digest, endpoint))

    def read(self, digests: Iterable[str]) -> Mapping[str, str]:
        """Those that are known, with their endpoints; waits. Raises StoreUnavailable."""
        wanted = list(dict.fromkeys(digests))[:IDS_AT_ONCE]
        if not wanted:
            return {}
        query = select(ARTEFACT.c.digest, ARTEFACT.c.endpoint).where(ARTEFACT.c.digest.in_(wanted))
        with snapshot(self._engine) as connection:
            return {row.digest: row.endpoint for row in connection.execute(query)}

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits and stop."""
        self._waiting.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        going = True
        while going:
            first = self._waiting.get()
            if first is None:
                return
            group = {first[0]: first[1]}
            going = self._gather(group)
            try:
                self._insert(group)
            except StoreUnavailable:
                continue  # this process still knows them; only others will not

    def _gather(self, group: dict[str, str]) -> bool:
        """Add what comes within a moment; False at the end."""
        while len(group) < _GROUP:
            try:
                item = self._waiting.get(timeout=_LINGER_S)
            except Empty:
                return True
            if item is None:
                return False
            group[item[0]] = item[1]
        return True

    def _insert(self, group: Mapping[str, str]) -> None:
        now_ms = time.time_ns() // 1_000_000
        rows = [
            {"digest": digest, "endpoint": endpoint, "created_at_ms": now_ms}
            for digest, endpoint in group.items()
        ]
        with writing(self._engine) as connection:
            old = ARTEFACT.c.created_at_ms < now_ms - KEPT_DAYS * _DAY_MS
            connection.execute(delete(ARTEFACT).where(old))
            connection.execute(INSERTS[connection.dialect.name](ARTEFACT), rows)
