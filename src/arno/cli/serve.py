"""`arno serve`: the gateway over recorded models, with its ledger."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from arno.cassette.index import NamedCassette
from arno.cassette.recordings import built_in
from arno.cli.options import (
    ENVIRON,
    DataFolderError,
    add_address,
    add_scale,
    data_folder,
    folder,
)
from arno.cli.watch import stop_with_stdin
from arno.engine import Engine
from arno.engine.prices import price_table
from arno.gateway import keys, server
from arno.gateway.app import GatewayApp, create_app
from arno.gateway.keys import KeyRing
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings
from arno.ledger.ports import Sink, SinkError
from arno.providers import load_catalogue
from arno.store.sink import StoreSink
from arno.transport.files import load_cassettes
from arno.transport.replay import ReplayTransport

REPLAY = "replay"
LEDGER = "ledger.db"
JOURNAL = "journal"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to serve: cassettes, at which pace, to whom."""

    cassettes: tuple[NamedCassette, ...]
    scale: float
    settings: GatewaySettings
    keys: KeyRing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    add_address(parser)
    parser.add_argument(
        "--cassette",
        action="append",
        metavar="FILE_OR_FOLDER",
        help="recordings to serve models from (default: the built-in one; may be repeated)",
    )
    add_scale(parser, default=1.0)
    parser.add_argument("--key-file", type=Path, help="client keys, one `name:key` a line")
    parser.add_argument(
        "--data", type=folder, help="folder of the ledger (default: ARNO_DATA or the user's)"
    )
    parser.add_argument(
        "--until-stdin-ends",
        action="store_true",
        help="stop when standard input ends, for programs that start a gateway of their own",
    )
    parser.add_argument(
        "--cors", action="store_true", help="let web pages call it (needs client keys)"
    )


def execute(options: argparse.Namespace) -> int:
    """Serve until a signal; the URL is the first line of standard output."""
    log = RequestLog()
    plan = Plan(
        cassettes=recordings(options.cassette),
        scale=options.scale,
        settings=GatewaySettings(host=options.host, port=options.port, cors=options.cors),
        keys=client_keys(options.key_file, ENVIRON),
    )
    place = options.data or data_folder(ENVIRON)
    sink = open_ledger(place)
    try:
        app = assemble(plan, sink, log)

        def announce(url: str) -> None:
            server.say(url)
            models = ", ".join(app.gateway.catalogue.models) or "none"
            print(f"arno: models: {models}; ledger: {place}", file=sys.stderr, flush=True)
            if options.until_stdin_ends:
                stop_with_stdin()

        return server.run(
            app,
            plan.settings,
            inflight=app.gateway.inflight,
            log=log,
            wall_ns=app.gateway.clock.wall_ns,
            announce=announce,
        )
    finally:
        sink.close()


def recordings(paths: Iterable[str] | None) -> tuple[NamedCassette, ...]:
    """The named cassettes, or the built-in one."""
    return load_cassettes(paths) if paths else (built_in(),)


def client_keys(key_file: Path | None, environ: Mapping[str, str]) -> KeyRing:
    """Client keys of a file, else of the environment; warnings go to stderr."""
    if key_file is None:
        return keys.from_environment(environ)
    ring, warnings = keys.from_file(key_file)
    for warning in warnings:
        print(f"arno: warning: {warning}", file=sys.stderr)
    return ring


def open_ledger(folder: Path) -> StoreSink:
    """The ledger in `folder`, made if it is not there. Raises DataFolderError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return StoreSink(folder / LEDGER, folder / JOURNAL)
    except (OSError, SinkError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataFolderError(f"the ledger's folder {folder} cannot be used: {why}") from error


def assemble(plan: Plan, sink: Sink, log: RequestLog) -> GatewayApp:
    """The gateway's application over recorded models. Raises SettingsError."""
    replay = ReplayTransport(plan.cassettes, scale=plan.scale)
    catalogue = load_catalogue().only([REPLAY])
    catalogue = catalogue.with_recorded(replay.index.models(), created=int(time.time()))
    engine = Engine(
        catalogue=catalogue,
        prices=price_table(catalogue),
        transports={REPLAY: replay},
        sink=sink,
    )
    return create_app(
        plan.settings, engine, catalogue, sink, keys=plan.keys, log=log, closers=[replay.aclose]
    )
