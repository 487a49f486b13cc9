"""Keys in headers."""

import pytest

from arno.providers.auth import KEY_HEADERS, key_headers
from arno.providers.rows import SIGNED, Auth

SHOWN = [
    (Auth.BEARER, ("authorization", "Bearer k")),
    (Auth.X_API_KEY, ("x-api-key", "k")),
    (Auth.API_KEY, ("api-key", "k")),
    (Auth.X_GOOG_API_KEY, ("x-goog-api-key", "k")),
]


@pytest.mark.parametrize(("auth", "field"), SHOWN)
def test_a_key_is_put_where_the_endpoint_reads_it(auth, field):
    assert key_headers(auth, "k") == (field,)
    assert key_headers(auth, None) == ()


@pytest.mark.parametrize("auth", sorted([*SIGNED, Auth.NONE]))
def test_no_key_where_none_is_read(auth):
    assert key_headers(auth, "k") == ()


def test_every_way_is_tested():
    assert {auth for auth, _ in SHOWN} == set(KEY_HEADERS)
    assert set(KEY_HEADERS) | SIGNED | {Auth.NONE} == set(Auth)
