"""Bringing the stored schema up to date, and only then loading Alembic.

Serves architecture 5 and behaviour R38: a schema of a newer release is used as it is (revisions
only add); a failed migration leaves the old one usable and says so. An empty database gets today's
tables at once; a test holds them equal to what the migrations make.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from arno.ledger.ports import MigrationError, StoreUnavailable
from arno.store.database import ALONE, plain
from arno.store.schema import METADATA, SCHEMA_VERSION, VERSION

MIGRATIONS = Path(__file__).parent / "migrations"
UNVERSIONED = "unversioned"
"""Tables without a version: not ours, or made by hand."""

# Any number: everyone who migrates this ledger waits on the same one.
_ADVISORY_LOCK = 4_707_390_117_001


def stored_version(connection: Connection) -> str | None:
    """The revision that the database is at, None when it holds no table."""
    tables = set(inspect(connection).get_table_names())
    if VERSION.name in tables:
        version = connection.execute(select(VERSION.c.version_num)).scalar()
        return UNVERSIONED if version is None else str(version)
    return UNVERSIONED if tables & set(METADATA.tables) else None


def bring_up_to_date(
    engine: Engine, target: str = SCHEMA_VERSION, migrations: Path = MIGRATIONS
) -> None:
    """Bring the schema to the target revision; several processes may start at once.

    Raises StoreUnavailable when the database does not answer, MigrationError when the schema cannot
    be changed.
    """
    try:
        with engine.connect() as connection:
            if _is_current(stored_version(connection), target):
                return
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(f"the ledger's database does not answer: {plain(error)}") from error
    try:
        _change(engine, target, migrations)
        # The long patience of the migrating connection is not for everyday queries.
        engine.dispose()
    except Exception as error:
        raise MigrationError(
            f"the ledger's schema could not be brought to version {target}, it is as it was:"
            f" {plain(error)}"
        ) from error


def _is_current(version: str | None, target: str) -> bool:
    if version == UNVERSIONED:
        raise MigrationError("the database holds ledger tables without a schema version")
    return version is not None and version >= target


def _change(engine: Engine, target: str, migrations: Path) -> None:
    options: dict[str, object] = {ALONE: True}
    if engine.dialect.name == "postgresql":
        # What others did while we waited for the lock must be visible behind it.
        options["isolation_level"] = "READ COMMITTED"
    with engine.execution_options(**options).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        # Another process may have done the work while we waited for the lock.
        version = stored_version(connection)
        if version is None and target == SCHEMA_VERSION:
            _create(connection)
        elif not _is_current(version, target):
            _upgrade(connection, target, migrations)


def _create(connection: Connection) -> None:
    METADATA.create_all(connection)
    VERSION.create(connection)
    connection.execute(VERSION.insert(), {"version_num": SCHEMA_VERSION})


def _upgrade(connection: Connection, target: str, migrations: Path) -> None:
    # Loading Alembic takes longer than a start should: a current schema never gets here.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
