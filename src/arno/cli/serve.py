"""`arno serve`: the gateway over live providers and recorded models, with its ledger."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from arno.cli.configuration import configuration, ledger_folder
from arno.cli.estimates import LateEstimates
from arno.cli.options import (
    ENVIRON,
    DataFolderError,
    add_address,
    add_config,
    add_scale,
    folder,
)
from arno.cli.watch import stop_with_stdin
from arno.engine import Engine
from arno.engine.origins import Kept, MemoryOrigins
from arno.engine.prices import price_table
from arno.gateway import server
from arno.gateway.app import GatewayApp, create_app
from arno.gateway.config.resolve import Config
from arno.gateway.config.upstreams import LIVE
from arno.gateway.log import RequestLog
from arno.ledger.ports import Answers, Sink, SinkError
from arno.ledger.price import PriceTable
from arno.providers import Catalogue
from arno.providers.catalogue import REPLAY
from arno.store.sink import StoreSink
from arno.transport.live import LivePool
from arno.transport.replay import ReplayTransport

LEDGER = "ledger.db"
JOURNAL = "journal"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb; what is given goes before the configuration."""
    add_config(parser)
    add_address(parser, host=None, port=None)
    parser.add_argument(
        "--cassette",
        action="append",
        metavar="FILE_OR_FOLDER",
        help="recordings to serve models from (default: the built-in one; may be repeated)",
    )
    add_scale(parser, default=None)
    parser.add_argument("--key-file", type=Path, help="client keys, one `name:key` a line")
    parser.add_argument(
        "--data", type=folder, help="folder of the ledger (default: ARNO_DATA or the user's)"
    )
    parser.add_argument(
        "--offline", action="store_true", help="recorded models alone: no provider is asked"
    )
    parser.add_argument(
        "--until-stdin-ends",
        action="store_true",
        help="stop when standard input ends, for programs that start a gateway of their own",
    )
    parser.add_argument(
        "--cors",
        action="store_true",
        default=None,
        help="let web pages call it (needs client keys)",
    )


def execute(options: argparse.Namespace) -> int:
    """Serve until a signal; the URL is the first line of standard output."""
    config = configuration(options, ENVIRON)
    place, _ = ledger_folder(config, ENVIRON)
    log = RequestLog(secrets=config.secrets)
    sink = open_ledger(place)
    try:
        app, estimates = assemble(config, sink, log, answers=sink.answers, origins=sink.origins)

        def announce(url: str) -> None:
            server.say(url)
            print(f"arno: {summary(config, place)}", file=sys.stderr, flush=True)
            estimates.start()
            if options.until_stdin_ends:
                stop_with_stdin()

        return server.run(
            app,
            config.settings,
            inflight=app.gateway.inflight,
            log=log,
            wall_ns=app.gateway.clock.wall_ns,
            announce=announce,
        )
    finally:
        sink.close()


def summary(config: Config, ledger: Path) -> str:
    """What is served, for the operator: few models by name, many by number."""
    models = config.catalogue.models
    parts = [f"models: {', '.join(models) or 'none'}"]
    if config.live:
        providers = ", ".join(upstream.endpoint.slug for upstream in config.live)
        parts = [f"providers: {providers}", f"models: {len(models)}"]
    parts.append(f"ledger: {ledger}")
    if config.source.name:
        parts.append(f"configuration: {config.source.name}")
    return "; ".join(parts)


def open_ledger(folder: Path) -> StoreSink:
    """The ledger in `folder`, made if it is not there. Raises DataFolderError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return StoreSink(folder / LEDGER, folder / JOURNAL)
    except (OSError, SinkError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataFolderError(f"the ledger's folder {folder} cannot be used: {why}") from error


def assemble(
    config: Config,
    sink: Sink,
    log: RequestLog,
    *,
    answers: Answers | None = None,
    origins: Kept | None = None,
) -> tuple[GatewayApp, LateEstimates]:
    """The gateway's application, and the estimates to start when it serves.

    answers, origins: where those are kept beyond this process.
    """
    replay = ReplayTransport(
        [recording.cassette for recording in config.recordings], scale=config.scale
    )
    pool = LivePool(
        config.connections,
        config.ssl_context,
        per_host=config.per_host,
        proxies=config.proxies,
    )
    engine = Engine(
        catalogue=config.catalogue,
        prices=price_table(config.catalogue),
        transports={REPLAY: replay, LIVE: pool},
        sink=sink,
        upstream_key=config.upstream_key,
        signers=config.signers(pool, time.time),
        origins=MemoryOrigins(origins),
        settings=config.engine,
        deadlines_for=config.deadlines_for,
    )

    def use(catalogue: Catalogue, prices: PriceTable) -> None:
        """A catalogue with more rows, between two requests."""
        engine.catalogue, engine.prices = catalogue, prices
        app.gateway = msgspec.structs.replace(app.gateway, catalogue=catalogue, prices=prices)
        text = f"arno: models: {len(catalogue.models)}, estimates included"
        print(text, file=sys.stderr, flush=True)

    estimates = LateEstimates(config, use)
    app = create_app(
        config.settings,
        engine,
        config.catalogue,
        sink,
        keys=config.keys,
        log=log,
        closers=[estimates.aclose, replay.aclose, pool.aclose],
        answers=answers if config.settings.keep_answers else None,
    )
    return app, estimates
