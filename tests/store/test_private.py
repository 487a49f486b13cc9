"""What the ledger leaves on disk is its owner's alone, and stands where it was asked for."""

import os
import stat

import pytest

from arno.ledger.ports import StoreUnavailable
from arno.store.private import SIDE_FILES, own_database, own_folder
from arno.store.sink import StoreSink
from tests.ledger.records import record


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    """As loose as a umask can be."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_nothing_of_a_new_ledger_is_for_others(tmp_path):
    folder = tmp_path / "data"
    with StoreSink(folder / "ledger.db", folder / "journal") as sink:
        sink.append(record(1))
        assert sink.flush()
        modes = {path.name: mode(path) for path in (folder, *folder.rglob("*"))}
    assert {"ledger.db-wal", "ledger.db-shm"} <= set(modes)
    assert [name for name, bits in modes.items() if bits & 0o077] == []


def test_files_that_others_could_read_are_tightened(tmp_path):
    paths = [tmp_path / f"ledger.db{side}" for side in ("", *SIDE_FILES)]
    for path in paths:
        path.touch()
        path.chmod(0o644)
    own_database(paths[0])
    assert [mode(path) for path in paths] == [0o600] * 4


def test_a_mode_that_is_tighter_stays(tmp_path):
    (tmp_path / "ledger.db").touch()
    (tmp_path / "ledger.db").chmod(0o400)
    own_database(tmp_path / "ledger.db")
    assert mode(tmp_path / "ledger.db") == 0o400


def test_the_folder_of_a_database_may_be_anybodys_and_stays(tmp_path):
    tmp_path.chmod(0o755)
    own_database(tmp_path / "ledger.db")
    assert mode(tmp_path) == 0o755
    own_folder(tmp_path)
    assert mode(tmp_path) == 0o700


def test_a_link_to_nothing_makes_no_file_there(tmp_path):
    (tmp_path / "ledger.db").symlink_to(tmp_path / "target")
    with pytest.raises(StoreUnavailable, match=r"ledger\.db is a link that leads to no file"):
        StoreSink(tmp_path / "ledger.db", tmp_path / "journal")
    assert not (tmp_path / "target").exists()


def test_a_link_to_a_file_is_the_operators_choice(tmp_path):
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "target"
    target.touch()
    target.chmod(0o644)
    (tmp_path / "ledger.db").symlink_to(target)
    with StoreSink(tmp_path / "ledger.db", tmp_path / "journal") as sink:
        sink.append(record(1))
        assert sink.flush()
        assert {path.name: mode(path) for path in target.parent.iterdir()} == {
            name: 0o600 for name in ("target", "target-wal", "target-shm")
        }


@pytest.mark.parametrize("side", SIDE_FILES)
def test_a_link_in_the_place_of_a_side_file_is_refused(tmp_path, side):
    (tmp_path / f"ledger.db{side}").symlink_to(tmp_path / "target")
    with pytest.raises(StoreUnavailable, match=f"ledger.db{side} is a link"):
        StoreSink(tmp_path / "ledger.db", tmp_path / "journal")
    assert not (tmp_path / "target").exists()
