"""Files and folders of the ledger that nobody else may read, and no link leads away from.

Serves architecture 4.6. What is made here is for its owner alone; what was there and is ours is
tightened, since SQLite and earlier releases made it as the umask said.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700

SIDE_FILES = ("-journal", "-wal", "-shm")
"""What SQLite puts beside a database; it gives them the mode of the database."""


def make_folder(path: Path) -> None:
    """Make a folder (and those above it) for us alone; one that is there is left as it is."""
    path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)


def own_folder(path: Path) -> None:
    """Make a folder that holds nothing but ours, or tighten it. Raises OSError."""
    make_folder(path)
    _tighten(path, FOLDER_MODE)


def own_database(path: Path) -> None:
    """Make the file of an SQLite database before SQLite does, or tighten it and its side files.

    A link to a file that is there is the operator's choice; a link to nothing would let SQLite make
    a file where somebody else wants it. Raises OSError.
    """
    make_folder(path.parent)
    # Never open a file that is there: closing it would end SQLite's own locks in this process.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, FILE_MODE))
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"{path} is a link that leads to no file")
    real = path.resolve()
    _tighten(real, FILE_MODE)
    for name in SIDE_FILES:
        side = real.with_name(real.name + name)
        if side.is_symlink():
            raise FileExistsError(f"{side} is a link: SQLite must make this file itself")
        with contextlib.suppress(FileNotFoundError):
            _tighten(side, FILE_MODE)


def _tighten(path: Path, mode: int) -> None:
    """Take from others what they may do with a file or folder of ours."""
    found = path.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & ~mode:
        path.chmod(stat.S_IMODE(found.st_mode) & mode)
