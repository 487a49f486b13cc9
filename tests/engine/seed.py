"""Case 0: the recorded conversation with two interactions that lies in the shared folder.

`seed_bench` serves it by the shipped catalogue, whose `openrouter` row is pointed at a script.
"""

from functools import cache

import msgspec

from arno.cassette import govcr
from arno.providers import load_catalogue
from arno.providers.load import shipped
from tests.engine.harness import Bench
from tests.shared import SHARED, needs_shared

needs_seed = needs_shared
COSTS = (258_200, 84_400)
"""What the two interactions cost, in nano-USD: 0.0002582 and 0.0000844 USD."""


@cache
def seed():
    """The two interactions."""
    assert SHARED is not None
    return govcr.load((SHARED / "seed" / "tool_streaming.yaml").read_bytes()).interactions


def seed_request(number):
    return seed()[number].request.body


def seed_body(number):
    """The recorded stream, as it came."""
    return seed()[number].response.body


def seed_bench(url, *, contract=True):
    """The shipped catalogue's row for the seed's upstream, at another address."""
    tables = shipped()
    endpoints = tables.endpoints.replace("https://openrouter.ai/api/v1", url)
    if not contract:
        endpoints = endpoints.replace("contract = true", "contract = false")
    catalogue = load_catalogue(msgspec.structs.replace(tables, endpoints=endpoints))
    return Bench(catalogue=catalogue.only(["openrouter"]))
