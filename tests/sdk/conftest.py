"""What the tests of the official SDKs share: every client, and gateways that run."""

import os
from contextlib import ExitStack

import pytest

from tests.case0.cases import SHIPPED
from tests.sdk.clients import CLIENTS
from tests.sdk.gateways import serve

RIGHT_KEY = "sk-arno-sdk-tests-right"
"""The one key that `locked_gateway` knows."""


@pytest.fixture(scope="session")
def programs_folder(tmp_path_factory):
    """One folder for all workers of this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(params=CLIENTS)
def client(request, programs_folder):
    """Every official client in turn: a function from a job to what was read (see clients.py)."""
    return request.param(programs_folder)


@pytest.fixture(scope="session")
def gateway_of(tmp_path_factory):
    """A function from a case to the URL of a gateway process that serves it, started once."""
    with ExitStack() as running:

        def start(case):
            return running.enter_context(serve(tmp_path_factory.mktemp(case.name), case))

        urls = {}
        yield lambda case: urls.get(case.name) or urls.setdefault(case.name, start(case))


@pytest.fixture(scope="session")
def locked_gateway(tmp_path_factory):
    """The URL of a gateway process that has client keys."""
    folder = tmp_path_factory.mktemp("locked")
    with serve(folder, SHIPPED, ARNO_KEYS=f"tests:{RIGHT_KEY}") as url:
        yield url
