"""The ledger on PostgreSQL: the same rows, sums, migrations and patience (R33, R38)."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from sqlalchemy import inspect

from arno.ledger.ports import MigrationError, StoreUnavailable
from arno.store.database import open_engine
from arno.store.migrate import bring_up_to_date, stored_version
from arno.store.schema import SCHEMA_VERSION
from arno.store.sink import StoreSink
from tests.externals import find, needs
from tests.ledger.records import full_record, record
from tests.store.releases import next_release

pytest.importorskip("psycopg", reason="no PostgreSQL driver is installed")
pytestmark = needs("postgres")

OWNER = "postgres" if os.geteuid() == 0 else None
"""The server does not run as root."""


class Server:
    """A database server of our own that listens on a socket in its folder only."""

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "data"
        self.url = f"postgresql+psycopg://{OWNER or 'arno'}@/postgres?host={folder}"
        if OWNER:
            shutil.chown(folder, OWNER)
        name = f"--username={OWNER or 'arno'}"
        self.run("initdb", "-D", self.data, "-A", "trust", "-E", "UTF8", "--no-sync", name)

    def run(self, program, *arguments):
        path = Path(find("postgres").program).resolve().parent / program
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([path, *arguments], check=True, user=OWNER, cwd=self.folder, **quiet)

    def start(self):
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off"
        log = self.folder / "log"
        self.run("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", options, "start")

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def server():
    # A socket's path is short; a test's own folder may be too deep for it.
    folder = Path(tempfile.mkdtemp(prefix="arno-pg-"))
    made = Server(folder)
    made.start()
    yield made
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture
def engine(server):
    made = open_engine(server.url)
    yield made
    with made.begin() as connection:
        for table in inspect(connection).get_table_names():
            connection.exec_driver_sql(f"DROP TABLE {table}")
    made.dispose()


def version_of(engine):
    with engine.connect() as connection:
        return stored_version(connection)


def test_rows_and_sums_are_the_same(server, engine, tmp_path):
    with StoreSink(server.url, tmp_path) as sink:
        for number in range(300):
            sink.append(record(number, exchanges=2))
        sink.append(full_record())
        sink.append(record(5))  # again
        assert sink.flush()
        assert sink.generation("up-5", "key") == record(5, exchanges=2)
        assert sink.recent(2) == (full_record(), record(299, exchanges=2))
        sums = sink.totals("key")
        assert (sums.requests, sums.cost_nano) == (300, sum(258_200 + n for n in range(300)))


def test_values_that_no_row_can_hold_are_set_aside(server, engine, tmp_path):
    with StoreSink(server.url, tmp_path) as sink:
        for one in (record(1), record(2, input_tokens=2**64), record(3, user="a\0b"), record(4)):
            sink.append(one)
        assert sink.flush()
        assert sink.counters.rejected == 2
        assert sink.recent(9) == (record(4), record(1))


def test_nothing_is_lost_while_the_server_is_down(server, engine, tmp_path):
    with StoreSink(server.url, tmp_path) as sink:
        sink.append(record(0))
        assert sink.flush()
        server.stop()
        for number in range(1, 100):
            sink.append(record(number))
        assert sink.generation("gen-50", "key") == record(50)
        with pytest.raises(StoreUnavailable):
            sink.totals("key")
        server.start()
        assert sink.flush()
        assert sink.totals("key").requests == 100
        assert sink.health().ok


def test_several_may_start_on_an_empty_database_at_once(server, engine):
    problems, start = [], threading.Barrier(5)

    def begin():
        mine = open_engine(server.url)
        start.wait()
        try:
            bring_up_to_date(mine)
        except Exception as error:
            problems.append(error)
        mine.dispose()

    threads = [threading.Thread(target=begin) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (problems, version_of(engine)) == ([], SCHEMA_VERSION)


def test_a_failed_migration_leaves_the_old_schema(engine, tmp_path):
    bring_up_to_date(engine)
    broken = next_release(tmp_path / "a", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(MigrationError, match="nowhere"):
        bring_up_to_date(engine, "0003", broken)
    assert version_of(engine) == SCHEMA_VERSION
    bring_up_to_date(engine, "0003", next_release(tmp_path / "b"))
    assert version_of(engine) == "0003"
