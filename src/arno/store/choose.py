"""Which of several records is meant, and which is newer; the same rules for every sink, pure.

Serves architecture 4.2: the ledger's key is ours, the upstream's id is not unique, and
`/generation` accepts either within the caller's key.
"""

from __future__ import annotations

from collections.abc import Iterable

from arno.ledger.entry import LedgerRecord


def age(record: LedgerRecord) -> tuple[int, str]:
    """A sort key: later is larger, ties go by id."""
    return record.generation.created_at_ms, record.generation.id


def is_named(record: LedgerRecord, generation_id: str, key_id: str) -> bool:
    """Whether the id is this record's, ours or the upstream's, and the key its owner."""
    entry = record.generation
    return entry.key_id == key_id and generation_id in (entry.id, entry.upstream_id)


def best(records: Iterable[LedgerRecord], generation_id: str) -> LedgerRecord | None:
    """Of records that are named by an id: the one whose own id it is, else the newest."""
    return max(
        records,
        key=lambda record: (record.generation.id == generation_id, age(record)),
        default=None,
    )
