"""Records to rows and back, and the queries on them; plain SQLAlchemy Core on a connection.

Serves architecture 4.6 and behaviour R24 and R27: inserting goes by generation id, so replaying a
journal changes nothing; sums are made by the database over integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    Row,
    RowMapping,
    Select,
    Table,
    case,
    func,
    select,
)
from sqlalchemy.dialects import sqlite

from arno.ledger.entry import MAY_COST, ExchangeEntry, GenerationEntry, LedgerRecord
from arno.ledger.ports import Totals
from arno.store.schema import EXCHANGE, GENERATION

LISTS = ("losses", "anomalies")
"""The last columns of a generation: each holds a JSON list."""


def _sqlite_insert(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing()


def _postgresql_insert(table: Table) -> Insert:
    # Loaded when it is used: this dialect alone takes a tenth of the start.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()


INSERTS: Mapping[str, Callable[[Table], Insert]] = {
    "sqlite": _sqlite_insert,
    "postgresql": _postgresql_insert,
}
"""How each supported database says "insert, unless it is there already"."""

IDS_AT_ONCE = 500
"""Identifiers in one query; databases bound the number of parameters."""

Values = tuple[Any, ...]
"""One row, in the order of the table's columns, which is that of the entry's fields."""

_generation = GENERATION.c


def _generation_row(entry: GenerationEntry) -> Values:
    values = msgspec.structs.astuple(entry)
    # The lists are the last fields.
    lists = (msgspec.json.encode(value).decode() for value in values[-len(LISTS) :])
    return *values[: -len(LISTS)], *lists


def _generation_entry(row: RowMapping) -> GenerationEntry:
    values = {name: row[name] for name in GenerationEntry.__struct_fields__}
    values |= {name: msgspec.json.decode(values[name]) for name in LISTS}
    return msgspec.convert(values, GenerationEntry)


def _exchange_entry(row: RowMapping) -> ExchangeEntry:
    values = {name: row[name] for name in ExchangeEntry.__struct_fields__}
    return msgspec.convert(values, ExchangeEntry)


ROWS_AT_ONCE = 64
"""Rows in one statement. The driver gives up the interpreter's lock for each statement, and then an
event loop waits for a switch of threads to get it back: few long statements disturb least."""


@lru_cache(maxsize=32)
def _insert_text(dialect: Dialect, table: Table, count: int) -> tuple[str, bool]:
    """The statement as the driver takes it for `count` rows, and whether values go by position."""
    compiled = INSERTS[dialect.name](table).compile(dialect=dialect)
    text = str(compiled)
    if compiled.positional and count > 1:
        before, values, after = _split_values(text)
        text = f"{before}{', '.join([values] * count)}{after}"
    return text, compiled.positional


def _split_values(text: str) -> tuple[str, str, str]:
    """What stands before the one row of an insert statement, the row, and what follows it."""
    before, word, rest = text.partition("VALUES ")
    row, _, after = rest.partition(")")
    return before + word, row + ")", after


def _insert(connection: Connection, table: Table, rows: list[Values]) -> None:
    """Insert rows, given in the order of the columns.

    Handed to the driver as they are: building each row's parameters through SQLAlchemy costs as
    much as the database's own work.
    """
    dialect = connection.dialect
    _, by_position = _insert_text(dialect, table, 1)
    if not by_position:
        names = table.columns.keys()
        named = [dict(zip(names, row, strict=True)) for row in rows]
        if named:
            connection.exec_driver_sql(_insert_text(dialect, table, 1)[0], named)
        return
    for some in _groups(rows):
        text, _ = _insert_text(dialect, table, len(some))
        connection.exec_driver_sql(text, tuple(chain.from_iterable(some)))


def _groups(rows: list[Values]) -> Iterator[list[Values]]:
    """Rows in groups of the largest powers of two: few statements for the driver to know."""
    start, size = 0, ROWS_AT_ONCE
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


def insert(connection: Connection, records: Iterable[LedgerRecord]) -> None:
    """Insert records; those whose id is there already change nothing."""
    batch = tuple(records)
    _insert(connection, GENERATION, [_generation_row(record.generation) for record in batch])
    exchanges = [entry for record in batch for entry in record.exchanges]
    _insert(connection, EXCHANGE, [msgspec.structs.astuple(entry) for entry in exchanges])


def _records(connection: Connection, query: Select[Any]) -> tuple[LedgerRecord, ...]:
    """The generations of a query with their exchanges, in the query's order."""
    found = [_generation_entry(row) for row in connection.execute(query).mappings()]
    exchanges: dict[str, list[ExchangeEntry]] = {}
    ids = [entry.id for entry in found]
    for some in _slices(ids):
        attempts = select(EXCHANGE).where(EXCHANGE.c.generation_id.in_(some))
        rows = connection.execute(attempts.order_by(EXCHANGE.c.generation_id, EXCHANGE.c.attempt))
        for row in rows.mappings():
            entry = _exchange_entry(row)
            exchanges.setdefault(entry.generation_id, []).append(entry)
    return tuple(LedgerRecord(entry, tuple(exchanges.get(entry.id, ()))) for entry in found)


def _slices(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))


def generation(connection: Connection, generation_id: str, key_id: str) -> LedgerRecord | None:
    """The record with this id of ours, or else the newest with this upstream id, within a key."""
    own = select(GENERATION).where(_generation.key_id == key_id)
    newest = (_generation.created_at_ms.desc(), _generation.id.desc())
    for query in (
        own.where(_generation.id == generation_id),
        own.where(_generation.upstream_id == generation_id).order_by(*newest).limit(1),
    ):
        if found := _records(connection, query):
            return found[0]
    return None


def recent(connection: Connection, limit: int) -> tuple[LedgerRecord, ...]:
    """The newest records, newest first."""
    newest = (_generation.created_at_ms.desc(), _generation.id.desc())
    return _records(connection, select(GENERATION).order_by(*newest).limit(max(limit, 0)))


def existing(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Those of the ids that have a row."""
    found: set[str] = set()
    for some in _slices(ids):
        query = select(_generation.id).where(_generation.id.in_(some))
        found.update(connection.execute(query).scalars())
    return found


def totals(connection: Connection, key_id: str, since_ms: int) -> Totals:
    """Sums over the rows of a key created at or after since_ms."""
    may_cost = _generation.state.in_(MAY_COST) & (_generation.attempts > 0)
    unpriced = case((_generation.cost_nano.is_(None) & may_cost, 1), else_=0)
    query = select(
        func.count(),
        func.sum(_generation.cost_nano),
        func.sum(unpriced),
        func.sum(_generation.input_tokens),
        func.sum(_generation.output_tokens),
    ).where(_generation.key_id == key_id, _generation.created_at_ms >= since_ms)
    return _totals(connection.execute(query).one())


def _totals(row: Row[Any]) -> Totals:
    # PostgreSQL sums integers to a decimal; a sum over no known value is NULL.
    return Totals(*(int(value or 0) for value in row))
