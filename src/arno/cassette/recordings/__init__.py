"""The recording that is shipped with the package, as data.

`harbour.yaml` is a conversation of two steps with a tool call, served by two providers. It was
made by `scripts/record_harbour.py` with our own recorder from a scripted upstream.
"""

from importlib.resources import files
from typing import Final

from arno.cassette.govcr import load
from arno.cassette.index import NamedCassette

BUILT_IN: Final = "harbour.yaml"


def built_in_cassette() -> bytes:
    """The bytes of the shipped cassette's file."""
    return files(__name__).joinpath(BUILT_IN).read_bytes()


def built_in() -> NamedCassette:
    """The shipped cassette, loaded."""
    return NamedCassette(load(built_in_cassette()), BUILT_IN)
