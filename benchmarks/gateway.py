"""The gateway under test: `python -m benchmarks.gateway UPSTREAM DATA`; it prints its URL first.

The product's own server, application, engine, live transport and ledger (journal and SQLite), with
client keys and the request log. The catalogue alone is of this place. It serves the upstream's
scripts twice: `verbatim/<script>`, from a row that speaks the contract, so that bytes pass as they
came, and `restamped/<script>`, from a plain row, so that each document is written anew.
"""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from arno.engine import Engine
from arno.engine.prices import price_table
from arno.gateway.app import create_app
from arno.gateway.keys import KeyRing
from arno.gateway.log import RequestLog
from arno.gateway.settings import GatewaySettings
from arno.providers import Catalogue, Tables, load_catalogue
from arno.store.sink import StoreSink
from arno.transport.live import LiveLimits, LivePool
from benchmarks import native, sampler
from benchmarks.lanes import LANES, Lane
from benchmarks.scripts import scripts
from benchmarks.traffic import KEY

SAMPLER_OPTIONS = ("-shared", "-fPIC")

CONNECTIONS = 2000
"""Connections to the upstream: as many as streams are held open, and some."""

KINDS = {"verbatim": True, "restamped": False}
"""The endpoint rows by slug, and whether they speak the contract."""

_ENDPOINT = """
[[endpoint]]
slug = "{slug}"
name = "{slug}"
dialect = "chat"
base_url = "{url}/v1"
contract = {contract}
"""
_MODEL = """
[[model]]
id = "{slug}/{script}"
canonical_slug = "{slug}/{script}"
name = "{script}"
created = 1
[model.served]
{slug} = "{upstream}"
"""
_PRICE = """
[[price]]
endpoint = "{slug}"
model = "{slug}/{script}"
valid_from = "2020-01-01"
source = "benchmark"
input = "1"
output = "2"
"""


def catalogue(url: str, names: Iterable[str]) -> Catalogue:
    """Both rows, with a model and a price for each script."""
    pairs = [(slug, script) for script in names for slug in KINDS]
    endpoints = "".join(
        _ENDPOINT.format(slug=slug, url=url, contract=str(contract).lower())
        for slug, contract in KINDS.items()
    )
    models = "".join(
        # A contract row knows the model by the id it is asked for; a plain one has its own id.
        _MODEL.format(
            slug=slug, script=script, upstream=f"{slug if KINDS[slug] else 'up'}/{script}"
        )
        for slug, script in pairs
    )
    prices = "".join(_PRICE.format(slug=slug, script=script) for slug, script in pairs)
    tables = Tables(endpoints=endpoints, models=models, prices=prices, names="[slugs]\n")
    return load_catalogue(tables)


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal. Returns the exit code of the process."""
    parser = argparse.ArgumentParser(prog="benchmarks.gateway")
    parser.add_argument("upstream", help="its URL")
    parser.add_argument("data", type=Path, help="an empty folder for the ledger")
    parser.add_argument("--lane", choices=LANES, default="asgi", help="how it is driven")
    parser.add_argument("--trust", type=Path, help="the authority of the upstream's certificate")
    parser.add_argument("--profile", type=Path, help="where SIGUSR1 writes a profile")
    options = parser.parse_args(arguments)
    if options.profile:
        sampler.watch(options.profile, native.built("sampler", *SAMPLER_OPTIONS))
    trusted = ssl.create_default_context(cafile=options.trust) if options.trust else None
    return serve(options.upstream, options.data, LANES[options.lane], trusted)


def serve(upstream: str, folder: Path, lane: Lane, trusted: ssl.SSLContext | None) -> int:
    """Serve with a ledger in `folder` until a signal."""
    settings = GatewaySettings()
    rows = catalogue(upstream, scripts())
    limits = LiveLimits(max_connections_per_host=CONNECTIONS, max_idle_per_host=CONNECTIONS)
    pool = LivePool(limits, ssl_context=trusted)
    with (
        StoreSink(folder / "ledger.db", folder / "journal") as sink,
        open(os.devnull, "w", encoding="utf-8") as sheet,
    ):
        log = RequestLog(sheet)
        engine = Engine(
            catalogue=rows, prices=price_table(rows), transports={"live": pool}, sink=sink
        )
        keys = KeyRing([("bench", KEY)])
        app = create_app(settings, engine, rows, sink, keys=keys, log=log, closers=[pool.aclose])
        return lane(app, settings, log)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
