"""The sink on disk: nothing waits for the database, nothing is lost with it (R27, R33)."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest

from arno.ledger.ports import Health, MigrationError, RecordNotDurable, StoreUnavailable
from arno.store import rows
from arno.store.database import open_engine
from arno.store.framing import scan
from arno.store.journal import REJECTED, Journal
from arno.store.migrate import bring_up_to_date
from arno.store.schema import METADATA
from arno.store.segment import MAX_LINE
from arno.store.sink import StoreSink
from tests.ledger.records import record
from tests.store.locks import lock_database, until


def open_sink(folder, **options):
    return StoreSink(folder / "ledger.db", folder / "journal", **options)


def stored_ids(folder):
    connection = sqlite3.connect(folder / "ledger.db")
    try:
        return [one for (one,) in connection.execute("SELECT id FROM generation ORDER BY id")]
    finally:
        connection.close()


def query(folder, text):
    connection = sqlite3.connect(folder / "ledger.db")
    try:
        return connection.execute(text).fetchone()[0]
    finally:
        connection.close()


def ids(numbers):
    return sorted(f"gen-{number}" for number in numbers)


def journal_files(folder):
    return [path.name for path in (folder / "journal").iterdir()]


def test_appended_records_reach_the_database_unasked(tmp_path):
    with open_sink(tmp_path) as sink:
        sink.append(record(1))
        until(lambda: sink.counters.applied == 1)
        assert stored_ids(tmp_path) == ["gen-1"]


def test_closing_leaves_every_row_and_no_journal(tmp_path):
    sink = open_sink(tmp_path)
    for number in range(500):
        sink.append(record(number, exchanges=2))
    assert sink.close() is True
    assert stored_ids(tmp_path) == ids(range(500))
    assert query(tmp_path, "SELECT count(*) FROM exchange") == 1_000
    assert journal_files(tmp_path) == []


def test_after_closing_nothing_is_taken(tmp_path):
    sink = open_sink(tmp_path)
    sink.close()
    with pytest.raises(RecordNotDurable, match="closed"):
        sink.append(record(1))


def test_a_locked_database_stops_no_append_and_loses_nothing(tmp_path):
    sink = open_sink(tmp_path, segment_bytes=20_000)
    sink.append(record(0))
    assert sink.flush()
    lock = lock_database(tmp_path / "ledger.db")
    for number in range(1, 300):
        sink.append(record(number))  # returns, though nobody takes it from the journal
    assert stored_ids(tmp_path) == ["gen-0"]
    assert sink.generation("gen-299", "key") == record(299)
    assert sink.totals("key").requests == 300
    until(lambda: not sink.health().ok)  # the writer has met the lock
    health = sink.health()
    assert (health.pending, "locked" in health.problem) == (299, True)
    assert sink.counters.failures >= 1
    lock.close()
    assert sink.flush()
    assert sink.health().ok
    assert stored_ids(tmp_path) == ids(range(300))
    assert sink.close()


def test_flush_tells_when_the_database_does_not_take_it(tmp_path):
    sink = open_sink(tmp_path)
    lock = lock_database(tmp_path / "ledger.db")
    sink.append(record(1))
    assert sink.flush(timeout_s=0) is False
    lock.close()
    assert sink.flush() is True
    sink.close()


def test_what_a_locked_database_did_not_take_waits_for_the_next_process(tmp_path):
    sink = open_sink(tmp_path)
    lock = lock_database(tmp_path / "ledger.db")
    sink.append(record(1))
    assert sink.close() is False
    assert len(journal_files(tmp_path)) == 1
    heir = open_sink(tmp_path)
    assert heir.counters.orphans == 1
    assert heir.totals("key").requests == 1
    assert heir.generation("up-1", "key") == record(1)
    lock.close()
    assert heir.flush()
    assert stored_ids(tmp_path) == ["gen-1"]
    assert heir.close()
    assert journal_files(tmp_path) == []


def test_a_journal_that_was_applied_before_the_crash_counts_once(tmp_path):
    lost = Journal(tmp_path / "journal")
    engine = open_engine(tmp_path / "ledger.db")
    bring_up_to_date(engine)
    with engine.begin() as connection:
        rows.insert(connection, [record(1)])
    engine.dispose()
    lost.append(record(1))
    lost.append(record(2))
    lost.close()
    lock = lock_database(tmp_path / "ledger.db")
    sink = open_sink(tmp_path)
    assert sink.totals("key").requests == 2
    assert sink.recent(9) == (record(2), record(1))
    lock.close()
    assert sink.flush()
    assert sink.totals("key").requests == 2
    assert stored_ids(tmp_path) == ["gen-1", "gen-2"]
    sink.close()


def test_a_full_database_keeps_its_rows_and_takes_the_rest_later(tmp_path):
    """Fault row 30: SQLITE_FULL without a full disk, by a page limit on the writer's connection."""
    sink = open_sink(tmp_path)
    pages = query(tmp_path, "PRAGMA page_count")
    with sink._engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 3}")
    for number in range(200):
        sink.append(record(number))
    assert sink.flush(timeout_s=0) is False
    until(lambda: not sink.health().ok)
    assert "full" in sink.health().problem
    assert query(tmp_path, "PRAGMA integrity_check") == "ok"
    assert sink.totals("key").requests == 200
    with sink._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert sink.flush()
    assert stored_ids(tmp_path) == ids(range(200))
    assert query(tmp_path, "PRAGMA integrity_check") == "ok"
    sink.close()


