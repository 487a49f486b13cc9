"""Ports: what the engine and the gateway need of a store, as Protocols.

Serves architecture 2 (only store touches a database, and is handed in) and 4.6.

    SinkError
    ├── RecordNotDurable   an entry could not be written down; nothing of it was kept
    └── StoreUnavailable   the store cannot answer (or be prepared) now
        └── MigrationError the stored schema could not be brought up to date; it is as it was
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from arno.ledger.entry import MAY_COST, LedgerRecord


class SinkError(Exception):
    """The ledger cannot do its work."""


class RecordNotDurable(SinkError):
    """`append` failed: the record is not kept, and must not be acknowledged."""


class StoreUnavailable(SinkError):
    """The store behind the sink does not answer."""


class MigrationError(StoreUnavailable):
    """The stored schema could not be brought up to date; it is unchanged and usable."""


class Totals(msgspec.Struct, frozen=True):
    """Sums over the generations of a key, exact.

    cost_nano: of those with a known cost. unpriced_requests: those that may have cost something
    (`MAY_COST`, and sent upstream) and have no known cost. input, output: tokens, of those that
    know them.
    """

    requests: int = 0
    cost_nano: int = 0
    unpriced_requests: int = 0
    input: int = 0
    output: int = 0

    def plus(self, record: LedgerRecord) -> Totals:
        """These totals and one generation more."""
        entry = record.generation
        may_cost = entry.state in MAY_COST and entry.attempts > 0
        unpriced = entry.cost_nano is None and may_cost
        return Totals(
            requests=self.requests + 1,
            cost_nano=self.cost_nano + (entry.cost_nano or 0),
            unpriced_requests=self.unpriced_requests + unpriced,
            input=self.input + (entry.input_tokens or 0),
            output=self.output + (entry.output_tokens or 0),
        )


class Health(msgspec.Struct, frozen=True):
    """Whether records reach the store. pending: records written down and not yet in the store."""

    ok: bool
    pending: int = 0
    problem: str | None = None


class Sink(Protocol):
    """Where settled requests go. Only `append` may be called where waiting is not allowed."""

    def append(self, record: LedgerRecord) -> None:
        """Keep a record; when this returns, it survives the end of the process.

        The id is new; one that is already kept counts once. Raises RecordNotDurable.
        """

    def generation(self, generation_id: str, key_id: str) -> LedgerRecord | None:
        """The record with this id within a key, pending ones included.

        Our id is looked for first, then the upstream's (the newest of several). Raises
        StoreUnavailable if it cannot be known.
        """

    def totals(self, key_id: str, since_ms: int = 0) -> Totals:
        """Sums of a key's generations created at or after since_ms, pending ones included."""

    def recent(self, limit: int) -> tuple[LedgerRecord, ...]:
        """The newest records, newest first, pending ones included."""

    def health(self) -> Health:
        """How the sink is, without asking the store."""


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that a later request may name as its previous one.

    id: the generation's, ours and unique; told_id: the one in the answer, which is another one's
    where bytes pass as they came, and may repeat; items: the conversation up to and including it,
    document: the answer, both JSON text.
    """

    id: str
    key_id: str
    told_id: str
    created_at_ms: int
    items: bytes
    document: bytes


class Answers(Protocol):
    """Where kept answers are; every call may wait, so none is made on the event loop."""

    def keep(self, answer: KeptAnswer) -> None:
        """Keep one; on return others can read it. Raises StoreUnavailable."""

    def find(self, answer_id: str, key_id: str) -> KeptAnswer | None:
        """The answer with this id of ours, or else the newest that was told under it, within a
        key. Raises StoreUnavailable.
        """

    def drop(self, answer_id: str, key_id: str) -> bool:
        """Forget one; False if there was none. Raises StoreUnavailable."""


class Reservation(msgspec.Struct, frozen=True):
    """What is set aside for one generation before it is dispatched, in nano-USD."""

    generation_id: str
    key_id: str
    nano: int


class Limiter(Protocol):
    """Budgets: reserve before dispatch, settle exactly once after the end (R31)."""

    def reserve(self, reservation: Reservation) -> bool:
        """Set the amount aside; False when the key's budget does not allow it."""

    def settle(self, generation_id: str, nano: int | None) -> None:
        """Replace the reservation by what was spent; None keeps the whole reservation."""
