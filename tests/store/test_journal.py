"""The journal: written whole or not at all, adopted by the next process, removed when applied."""

import os
import resource
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.ledger.ports import RecordNotDurable, StoreUnavailable
from arno.store.framing import encode_line
from arno.store.journal import REJECTED, SUFFIX, Journal
from arno.store.segment import MAX_LINE, Segment, take_lock
from tests.ledger.records import full_record, record


def files(folder, suffix=SUFFIX):
    return sorted(folder.glob("*" + suffix))


def waiting(journal, about=""):
    with journal.unapplied(about) as records:
        return list(records)


def drain(journal, size=100):
    """Apply everything; what was handed out, in order."""
    out = []
    while batch := journal.next_batch(size):
        out.extend(batch.records)
        journal.applied(batch)
    return out


def abandon(journal):
    """End as a killed process does: the locks are gone, the files stay."""
    for segment in journal._segments:
        segment.close()


def test_records_are_handed_out_in_order_until_applied(tmp_path):
    journal = Journal(tmp_path)
    made = [record(1), full_record(), record(2)]
    for one in made:
        journal.append(one)
    first = journal.next_batch(2)
    assert (list(first.records), journal.pending()) == (made[:2], 3)
    assert list(journal.next_batch(2).records) == made[:2]
    journal.applied(first)
    assert (journal.pending(), waiting(journal)) == (1, made[2:])
    assert drain(journal) == made[2:]
    assert journal.next_batch(2) is None
    assert (journal.pending(), waiting(journal)) == (0, [])


def test_only_the_owner_may_read_the_files(tmp_path):
    Journal(tmp_path / "j").append(record())
    assert (tmp_path / "j").stat().st_mode & 0o077 == 0
    assert files(tmp_path / "j")[0].stat().st_mode & 0o077 == 0


def test_a_folder_that_others_could_read_is_tightened(tmp_path):
    (tmp_path / "j").mkdir()
    (tmp_path / "j").chmod(0o755)
    Journal(tmp_path / "j")
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_folder_is_no_journal(tmp_path):
    (tmp_path / "elsewhere").write_bytes(b"kept")
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "lost.journal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match=r"lost\.journal"):
        Journal(tmp_path / "j")
    assert (tmp_path / "elsewhere").read_bytes() == b"kept"


def test_records_are_not_set_aside_behind_a_link(tmp_path):
    journal = Journal(tmp_path / "j")
    (tmp_path / "j" / REJECTED).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=REJECTED):
        journal.reject(record(1))
    assert not (tmp_path / "elsewhere").exists()


def test_a_living_journal_is_left_alone(tmp_path):
    first = Journal(tmp_path)
    first.append(record(1))
    second = Journal(tmp_path)
    assert (second.orphans, second.next_batch(10)) == (0, None)
    assert drain(first) == [record(1)]


def test_an_orphan_is_adopted_once_and_removed_when_applied(tmp_path):
    lost = Journal(tmp_path)
    lost.append(record(1))
    abandon(lost)
    heir, other = Journal(tmp_path), Journal(tmp_path)
    assert (heir.orphans, other.orphans) == (1, 0)
    assert (heir.pending(), waiting(heir)) == (1, [record(1)])
    assert drain(heir) == [record(1)]
    assert len(files(tmp_path)) == 2  # those of the two that live


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_worth_nothing(tmp_path):
    path = tmp_path / "gone.journal"
    with path.open("wb") as file:
        assert take_lock(file.fileno(), path)
        path.unlink()
        assert not take_lock(file.fileno(), path)
        path.touch()
        assert not take_lock(file.fileno(), path)
    assert Segment.adopt(tmp_path / "never.journal") is None


@pytest.mark.parametrize("length", [5, 5_000])
def test_bytes_that_could_not_be_taken_back_are_written_over(tmp_path, length):
    journal = Journal(tmp_path)
    journal.append(record(1))
    with files(tmp_path)[0].open("ab") as file:
        file.write(b"torn " * length)
    journal.append(record(2))
    journal.append(record(3))
    assert waiting(journal) == [record(1), record(2), record(3)]
    abandon(journal)
    assert drain(Journal(tmp_path)) == [record(1), record(2), record(3)]


