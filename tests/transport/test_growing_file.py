"""A file that grows: whole at every moment, at a cost of what was added, whoever meddles."""

import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arno.transport import growing_file
from arno.transport.growing_file import GrowingFile

TAIL = b"the end\n"


def grow(file, count, size=100):
    """Add pieces one by one, saving after each."""
    pieces = []
    for number in range(count):
        pieces.append(b"%d" % number + b"x" * size)
        file.save(pieces, TAIL, len(pieces) - 1)
    return b"".join(pieces) + TAIL


@pytest.mark.parametrize("twin_from", [0, 1 << 30])
def test_it_holds_what_was_saved_last(tmp_path, twin_from):
    file = GrowingFile(tmp_path / "a", twin_from=twin_from)
    wanted = grow(file, 5)
    assert file.path.read_bytes() == wanted
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_cost_is_what_was_added_and_not_the_square(tmp_path):
    """Control: without the hidden copy the same saves write the square."""
    count, size = 200, 1000
    twin, whole = (GrowingFile(tmp_path / n, twin_from=t) for n, t in (("a", 0), ("b", 1 << 30)))
    assert grow(twin, count, size) == grow(whole, count, size)
    assert twin.path.read_bytes() == whole.path.read_bytes()
    assert twin.written < 3 * count * size
    assert whole.written > count * count * size / 3


STEPS = st.lists(
    st.tuples(
        st.integers(0, 20),
        st.sampled_from(["", "touch the file", "drop the file", "touch the copy", "drop the copy"]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=60)
@given(STEPS)
def test_pieces_may_change_anywhere_and_others_may_meddle(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("f")
    file = GrowingFile(folder / "a", twin_from=0)
    pieces = [b"head"]
    for number, (place, meddling) in enumerate(steps):
        meddle(folder, meddling)
        place = min(place, len(pieces))
        pieces[place:] = [b"<%d>" % number, *(piece + b"'" for piece in pieces[place:])]
        file.save(pieces, TAIL, place)
        assert file.path.read_bytes() == b"".join(pieces) + TAIL
    file.close()
    assert {path.name for path in folder.iterdir()} <= {"a"}


def meddle(folder, what):
    """Somebody else writes into one of the copies, or removes it."""
    paths = [p for p in folder.iterdir() if p.name.startswith(".") == what.endswith("copy")]
    for path in paths if what else []:
        if what.startswith("touch"):
            path.write_bytes(path.read_bytes() + b"!")
        else:
            path.unlink()


def test_whoever_holds_the_file_open_keeps_what_was_saved_then(tmp_path):
    """A reader sees one whole state: what it has open is not written to before the next save, and
    a name that it opens anew is whole again."""
    file = GrowingFile(tmp_path / "a", twin_from=0)
    file.save([b"1"], TAIL, 0)
    with file.path.open("rb") as reader:
        file.save([b"1", b"2"], TAIL, 1)
        assert reader.read() == b"1" + TAIL
    assert file.path.read_bytes() == b"12" + TAIL


def test_without_hard_links_it_is_written_whole(tmp_path, monkeypatch):
    def refuse(*_paths):
        raise PermissionError

    monkeypatch.setattr(growing_file.os, "link", refuse)
    file = GrowingFile(tmp_path / "a", twin_from=0)
    assert grow(file, 4) == file.path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_save_that_fails_leaves_the_file_and_the_next_one_makes_good(tmp_path, monkeypatch):
    file = GrowingFile(tmp_path / "a", twin_from=0)
    before = grow(file, 3)
    pieces = [b"0", b"1", b"2", b"3"]
    with monkeypatch.context() as patch:
        patch.setattr(growing_file.os, "replace", refuse_to_replace)
        with pytest.raises(OSError, match="full"):
            file.save(pieces, TAIL, 0)
    assert file.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    file.save(pieces, TAIL, 4)
    assert file.path.read_bytes() == b"0123" + TAIL


def refuse_to_replace(*_paths):
    raise OSError(28, "the disk is full")


@pytest.mark.parametrize("twin_from", [0, 1 << 30])
def test_every_copy_is_for_its_owner_alone_and_a_chosen_mode_stays(tmp_path, twin_from):
    file = GrowingFile(tmp_path / "a", twin_from=twin_from)
    grow(file, 3)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    file.path.chmod(0o640)
    file.save([b"1"], TAIL, 0)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o640
