"""The whole product in one process: gateway, real engine, replay transport, SQLite ledger.

    with replaying(tmp_path, [SEED]) as url: ...

`CONVERSATIONS` are the recordings of case 0: the shipped one and, where it is here, the shared one.
"""

from contextlib import contextmanager

import pytest

from arno.cassette.index import NamedCassette
from arno.cassette.recordings import built_in
from arno.engine import Engine
from arno.engine.prices import price_table
from arno.providers import load_catalogue
from arno.store.sink import StoreSink
from arno.transport.files import load_cassettes
from arno.transport.replay import ReplayTransport
from tests.gateway.harness import gateway_app, running_gateway
from tests.shared import SHARED, needs_shared

CREATED = 1_773_323_480


def seed():
    """The shared conversation."""
    assert SHARED is not None
    [cassette] = load_cassettes([SHARED / "seed" / "tool_streaming.yaml"])
    return cassette


CONVERSATIONS = [
    pytest.param(built_in, id="shipped"),
    pytest.param(seed, id="seed", marks=needs_shared),
]


@contextmanager
def replaying(folder, cassettes: list[NamedCassette], **more):
    """The URL of a gateway that answers from cassettes without waiting, its ledger in `folder`."""
    transport = ReplayTransport(cassettes, scale=0)
    recorded = load_catalogue().with_recorded(transport.index.models(), created=CREATED)
    catalogue = recorded.only(["replay"])
    with StoreSink(folder / "ledger.db", folder / "journal") as sink:
        engine = Engine(
            catalogue=catalogue,
            prices=price_table(catalogue),
            transports={"replay": transport},
            sink=sink,
        )
        closers = [transport.aclose]
        app = gateway_app(engine, catalogue=catalogue, sink=sink, closers=closers, **more)
        with running_gateway(app) as url:
            yield url
