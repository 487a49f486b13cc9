"""Case 0: the recorded conversation with two interactions that lies in the shared folder."""

from functools import cache

from arno.cassette import govcr
from tests.shared import SHARED, needs_shared

needs_seed = needs_shared


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
