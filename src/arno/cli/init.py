"""`arno init`: write a commented configuration to start from."""

from __future__ import annotations

import argparse
import os
from importlib.resources import files
from pathlib import Path

from arno.canon.failure import LocalError
from arno.gateway.config.load import FILE_NAME

STARTER = "starter.toml"


class InitError(LocalError):
    """The file cannot be written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "path",
        nargs="?",
        default=FILE_NAME,
        metavar="FILE",
        help=f"what to write (default {FILE_NAME}); a file that is there is never touched",
    )


def execute(options: argparse.Namespace) -> int:
    """Write the file for its owner's eyes. Raises InitError."""
    path = Path(options.path)
    if path.is_dir():
        path = path / FILE_NAME
    text = starter()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InitError(f"{path} is there already; it is left as it is") from error
    except OSError as error:
        raise InitError(f"{path} cannot be written: {error.strerror}") from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"{path} is written; `arno check` says what it would serve")
    return 0


def starter() -> str:
    """The text that is written."""
    return files("arno.gateway.config").joinpath(STARTER).read_text("utf-8")
