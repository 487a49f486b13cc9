"""`arno replay`: a server that answers from cassettes, and from nothing else."""

from __future__ import annotations

import argparse
import sys

from arno.cli.options import add_address, add_scale
from arno.gateway import server
from arno.gateway.replay import replay_app
from arno.gateway.settings import GatewaySettings
from arno.transport.files import load_cassettes
from arno.transport.replay import ReplayTransport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "cassettes", nargs="+", metavar="FILE_OR_FOLDER", help="recordings to answer from"
    )
    add_scale(parser)
    add_address(parser)
    parser.add_argument(
        "--public",
        action="store_true",
        help="serve the recordings to anybody who reaches the port, web pages too",
    )


def execute(options: argparse.Namespace) -> int:
    """Serve until a signal; the URL is the first line of standard output."""
    transport = ReplayTransport(load_cassettes(options.cassettes), scale=options.scale)
    settings = GatewaySettings(host=options.host, port=options.port)
    app = replay_app(transport, settings, public=options.public)

    def announce(url: str) -> None:
        server.say(url)
        print(f"arno: {summary(transport.index.models())}", file=sys.stderr, flush=True)

    return server.run(
        app,
        settings,
        inflight=app.inflight,
        log=app.log,
        wall_ns=app.clock.wall_ns,
        announce=announce,
    )


def summary(models: tuple[str, ...]) -> str:
    """What the recordings are of, for the operator."""
    return f"recorded models: {', '.join(models)}" if models else "no recording names a model"
