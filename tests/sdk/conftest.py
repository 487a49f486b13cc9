"""What the tests of the official SDKs share: every client, and gateways that run."""

import os
from contextlib import ExitStack, contextmanager

import pytest

from tests.case0.cases import SHIPPED
from tests.sdk.clients import HELPERS, PLAIN
from tests.sdk.gateways import RIGHT_KEY, replay, serve


@pytest.fixture(scope="session")
def programs_folder(tmp_path_factory):
    """One folder for all workers of this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(params=[*PLAIN, *HELPERS])
def client(request, programs_folder):
    """Every official client in turn, see clients.py."""
    return request.param(programs_folder)


@pytest.fixture(params=PLAIN)
def plain_client(request, programs_folder):
    """Those clients that show headers and can ask for whole answers."""
    return request.param(programs_folder)


@contextmanager
def started_once(start, folder_of):
    """A function from a case to the URL of a process for it, started when first asked for."""
    urls = {}
    with ExitStack() as running:

        def find(case):
            if case.name not in urls:
                urls[case.name] = running.enter_context(start(folder_of(case.name), case))
            return urls[case.name]

        yield find


@pytest.fixture(scope="session")
def gateway_of(tmp_path_factory):
    """A function from a case to the URL of an `arno serve` over it."""
    with started_once(serve, tmp_path_factory.mktemp) as find:
        yield find


@pytest.fixture(scope="session")
def replay_of(tmp_path_factory):
    """A function from a case to the URL of an `arno replay` over it."""
    with started_once(replay, tmp_path_factory.mktemp) as find:
        yield find


@pytest.fixture(scope="session")
def locked_gateway(tmp_path_factory):
    """The URL of a gateway process that has client keys."""
    folder = tmp_path_factory.mktemp("locked")
    with serve(folder, SHIPPED, ARNO_KEYS=f"tests:{RIGHT_KEY}") as url:
        yield url
