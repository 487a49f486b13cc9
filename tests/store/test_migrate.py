"""The stored schema: made, recognised, brought up to date, left alone on failure (R38)."""

import sqlite3
import subprocess
import sys
import threading

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from arno.ledger.entry import ExchangeEntry, GenerationEntry
from arno.ledger.ports import MigrationError, StoreUnavailable
from arno.store import rows
from arno.store.database import open_engine
from arno.store.migrate import bring_up_to_date, stored_version
from arno.store.schema import EXCHANGE, GENERATION, METADATA, SCHEMA_VERSION
from tests.ledger.records import record
from tests.store.releases import next_release


@pytest.fixture
def engine(tmp_path):
    made = open_engine(tmp_path / "ledger.db")
    yield made
    made.dispose()


def version_of(engine):
    with engine.connect() as connection:
        return stored_version(connection)


def columns(engine, table="generation"):
    return {column["name"] for column in inspect(engine).get_columns(table)}


@pytest.mark.parametrize(
    ("table", "entry"), [(GENERATION, GenerationEntry), (EXCHANGE, ExchangeEntry)]
)
def test_the_tables_have_the_fields_of_the_entries(table, entry):
    fields = {field.name: field for field in msgspec.structs.fields(entry)}
    assert list(table.columns.keys()) == list(fields)
    for name, column in table.columns.items():
        may_be_unknown = fields[name].default is None
        assert column.nullable is may_be_unknown, name


def test_the_lists_of_a_generation_stand_last():
    assert GenerationEntry.__struct_fields__[-len(rows.LISTS) :] == rows.LISTS


def described(engine):
    looked = inspect(engine)
    return {
        table: (
            [{**column, "type": str(column["type"])} for column in looked.get_columns(table)],
            looked.get_pk_constraint(table),
            looked.get_indexes(table),
        )
        for table in looked.get_table_names()
    }


def test_migrations_and_todays_tables_are_equal(tmp_path):
    fresh, migrated = open_engine(tmp_path / "fresh.db"), open_engine(tmp_path / "migrated.db")
    bring_up_to_date(fresh)
    # A target that is not the current one goes through the migrations from the first.
    bring_up_to_date(
        migrated, "0003", next_release(tmp_path, 'op.drop_column("generation", "region")')
    )
    assert described(migrated) == described(fresh)
    for engine in (fresh, migrated):
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        engine.dispose()


def test_an_empty_database_is_made_and_recognised(engine):
    assert version_of(engine) is None
    bring_up_to_date(engine)
    assert version_of(engine) == SCHEMA_VERSION
    bring_up_to_date(engine)
    assert version_of(engine) == SCHEMA_VERSION


def test_an_older_version_is_brought_up_to_date_with_its_rows(engine, tmp_path):
    bring_up_to_date(engine)
    with engine.begin() as connection:
        rows.insert(connection, [record(1)])
    bring_up_to_date(engine, "0003", next_release(tmp_path))
    assert version_of(engine) == "0003"
    assert "region" in columns(engine)
    with engine.connect() as connection:
        assert rows.generation(connection, "gen-1", "key") == record(1)


def test_a_newer_schema_is_used_as_it_is(engine, tmp_path):
    bring_up_to_date(engine, "0003", next_release(tmp_path))
    bring_up_to_date(engine)
    assert version_of(engine) == "0003"
    with engine.begin() as connection:
        rows.insert(connection, [record(1)])
        assert rows.recent(connection, 1) == (record(1),)


def test_a_failed_migration_leaves_the_old_schema_usable(engine, tmp_path):
    bring_up_to_date(engine)
    with engine.begin() as connection:
        rows.insert(connection, [record(1)])
    before = columns(engine)
    broken = next_release(tmp_path, 'op.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(MigrationError, match=r"could not be brought to version 0003.*nowhere"):
        bring_up_to_date(engine, "0003", broken)
    assert (columns(engine), version_of(engine)) == (before, SCHEMA_VERSION)
    with engine.begin() as connection:
        rows.insert(connection, [record(2)])
        assert rows.recent(connection, 5) == (record(2), record(1))


def test_tables_without_a_version_are_not_touched(engine):
    METADATA.create_all(engine)
    with pytest.raises(MigrationError, match="without a schema version"):
        bring_up_to_date(engine)


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    (tmp_path / "ledger.db").write_text("no database at all, " * 100)
    engine = open_engine(tmp_path / "ledger.db")
    with pytest.raises(StoreUnavailable, match="not a database"):
        bring_up_to_date(engine)
    engine.dispose()


def test_several_may_start_on_an_empty_database_at_once(tmp_path):
    problems, start = [], threading.Barrier(6)

    def begin():
        engine = open_engine(tmp_path / "ledger.db")
        start.wait()
        try:
            bring_up_to_date(engine)
        except Exception as error:
            problems.append(error)
        engine.dispose()

    threads = [threading.Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    stored = sqlite3.connect(tmp_path / "ledger.db")
    assert stored.execute("SELECT version_num FROM alembic_version").fetchall() == [
        (SCHEMA_VERSION,)
    ]
    stored.close()


LOADED = """
import sys
from pathlib import Path
from arno.store.sink import StoreSink
StoreSink(Path(sys.argv[1]), Path(sys.argv[2])).close()
print(any(name.partition(".")[0] in ("alembic", "mako") for name in sys.modules))
"""


def test_a_current_schema_does_not_load_alembic(tmp_path):
    def loaded():
        command = [sys.executable, "-c", LOADED, tmp_path / "ledger.db", tmp_path / "journal"]
        env = {"PYTHONPATH": ":".join(sys.path)}
        return subprocess.run(command, capture_output=True, check=True, env=env).stdout.strip()

    assert loaded() == b"False"  # made from nothing
    assert loaded() == b"False"  # found current
    engine = open_engine(tmp_path / "ledger.db")
    with engine.begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            table.drop(connection)
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    engine.dispose()
    command = [sys.executable, "-c", LOADED, tmp_path / "ledger.db", tmp_path / "journal"]
    failed = subprocess.run(
        command, capture_output=True, check=False, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert b"Can't locate revision identified by '0000'" in failed.stderr  # Alembic's words
