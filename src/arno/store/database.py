"""The database behind the ledger: SQLite in WAL mode, or PostgreSQL, through SQLAlchemy Core.

Serves architecture 5 (used synchronously, off the event loop) and 4.6. Transactions are begun by
us, so that the schema changes of a migration are rolled back with everything else.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from arno.ledger.ports import StoreUnavailable
from arno.store.private import own_database
from arno.store.rows import INSERTS

LOCK_WAIT_S = 1.0
"""How long one SQLite statement waits for another process's lock; the writer then tries again."""

ALONE_WAIT_S = 30
"""How long a transaction that must be the only one (a migration) waits for the others."""

SWITCH_PAUSE_S = 0.01
"""Between two tries to switch a new file to WAL."""

ALONE = "arno_alone"
"""Execution option of a connection whose transactions keep all other writers out from the start."""


def database_url(where: str | Path) -> URL:
    """The URL of a database; a plain path means an SQLite file. Raises ValueError."""
    text = str(where)
    url = make_url(text) if "://" in text else URL.create("sqlite", database=text)
    if url.get_backend_name() not in INSERTS:
        raise ValueError(f"the ledger is kept in {' or '.join(INSERTS)}, not in {url.drivername}")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("a ledger in memory is arno.store.memory.MemorySink; name a file here")
    return url


def open_engine(where: str | Path, *, full_sync: bool = False) -> Engine:
    """An engine for a ledger database; nothing is connected yet.

    full_sync: SQLite writes every commit through to the disk (a killed process needs no such
    thing, a machine without power does). Raises ValueError, StoreUnavailable.
    """
    url = database_url(where)
    if url.get_backend_name() != "sqlite":
        return create_engine(url, isolation_level="REPEATABLE READ", pool_pre_ping=True)
    path = Path(str(url.database))
    try:
        own_database(path)
    except OSError as error:
        raise StoreUnavailable(f"cannot open the ledger {path}: {error}") from error
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_S})
    synchronous = "FULL" if full_sync else "NORMAL"

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # The driver's own BEGIN comes too late for schema changes; `begin` below sends ours.
        connection.isolation_level = None
        write_ahead(connection)
        connection.execute(f"PRAGMA synchronous={synchronous}").close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


# The driver looks up an adapter for every value that is no number or text, and where there is none
# it makes and drops an exception for it: a third of an insert's time with our many NULLs. The
# method of a dict gives None back without calling into Python.
_nothing: Callable[[None], None] = dict[None, None]().get
sqlite3.register_adapter(type(None), _nothing)
sqlite3.register_adapter(bool, int)


def write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; it then stays so.

    Two that switch at once would wait for each other, so SQLite refuses one of them at once,
    whatever its timeout: it has to ask again.
    """
    tries = int(ALONE_WAIT_S / SWITCH_PAUSE_S)
    for attempt in range(tries):
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError:
            if attempt == tries - 1:
                raise
            threading.Event().wait(SWITCH_PAUSE_S)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(ALONE, False):
        connection.exec_driver_sql(f"PRAGMA busy_timeout={ALONE_WAIT_S * 1000}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("BEGIN")


@contextlib.contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection whose queries all see one state. Raises StoreUnavailable."""
    try:
        with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"the ledger's database does not answer: {plain(error)}") from error


def plain(error: BaseException) -> str:
    """A database error in one line, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__}: {cause}".splitlines()[0]
