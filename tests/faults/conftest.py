"""Fixtures that cost too much to make for every test."""

import pytest

from tests.transport.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory) -> Authority:
    """Needs the openssl program: tests that use it are marked `needs_openssl`."""
    return Authority(tmp_path_factory.mktemp("authority"))