def test_a_record_that_no_row_can_hold_does_not_hold_up_the_others(tmp_path):
    sink = open_sink(tmp_path)
    made = [record(1), record(2, input_tokens=2**64), record(3)]
    for one in made:
        sink.append(one)
    assert sink.flush()
    assert stored_ids(tmp_path) == ["gen-1", "gen-3"]
    assert sink.counters.rejected == 1
    assert (sink.health().ok, "1 records were refused" in sink.health().problem) == (False, True)
    kept = scan((tmp_path / "journal" / REJECTED).read_bytes(), 9)
    assert b"gen-2" in kept.payloads[0]
    assert sink.close()


def test_a_record_that_is_too_long_is_told_and_stops_nothing(tmp_path):
    with open_sink(tmp_path) as sink:
        with pytest.raises(RecordNotDurable, match="not in the ledger"):
            sink.append(record(1, user="u" * MAX_LINE))
        sink.append(record(2))
        assert sink.flush()
        assert (sink.counters.too_long, sink.counters.appended) == (1, 1)
        assert sink.health() == Health(
            ok=True, problem="1 records were too long to be written down and are lost"
        )


def test_damaged_lines_are_counted(tmp_path):
    lost = Journal(tmp_path / "journal")
    lost.append(record(1))
    lost.close()
    path = next((tmp_path / "journal").iterdir())
    path.write_bytes(path.read_bytes() + b"noise\n")
    with open_sink(tmp_path) as sink:
        assert sink.flush()
        assert (sink.counters.damaged, sink.counters.applied) == (1, 1)
        assert [name.endswith(".damaged") for name in journal_files(tmp_path)].count(True) == 1


def test_a_broken_database_refuses_to_start_and_leaves_no_thread(tmp_path):
    engine = open_engine(tmp_path / "ledger.db")
    METADATA.create_all(engine)
    engine.dispose()
    before = threading.active_count()
    with pytest.raises(MigrationError):
        open_sink(tmp_path)
    assert threading.active_count() == before


def test_reads_say_when_the_database_is_gone(tmp_path):
    sink = open_sink(tmp_path)
    lost = open_engine(tmp_path / "ledger.db")
    with lost.begin() as connection:
        for table in METADATA.sorted_tables:
            table.drop(connection)
    lost.dispose()
    sink.append(record(1))
    assert sink.generation("gen-1", "key") == record(1)
    for read in (
        lambda: sink.generation("gen-2", "key"),
        lambda: sink.totals("key"),
        lambda: sink.recent(1),
    ):
        with pytest.raises(StoreUnavailable, match="no such table"):
            read()
    assert sink.close() is False


def test_two_processes_may_share_a_database_and_a_folder(tmp_path):
    first, second = open_sink(tmp_path), open_sink(tmp_path)
    first.append(record(1))
    second.append(record(2))
    assert first.flush()
    assert second.flush()
    assert first.totals("key").requests == second.totals("key").requests == 2
    assert first.close()
    assert second.close()


def test_many_threads_may_append(tmp_path):
    sink = open_sink(tmp_path, segment_bytes=10_000)

    def produce(start):
        for number in range(start, start + 100):
            sink.append(record(number))

    threads = [threading.Thread(target=produce, args=(1_000 * count,)) for count in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.close()
    assert len(stored_ids(tmp_path)) == 400


CLIENT = """
import sys
from pathlib import Path
from arno.store.sink import StoreSink
from tests.ledger.records import record
folder = Path(sys.argv[1])
sink = StoreSink(folder / "ledger.db", folder / "journal", segment_bytes=4_000)
number = int(sys.argv[2])
while True:
    sink.append(record(number, exchanges=2))
    print(number, flush=True)
    number += 1
"""


def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path):
    """Fault row 27: kill between two appends, restart on what is left, several times."""
    acknowledged = []
    for round_number in range(3):
        start = 100_000 * round_number
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(tmp_path), str(start)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as client:
            for _ in range(60 + 70 * round_number):
                acknowledged.append(int(client.stdout.readline()))
            client.send_signal(signal.SIGKILL)
            acknowledged.extend(int(line) for line in client.stdout if line.endswith(b"\n"))
    sink = open_sink(tmp_path)
    assert sink.counters.orphans >= 1
    assert sink.close()
    found = stored_ids(tmp_path)
    assert set(ids(acknowledged)) <= set(found)
    assert len(found) == len(set(found)) <= len(acknowledged) + 3
    assert query(tmp_path, "SELECT count(*) FROM exchange") == 2 * len(found)
    assert journal_files(tmp_path) == []