def test_closing_removes_what_is_applied_and_keeps_the_rest(tmp_path):
    journal = Journal(tmp_path)
    journal.append(record(1))
    drain(journal)
    journal.close()
    assert files(tmp_path) == []
    journal = Journal(tmp_path)
    journal.append(record(2))
    journal.close()
    with pytest.raises(RecordNotDurable, match="closed"):
        journal.append(record(3))
    assert drain(Journal(tmp_path)) == [record(2)]


def test_full_files_are_followed_by_new_ones_and_removed_one_by_one(tmp_path):
    journal = Journal(tmp_path, segment_bytes=1)
    made = [record(number) for number in range(5)]
    for one in made:
        journal.append(one)
    assert len(files(tmp_path)) == 5
    assert waiting(journal) == made
    assert drain(journal) == made
    assert len(files(tmp_path)) == 1
    abandon(journal)
    assert Journal(tmp_path).orphans == 1


@pytest.mark.parametrize("cut", [1, 10, 40, -20, -1])
def test_a_torn_tail_is_dropped_with_what_was_never_acknowledged(tmp_path, cut):
    lost = Journal(tmp_path)
    lost.append(record(1))
    lost.append(record(2))
    abandon(lost)
    path = files(tmp_path)[0]
    data = path.read_bytes()
    first_end = data.index(b"\n") + 1
    path.write_bytes(data[:first_end] + data[first_end:][:cut])
    heir = Journal(tmp_path)
    assert waiting(heir) == [record(1)]
    assert drain(heir) == [record(1)]
    assert heir.pending() == 0
    assert files(tmp_path, ".damaged") == []


@pytest.mark.parametrize(
    "line",
    [b"12:00000000:{}\n", b"noise\n", encode_line(b"{}"), encode_line(b'{"generation":1}')],
    ids=["checksum", "noise", "no record", "wrong types"],
)
def test_a_damaged_line_is_skipped_counted_and_kept_aside(tmp_path, line):
    lost = Journal(tmp_path)
    lost.append(record(1))
    abandon(lost)
    path = files(tmp_path)[0]
    path.write_bytes(line + path.read_bytes())
    heir = Journal(tmp_path)
    assert waiting(heir) == [record(1)]
    batch = heir.next_batch(10)
    assert (batch.records, batch.damaged, batch.lines) == ((record(1),), 1, 2)
    heir.applied(batch)
    assert heir.next_batch(10) is None
    assert [kept.name for kept in files(tmp_path, ".damaged")] == [path.stem + ".damaged"]


def test_noise_longer_than_any_line_is_kept_aside(tmp_path):
    (tmp_path / "lost.journal").write_bytes(b"x" * (3 * MAX_LINE))
    heir = Journal(tmp_path)
    batch = heir.next_batch(10)
    assert (batch.records, batch.damaged) == ((), 1)
    heir.applied(batch)
    assert heir.next_batch(10) is None
    assert [kept.name for kept in files(tmp_path, ".damaged")] == ["lost.damaged"]


def test_lines_longer_than_one_read_are_read(tmp_path):
    journal = Journal(tmp_path)
    long = record(1, user="u" * 700_000)
    journal.append(long)
    journal.append(record(2))
    assert drain(journal) == [long, record(2)]


