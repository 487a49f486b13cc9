"""Cassette files from disk: order, bounds, and no way out of a named folder."""

import os

import pytest

from arno.cassette.errors import CassetteError
from arno.cassette.recordings import built_in, built_in_cassette
from arno.transport.files import FileLimits, load_cassettes

EMPTY = b"---\nversion: 2\ninteractions: []\n"


def plant(folder, *names, data=EMPTY):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names_of(folder, loaded):
    return [os.path.relpath(one.name, folder) for one in loaded]


def test_a_file_is_loaded_whatever_its_name(tmp_path):
    plant(tmp_path, "recording.txt", data=built_in_cassette())
    [loaded] = load_cassettes([tmp_path / "recording.txt"])
    assert loaded.cassette == built_in().cassette
    assert loaded.name == str(tmp_path / "recording.txt")


def test_a_folder_is_all_its_cassettes_in_the_order_of_their_paths(tmp_path):
    plant(tmp_path, "b.yaml", "a.yml", "z/c.YAML", "e/d.yaml", "notes.md", ".x.yaml", ".git/y.yaml")
    loaded = load_cassettes([str(tmp_path)])
    assert names_of(tmp_path, loaded) == ["a.yml", "b.yaml", "e/d.yaml", "z/c.YAML"]


def test_the_order_of_the_arguments_is_kept(tmp_path):
    plant(tmp_path, "z.yaml", "f/a.yaml")
    loaded = load_cassettes([tmp_path / "z.yaml", tmp_path / "f"])
    assert names_of(tmp_path, loaded) == ["z.yaml", "f/a.yaml"]


def test_a_link_inside_a_folder_is_followed_but_not_out_of_it(tmp_path):
    plant(tmp_path, "in/a.yaml", "out/b.yaml")
    (tmp_path / "in/link.yaml").symlink_to(tmp_path / "in/a.yaml")
    assert names_of(tmp_path, load_cassettes([tmp_path / "in"])) == ["in/a.yaml", "in/link.yaml"]
    (tmp_path / "in/away.yaml").symlink_to(tmp_path / "out/b.yaml")
    with pytest.raises(CassetteError, match=r"away\.yaml: the link leads out of"):
        load_cassettes([tmp_path / "in"])


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "a.yaml").symlink_to(tmp_path / "a.yaml")
    with pytest.raises(CassetteError, match=r"a\.yaml: Too many levels"):
        load_cassettes([tmp_path])


def test_a_folder_behind_a_link_is_not_entered(tmp_path):
    plant(tmp_path, "in/a.yaml", "out/b.yaml")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    assert names_of(tmp_path, load_cassettes([tmp_path / "in"])) == ["in/a.yaml"]


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(CassetteError, match="not a regular file"):
        load_cassettes([tmp_path])


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"{", "line [12]"), (b"version: 1\n", "version"), (b"\xff\xfe", "")],
)
def test_what_is_no_cassette_is_an_error_that_names_the_file(tmp_path, data, what):
    plant(tmp_path, "good.yaml")
    plant(tmp_path, "wrong.yaml", data=data)
    with pytest.raises(CassetteError, match=rf"wrong\.yaml: .*{what}"):
        load_cassettes([tmp_path])


@pytest.mark.parametrize(
    ("name", "what"), [("missing.yaml", "No such file"), ("empty", "no cassette")]
)
def test_what_is_not_there_is_an_error(tmp_path, name, what):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CassetteError, match=what):
        load_cassettes([tmp_path / name])


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (FileLimits(max_files=2), "more than 2 cassette files"),
        (FileLimits(max_file=len(EMPTY) - 1), r"a\.yaml: larger than"),
        (FileLimits(max_total=3 * len(EMPTY) - 1), r"c\.yaml: larger than"),
    ],
)
def test_beyond_a_bound_nothing_is_loaded(tmp_path, limits, what):
    plant(tmp_path, "a.yaml", "b.yaml", "c.yaml")
    with pytest.raises(CassetteError, match=what):
        load_cassettes([tmp_path], limits)


def test_up_to_the_bounds_all_is_loaded(tmp_path):
    plant(tmp_path, "a.yaml", "b.yaml")
    limits = FileLimits(max_files=2, max_file=len(EMPTY), max_total=2 * len(EMPTY))
    assert len(load_cassettes([tmp_path], limits)) == 2
