"""Options that several verbs share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from arno.canon.failure import LocalError

HOST, PORT, SCALE = "127.0.0.1", 0, 1.0


def add_address(
    parser: argparse.ArgumentParser, host: str | None = HOST, port: int | None = PORT
) -> None:
    """Where a server listens; host and port: what stands for an option that is not given."""
    parser.add_argument(
        "--host", default=host, help="address to listen on (default: this machine only)"
    )
    parser.add_argument(
        "--port", type=int, default=port, help="port to listen on (default 0: a free one)"
    )


def add_scale(parser: argparse.ArgumentParser, default: float | None = SCALE) -> None:
    """How fast a recording is played; default: what stands for an option that is not given."""
    parser.add_argument(
        "--scale",
        type=scale,
        default=default,
        metavar="FACTOR",
        help=f"recorded time times this: 1 as recorded, 0 without waiting (default {SCALE:g})",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Which configuration is read."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="the configuration (default: ARNO_CONFIG, else ./arno.toml if it is there)",
    )


def scale(text: str) -> float:
    """A factor of 0 or more. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, not {text!r}")
    return value


def data_folder(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Where the ledger is kept unless told otherwise, and who says so: ARNO_DATA, else the user's
    data folder. Raises DataFolderError where there is no user to keep it for.
    """
    given = environ.get("ARNO_DATA")
    if given:
        return Path(given), "environment ARNO_DATA"
    base = environ.get("XDG_DATA_HOME")
    if base:
        return Path(base) / "arno", "environment XDG_DATA_HOME"
    home = environ.get("HOME")
    if not home:
        raise DataFolderError(
            "no HOME to keep the ledger in: name a folder with --data or ARNO_DATA"
        )
    return Path(home) / ".local" / "share" / "arno", "default"


def folder(text: str) -> Path:
    """A path that was named. Raises ArgumentTypeError for an empty one."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path names no folder")
    return Path(text)


class DataFolderError(LocalError):
    """The folder of the ledger cannot be used."""


ENVIRON: Mapping[str, str] = os.environ
"""The process's environment."""
