"""Rows: every field survives, sums are exact, inserting twice changes nothing."""

import sqlite3
import threading

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql

from arno.ledger.ports import StoreUnavailable, Totals
from arno.store import rows
from arno.store.database import database_url, open_engine, snapshot, write_ahead
from arno.store.migrate import bring_up_to_date
from arno.store.schema import EXCHANGE, GENERATION, METADATA
from tests.ledger.records import RECORD_LISTS, full_record, record
from tests.store.locks import lock_database, until


@pytest.fixture
def engine(tmp_path):
    made = open_engine(tmp_path / "ledger.db")
    bring_up_to_date(made)
    yield made
    made.dispose()


def insert(engine, *records):
    with engine.begin() as connection:
        rows.insert(connection, records)


def test_every_field_survives(engine):
    insert(engine, full_record(), record(1, exchanges=3))
    with engine.connect() as connection:
        full = full_record()
        assert rows.generation(connection, full.generation.id, full.generation.key_id) == full
        assert rows.generation(connection, "gen-1", "key") == record(1, exchanges=3)


def test_inserting_again_changes_nothing(engine):
    insert(engine, record(1, exchanges=2))
    other = record(1, exchanges=2, cost_nano=1)
    insert(engine, other, record(2), other)
    with engine.connect() as connection:
        assert rows.recent(connection, 9) == (record(2), record(1, exchanges=2))
        assert rows.totals(connection, "key", 0).requests == 2


def test_the_upstreams_id_finds_the_newest_of_its_key(engine):
    shared = {"upstream_id": "gen-5"}
    insert(engine, record(1, **shared), record(3, **shared), record(2, **shared))
    insert(engine, record(4, key_id="other", **shared))
    with engine.connect() as connection:
        assert rows.generation(connection, "gen-5", "key") == record(3, **shared)
        assert rows.generation(connection, "gen-5", "stranger") is None
    insert(engine, record(5))
    with engine.connect() as connection:
        assert rows.generation(connection, "gen-5", "key") == record(5)


def test_many_rows_are_read_in_slices(engine):
    made = [record(number) for number in range(2 * rows.IDS_AT_ONCE + 1)]
    insert(engine, *made)
    with engine.connect() as connection:
        assert rows.recent(connection, len(made)) == tuple(reversed(made))
        ids = [one.generation.id for one in made]
        assert rows.existing(connection, ["gen-none", *ids]) == set(ids)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(RECORD_LISTS, st.integers(0, 10**6))
def test_the_sum_of_rows_is_the_total(engine, records, since):
    since += 1_773_323_480_000
    with engine.connect() as connection:
        for table in METADATA.sorted_tables:
            connection.execute(table.delete())
        rows.insert(connection, records)
        for key_id in ("a", "b", "c"):
            for start in (0, since):
                expected = Totals()
                for one in records:
                    entry = one.generation
                    if entry.key_id == key_id and entry.created_at_ms >= start:
                        expected = expected.plus(one)
                assert rows.totals(connection, key_id, start) == expected
        connection.rollback()


def test_a_row_that_does_not_fit_rolls_back_its_whole_batch(engine):
    too_large = record(2, cost_nano=2**63)
    with pytest.raises(OverflowError):
        insert(engine, record(1), too_large)
    with engine.connect() as connection:
        assert rows.recent(connection, 9) == ()


@pytest.mark.parametrize("table", [GENERATION, EXCHANGE])
def test_postgresql_gets_its_own_way_to_skip_what_is_there(table):
    statement = rows.INSERTS["postgresql"](table).compile(dialect=postgresql.dialect())
    assert str(statement).endswith("ON CONFLICT DO NOTHING")


def test_a_plain_path_is_an_sqlite_file(tmp_path):
    assert database_url(tmp_path / "a ledger.db").database == str(tmp_path / "a ledger.db")
    assert database_url("postgresql+psycopg://u:p@host/db").get_backend_name() == "postgresql"


@pytest.mark.parametrize("where", ["sqlite://", "sqlite:///:memory:", ":memory:", "mysql://h/db"])
def test_what_cannot_keep_a_ledger_is_refused(where):
    with pytest.raises(ValueError, match="ledger"):
        database_url(where)


def test_the_file_is_private_and_in_wal_mode(tmp_path, engine):
    assert (tmp_path / "ledger.db").stat().st_mode & 0o077 == 0
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1


def test_switching_to_wal_asks_again_until_the_others_are_done(tmp_path):
    path = tmp_path / "new.db"
    other = lock_database(path)
    tries = []

    class Watched(sqlite3.Connection):
        def execute(self, *arguments):
            tries.append(arguments)
            return super().execute(*arguments)

    mine = sqlite3.connect(path, timeout=0, check_same_thread=False, factory=Watched)
    switching = threading.Thread(target=write_ahead, args=(mine,))
    switching.start()
    until(lambda: len(tries) > 2)
    other.close()
    switching.join()
    assert mine.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    mine.close()


def test_commits_are_written_through_when_asked(tmp_path):
    engine = open_engine(tmp_path / "ledger.db", full_sync=True)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    engine.dispose()


def test_a_place_that_cannot_be_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot open the ledger"):
        open_engine(tmp_path / "file" / "ledger.db")


def test_an_error_tells_nothing_of_the_values(engine):
    with pytest.raises(StoreUnavailable) as caught, snapshot(engine) as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere WHERE id = 'canary'")
    assert "nowhere" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_queries_state_is_one(engine):
    with snapshot(engine) as connection:
        assert rows.totals(connection, "key", 0).requests == 0
        insert(engine, record(1))
        assert rows.existing(connection, ["gen-1"]) == set()
    with snapshot(engine) as connection:
        assert rows.existing(connection, ["gen-1"]) == {"gen-1"}


def test_a_number_below_one_reads_nothing(engine):
    insert(engine, record(1))
    with engine.connect() as connection:
        assert rows.recent(connection, -1) == ()


def test_a_row_of_a_state_that_nobody_knows_is_an_error(engine):
    insert(engine, record(1))
    with engine.begin() as connection:
        connection.execute(GENERATION.update().values(state="fine"))
    with engine.connect() as connection, pytest.raises(msgspec.ValidationError):
        rows.recent(connection, 1)