def test_a_line_without_bounds_is_refused_and_leaves_no_trace(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(RecordNotDurable, match=r"has \d+ bytes .* it is not in the ledger"):
        journal.append(record(1, user="u" * MAX_LINE))
    journal.append(record(2))
    assert (journal.too_long, journal.appended) == (1, 1)
    assert drain(journal) == [record(2)]


def test_reading_can_be_narrowed_to_what_matters(tmp_path):
    journal = Journal(tmp_path)
    odd = record(1, key_id='a "key"\\ with \N{SNOWMAN}')
    journal.append(odd)
    journal.append(record(2))
    assert waiting(journal, odd.generation.key_id) == [odd]
    assert waiting(journal, "gen-2") == [record(2)]


@pytest.fixture
def disk_of():
    """Limit the size that a file may reach, as a full disk would, for as long as the test runs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield limit
    limit(None)


def test_a_full_disk_takes_a_record_whole_or_not_at_all(tmp_path, disk_of):
    journal = Journal(tmp_path)
    journal.append(record(1))
    size = files(tmp_path)[0].stat().st_size
    for room in range(size):
        disk_of(size + room)
        with pytest.raises(RecordNotDurable, match="cannot write the journal"):
            journal.append(record(2, user="u" * size))
        assert files(tmp_path)[0].stat().st_size == size
    disk_of(None)
    journal.append(record(3))
    assert (journal.appended, journal.pending()) == (2, 2)
    assert drain(journal) == [record(1), record(3)]


def test_no_room_for_a_new_file_lets_the_old_one_grow(tmp_path):
    journal = Journal(tmp_path / "j", segment_bytes=1)
    journal.append(record(1))
    (tmp_path / "j").rename(tmp_path / "moved")
    journal.append(record(2))
    assert drain(journal) == [record(1), record(2)]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot open a journal"):
        Journal(tmp_path / "file" / "journal")


def test_rejected_records_are_kept_in_the_same_format(tmp_path):
    journal = Journal(tmp_path)
    journal.reject(record(1))
    journal.reject(record(2))
    assert (tmp_path / REJECTED).read_bytes().count(b"\n") == 2
    assert Journal(tmp_path).orphans == 0


@pytest.mark.parametrize("fsync", [True, False])
def test_a_record_is_synced_before_it_is_acknowledged_when_asked(tmp_path, monkeypatch, fsync):
    synced, real = [], os.fdatasync

    def watched(fd):
        real(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", watched)
    journal = Journal(tmp_path, fsync=fsync)
    for number in range(2):
        journal.append(record(number))
        assert synced[number:] == ([files(tmp_path)[0].stat().st_size] if fsync else [])


HOLDER = """
import sys
from pathlib import Path
from arno.store.journal import Journal
from tests.ledger.records import record
journal = Journal(Path(sys.argv[1]))
journal.append(record(7))
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_lock_ends_with_the_process_that_holds_it(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout.readline() == b"ready\n"
        assert Journal(tmp_path).orphans == 0
        holder.kill()
        holder.wait()
        assert waiting(Journal(tmp_path)) == [record(7)]


ACTIONS = st.lists(
    st.one_of(
        st.just("append"), st.just("crash"), st.just("torn"), st.integers(1, 3), st.just("lose")
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(actions=ACTIONS, segment_bytes=st.sampled_from([1, 1500, 10**6]))
def test_any_order_of_appends_applying_and_crashes_gives_each_record(
    tmp_path_factory, actions, segment_bytes
):
    """append; N: apply a batch of N; lose: it reached the database, the mark did not; crash."""
    folder = tmp_path_factory.mktemp("journal")
    journal, acknowledged, stored = Journal(folder, segment_bytes=segment_bytes), [], []

    def restart(torn=b""):
        nonlocal journal
        active = journal._active.path
        abandon(journal)
        with active.open("ab") as file:
            file.write(torn)
        journal = Journal(folder, segment_bytes=segment_bytes)

    for action in actions:
        if action == "append":
            made = record(len(acknowledged))
            journal.append(made)
            acknowledged.append(made)
        elif action == "crash":
            restart()
        elif action == "torn":
            restart(b'300:12345678:{"generation":{"id":"gen-torn"')
        elif batch := journal.next_batch(2 if action == "lose" else action):
            stored.extend(batch.records)
            if action == "lose":
                restart()
            else:
                journal.applied(batch)
    applied_or_waiting = {one.generation.id for one in (*stored, *waiting(journal))}
    assert applied_or_waiting == {one.generation.id for one in acknowledged}
    stored.extend(drain(journal, 2))
    assert {one.generation.id: one for one in stored} == {
        one.generation.id: one for one in acknowledged
    }
    journal.close()
    assert list(folder.iterdir()) == []
