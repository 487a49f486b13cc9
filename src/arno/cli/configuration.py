"""The configuration as the commands read it: a file, this process's environment, their options."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from arno.cli.options import data_folder
from arno.gateway.config.load import Option, find, load
from arno.gateway.config.resolve import Config, resolve
from arno.providers import load_catalogue

_OPTIONS = {
    "host": ("server", "host"),
    "port": ("server", "port"),
    "cors": ("server", "cors"),
    "data": ("server", "data"),
    "cassette": ("replay", "cassettes"),
    "scale": ("replay", "scale"),
}
"""Options of the command line, and the keys that they stand for."""


def said(options: argparse.Namespace) -> tuple[Option, ...]:
    """What the command line says instead of the file."""
    values = {name: getattr(options, name, None) for name in _OPTIONS}
    return tuple(
        Option(_OPTIONS[name], f"--{name}", str(value) if isinstance(value, Path) else value)
        for name, value in values.items()
        if value is not None
    )


def configuration(options: argparse.Namespace, environ: Mapping[str, str]) -> Config:
    """The configuration of a command. Raises ConfigError; warnings go to stderr."""
    config = resolve(
        load(find(options.config, environ), said(options)),
        environ,
        load_catalogue(),
        created=int(time.time()),
        key_file=getattr(options, "key_file", None),
        offline=getattr(options, "offline", False),
    )
    for warning in config.warnings:
        print(f"arno: warning: {warning}", file=sys.stderr)
    return config


def ledger_folder(config: Config, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Where the ledger is kept, and who says so. Raises DataFolderError."""
    if config.data is None:
        return data_folder(environ)
    return config.data, config.source.origin(("server", "data"))
