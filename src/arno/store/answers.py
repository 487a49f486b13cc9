"""Kept answers in the ledger's database (`arno.ledger.ports.Answers`).

Serves R22: an answer is there for every process that shares the database before its client has read
the end of it. Old ones go when newer ones come.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Engine, delete, or_, select
from sqlalchemy.exc import SQLAlchemyError

from arno.ledger.ports import KeptAnswer, StoreUnavailable
from arno.store.database import plain, snapshot
from arno.store.rows import INSERTS
from arno.store.schema import ANSWER

KEPT_DAYS = 30
_DAY_MS = 86_400_000


class StoredAnswers:
    """Answers in a database whose schema is up to date; the engine is its owner's to close."""

    def __init__(self, engine: Engine, days: int = KEPT_DAYS) -> None:
        """days: how long an answer can be named."""
        self._engine = engine
        self._kept_ms = days * _DAY_MS

    def keep(self, answer: KeptAnswer) -> None:
        """Keep one; on return others can read it. Raises StoreUnavailable."""
        row = {
            "id": answer.id,
            "key_id": answer.key_id,
            "told_id": answer.told_id,
            "created_at_ms": answer.created_at_ms,
            "items": answer.items.decode(),
            "document": answer.document.decode(),
        }
        with writing(self._engine) as connection:
            oldest = answer.created_at_ms - self._kept_ms
            connection.execute(delete(ANSWER).where(ANSWER.c.created_at_ms < oldest))
            connection.execute(INSERTS[connection.dialect.name](ANSWER), row)

    def find(self, answer_id: str, key_id: str) -> KeptAnswer | None:
        """The answer with this id of ours, or else the newest that was told under it, within a
        key. Raises StoreUnavailable.
        """
        query = (
            select(ANSWER)
            .where(*_named(answer_id, key_id))
            .order_by((ANSWER.c.id == answer_id).desc(), ANSWER.c.created_at_ms.desc())
            .limit(1)
        )
        with snapshot(self._engine) as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        return KeptAnswer(
            id=row["id"],
            key_id=row["key_id"],
            told_id=row["told_id"],
            created_at_ms=row["created_at_ms"],
            items=row["items"].encode(),
            document=row["document"].encode(),
        )

    def drop(self, answer_id: str, key_id: str) -> bool:
        """Forget all under this id; False if there was none. Raises StoreUnavailable."""
        with writing(self._engine) as connection:
            named = delete(ANSWER).where(*_named(answer_id, key_id))
            return connection.execute(named).rowcount > 0


def _named(answer_id: str, key_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What holds for the rows of an id within a key."""
    return (
        ANSWER.c.key_id == key_id,
        or_(ANSWER.c.id == answer_id, ANSWER.c.told_id == answer_id),
    )


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is committed at the end. Raises StoreUnavailable."""
    try:
        with engine.begin() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"the database does not answer: {plain(error)}") from error
