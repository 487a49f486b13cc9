"""What an environment says of endpoints."""

import msgspec
import pytest

from arno.providers import CatalogueError, Endpoint, load_catalogue, switched_on, upstream_key
from arno.providers import usable as is_usable
from arno.providers.environment import placed

HOSTED = Endpoint(
    slug="one",
    name="One",
    dialect="chat",
    base_url="https://one.example/v1",
    key_env=("ONE_API_KEY", "ONE_TOKEN"),
)
LOCAL = Endpoint(
    slug="near",
    name="Near",
    dialect="chat",
    base_url="http://localhost:1/v1",
    key_env="NEAR_KEY",
    anonymous=True,
    base_url_env="NEAR_URL",
)
MOVED = msgspec.structs.replace(LOCAL, anonymous=False)
OPEN = Endpoint(slug="open", name="Open", dialect="chat", base_url="http://open.example")


@pytest.mark.parametrize(
    ("endpoint", "environ", "key", "usable", "on"),
    [
        (HOSTED, {}, None, False, False),
        (HOSTED, {"ONE_API_KEY": ""}, None, False, False),
        (HOSTED, {"ONE_API_KEY": "a"}, "a", True, True),
        (HOSTED, {"ONE_TOKEN": "b"}, "b", True, True),
        (HOSTED, {"ONE_API_KEY": "", "ONE_TOKEN": "b"}, "b", True, True),
        (HOSTED, {"ONE_TOKEN": "b", "ONE_API_KEY": "a"}, "a", True, True),
        (LOCAL, {}, None, True, False),
        (LOCAL, {"NEAR_URL": "http://gpu:1/v1"}, None, True, True),
        (LOCAL, {"NEAR_KEY": "c"}, "c", True, True),
        (MOVED, {"NEAR_URL": "http://gpu:1/v1"}, None, False, False),
        (MOVED, {"NEAR_KEY": "c"}, "c", True, True),
        (OPEN, {}, None, True, False),
        (OPEN, {"": "x"}, None, True, False),
    ],
)
def test_keys_and_switches(endpoint, environ, key, usable, on):
    assert upstream_key(endpoint, environ) == key
    assert is_usable(endpoint, environ) is usable
    assert switched_on(endpoint, environ) is on


@pytest.mark.parametrize(
    ("given", "base_url"),
    [
        (None, "http://localhost:1/v1"),
        ("", "http://localhost:1/v1"),
        ("http://gpu:8000/v1", "http://gpu:8000/v1"),
        ("https://gpu/v1//", "https://gpu/v1"),
    ],
)
def test_the_environment_moves_an_endpoint(given, base_url):
    assert placed(LOCAL, {} if given is None else {"NEAR_URL": given}).base_url == base_url


@pytest.mark.parametrize("given", ["gpu:8000", "file:///v1", "/"])
def test_a_bad_address_is_refused_with_its_variable(given):
    with pytest.raises(CatalogueError, match="NEAR_URL must be a base URL"):
        placed(LOCAL, {"NEAR_URL": given})


def test_a_catalogue_holds_what_is_switched_on():
    everything = load_catalogue().extended(endpoints=[HOSTED, LOCAL, OPEN])
    environ = {"ONE_TOKEN": "b", "NEAR_URL": "http://gpu:8000/v1", "OPENAI_BASE_URL": "http://me"}
    found = everything.from_environment(environ)
    assert {slug: row.base_url for slug, row in found.endpoints.items()} == {
        "one": "https://one.example/v1",
        "near": "http://gpu:8000/v1",
    }
    assert list(everything.from_environment({}).endpoints) == []
    assert list(everything.from_environment({}, also=["open", "replay"]).endpoints) == [
        "replay",
        "open",
    ]
    assert found.known.keys() == everything.endpoints.keys()
    with pytest.raises(KeyError):
        everything.from_environment(environ, also=["nobody"])
