"""What every sink does, held over all: in memory, on disk and pending, on disk and applied."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings

from arno.ledger.ports import Health, Sink, Totals
from arno.store.memory import MemorySink
from arno.store.sink import StoreSink
from tests.ledger.records import RECORD_LISTS, full_record, record
from tests.store.locks import lock_database


@pytest.fixture(params=["memory", "pending", "applied", "half"])
def sink(request, tmp_path):
    """`settle()` brings the records appended so far to where the parameter wants them."""
    if request.param == "memory":
        made = MemorySink()
        made.settle = lambda: None
        yield made
        return
    made = StoreSink(tmp_path / "ledger.db", tmp_path / "journal", segment_bytes=2_000)
    lock = lock_database(tmp_path / "ledger.db") if request.param == "pending" else None
    made.settle = made.flush if request.param == "applied" else lambda: None
    yield made
    if lock:
        lock.close()
    made.close()


def both(stored: StoreSink, memory: MemorySink) -> tuple[Sink, Sink]:
    """Holds the classes to the Protocol, for the type checker."""
    return stored, memory


def test_with_nothing_appended_it_is_well_and_empty(sink):
    assert sink.health() == Health(ok=True)
    assert (sink.recent(9), sink.totals("key")) == ((), Totals())


def test_a_record_is_found_by_our_id_and_by_the_upstreams(sink):
    made = record(1, exchanges=3)
    sink.append(made)
    sink.settle()
    assert sink.generation("gen-1", "key") == made
    assert sink.generation("up-1", "key") == made


def test_every_field_is_kept(sink):
    sink.append(full_record())
    sink.settle()
    assert sink.recent(1) == (full_record(),)


def test_another_key_sees_nothing(sink):
    sink.append(record(1))
    sink.settle()
    assert sink.generation("gen-1", "other") is None
    assert sink.generation("up-1", "other") is None
    assert sink.totals("other") == Totals()


def test_our_id_wins_then_the_newest_of_the_upstreams(sink):
    sink.append(record(1, upstream_id="gen-9"))
    sink.append(record(3, upstream_id="gen-9"))
    sink.settle()
    sink.append(record(2, upstream_id="gen-9"))
    assert sink.generation("gen-9", "key") == record(3, upstream_id="gen-9")
    oldest = record(0, id="gen-9")
    sink.append(oldest)
    assert sink.generation("gen-9", "key") == oldest
    sink.settle()
    assert sink.generation("gen-9", "key") == oldest


def test_unknown_ids_are_none(sink):
    sink.append(record(1, upstream_id=None))
    sink.settle()
    for unknown in ("", "gen", "gen-2", "key", "None"):
        assert sink.generation(unknown, "key") is None


def test_a_record_appended_again_counts_once(sink):
    for _ in range(2):
        sink.append(record(1))
    sink.settle()
    sink.append(record(1))
    assert sink.totals("key").requests == 1
    assert sink.recent(9) == (record(1),)


def test_the_newest_come_first(sink):
    for number in (3, 1, 4):
        sink.append(record(number))
    sink.settle()
    sink.append(record(2))
    assert [one.generation.id for one in sink.recent(3)] == ["gen-4", "gen-3", "gen-2"]
    assert sink.recent(0) == ()


def test_totals_can_start_at_a_time(sink):
    for number in (1, 2, 3):
        sink.append(record(number, cost_nano=10**number))
    sink.settle()
    since = record(2).generation.created_at_ms
    assert sink.totals("key", since).cost_nano == 1_100
    assert sink.totals("key").cost_nano == 1_110


def test_unknown_costs_are_counted_never_added_as_nothing(sink):
    sink.append(record(1, cost_nano=None, cost_basis="unpriced"))
    sink.append(record(2, exchanges=0, cost_nano=None, state="refused", input_tokens=None))
    sink.append(record(3, cost_nano=0))
    sink.settle()
    assert sink.totals("key") == Totals(
        requests=3, cost_nano=0, unpriced_requests=1, input=136, output=93
    )


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(RECORD_LISTS)
def test_the_sum_of_rows_is_the_total(tmp_path_factory, records):
    folder = tmp_path_factory.mktemp("sinks")
    stored = StoreSink(folder / "ledger.db", folder / "journal", segment_bytes=1_000)
    memory = MemorySink()
    for one in records:
        stored.append(one)
        memory.append(one)
    for _ in range(2):
        for key_id in ("a", "b"):
            kept = [one for one in memory.recent(99) if one.generation.key_id == key_id]
            sums = Totals()
            for one in kept:
                sums = sums.plus(one)
            assert stored.totals(key_id) == memory.totals(key_id) == sums
        assert stored.recent(99) == memory.recent(99)
        assert stored.flush()
    assert stored.close()


def test_reads_are_exact_while_records_are_being_applied(tmp_path):
    """Each answer lies between what was appended before the question and before the answer."""
    with StoreSink(tmp_path / "ledger.db", tmp_path / "journal", segment_bytes=5_000) as sink:
        total, done = 600, threading.Event()

        def produce():
            for number in range(total):
                sink.append(record(number, cost_nano=1))
                if number % 20 == 0:
                    sink.flush()
            done.set()

        producer = threading.Thread(target=produce)
        producer.start()
        while not done.is_set():
            before = sink.counters.appended
            found = sink.totals("key")
            after = sink.counters.appended + 1  # one may be written and not yet counted
            assert before <= found.requests <= after
            assert found.cost_nano == found.requests
        producer.join()
        assert sink.totals("key").requests == total


def test_memory_keeps_the_newest_and_exact_sums():
    sink = MemorySink(capacity=2)
    for number in range(5):
        sink.append(record(number, cost_nano=10**number))
    assert [one.generation.id for one in sink.recent(9)] == ["gen-4", "gen-3"]
    assert sink.generation("gen-2", "key") is None
    assert sink.totals("key") == Totals(5, 11_111, 0, 340, 155)
    assert sink.totals("key", 1).requests == 2


@pytest.mark.parametrize(
    ("state", "unpriced"),
    [("success", 1), ("cancelled", 1), ("truncated", 1), ("error", 0), ("refused", 0)],
)
def test_an_answer_that_was_an_error_costs_nothing_unknown(sink, state, unpriced):
    """A refused or unmatched request must not look like spending that nobody knows of."""
    sink.append(record(1, state=state, cost_nano=None, cost_basis="unpriced"))
    assert sink.totals("key").unpriced_requests == unpriced
    sink.settle()
    assert sink.totals("key").unpriced_requests == unpriced
