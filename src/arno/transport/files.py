"""Cassette files and folders from disk: bounded, and never a way out of a named folder.

A folder stands for every `*.yaml` and `*.yml` below it in the order of their paths; names that
begin with a dot are left out. What cannot be read is an error that names the file, never skipped:
a replay that silently lacks a recording would fail in a place that does not tell why.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from arno.cassette.errors import CassetteError
from arno.cassette.govcr import load
from arno.cassette.index import NamedCassette
from arno.cassette.model import Cassette

SUFFIXES = (".yaml", ".yml")


class FileLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one load; sizes in bytes."""

    max_files: int = 10_000
    max_file: int = 64 * 1024 * 1024
    max_total: int = 512 * 1024 * 1024


DEFAULT_LIMITS = FileLimits()


def load_cassettes(
    paths: Iterable[str | Path], limits: FileLimits = DEFAULT_LIMITS
) -> tuple[NamedCassette, ...]:
    """The cassettes in the named files and folders, in the order given, named by their paths.

    Raises CassetteError, naming the file, for what is missing, unreadable, beyond a bound or no
    cassette; for a link that leads out of its folder; for a folder without any cassette.
    """
    loaded: list[NamedCassette] = []
    left = limits.max_total
    for path in _expand(paths):
        if len(loaded) == limits.max_files:
            raise CassetteError(f"{path}: more than {limits.max_files} cassette files")
        data = _read(path, min(limits.max_file, left))
        left -= len(data)
        loaded.append(NamedCassette(_load(path, data), str(path)))
    return tuple(loaded)


def _expand(paths: Iterable[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if not os.path.isdir(path):  # unlike Path.is_dir, False for what cannot be looked at
            yield path
            continue
        found = False
        for inner in _below(path):
            found = True
            yield inner
        if not found:
            raise CassetteError(f"{path}: no cassette ({', '.join(SUFFIXES)}) in this folder")


def _below(folder: Path) -> Iterator[Path]:
    """The cassette files below a folder; folders behind links are not entered."""
    root = _real(folder)
    for place, folders, names in os.walk(folder, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            if path.is_symlink() and not _real(path).is_relative_to(root):
                raise CassetteError(f"{path}: the link leads out of {folder}")
            yield path


def _real(path: Path) -> Path:
    """Where a path leads; a link that leads to itself is itself (and cannot be opened)."""
    return Path(os.path.realpath(path))


def _refuse_folder(error: OSError) -> None:
    raise CassetteError(f"{error.filename}: {error.strerror}") from error


def _read(path: Path, limit: int) -> bytes:
    """The file's bytes. Only regular files: a pipe or a device could deliver for ever."""
    try:
        # Opening a pipe would wait for its other end.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CassetteError(f"{path}: not a regular file")
            data = file.read(limit + 1)
    except OSError as error:
        raise CassetteError(f"{path}: {error.strerror}") from error
    if len(data) > limit:
        raise CassetteError(f"{path}: larger than {limit} bytes, or more than that in all")
    return data


def _load(path: Path, data: bytes) -> Cassette:
    try:
        return load(data)
    except CassetteError as error:
        raise CassetteError(f"{path}: {error}") from error
