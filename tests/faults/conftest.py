"""Fixtures that cost too much to make for every test."""

import os

import pytest

from tests.faults.world import running_world
from tests.sdk.clients import HELPERS, PLAIN
from tests.transport.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """Needs the openssl program: tests that use it are marked `needs_openssl`."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=[*PLAIN, *HELPERS])
def sdk(request, programs_folder):
    """Every official client in turn, see tests/sdk/clients.py."""
    return request.param(programs_folder)


@pytest.fixture(scope="session")
def programs_folder(tmp_path_factory):
    """One folder for all workers of this run, as in tests/sdk."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One gateway before two upstreams, see world.py."""
    with running_world(tmp_path_factory.mktemp("world")) as found:
        yield found
