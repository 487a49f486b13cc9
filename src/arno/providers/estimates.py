"""Estimates: prices and model lists from the package `genai-prices`, where a row has none.

The package takes 28 MB and a sixth of a second to import, so a gateway runs this module as a child
process when it has started, and reads the rows that the child prints:

    python -m arno.providers.estimates SLUG=PROVIDER ...

SLUG is an endpoint's, PROVIDER its name in the package (`Endpoint.estimate_as`); `arguments` gives
them for rows. What comes back goes to `Catalogue.with_estimates`. Nothing here imports the package
but `collect`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module, metadata

import msgspec

from arno.providers.estimating import Rows
from arno.providers.load import CatalogueError
from arno.providers.rows import Endpoint, Model, Price

PACKAGE = "genai-prices"
ABSENT = f"the package {PACKAGE} is not installed"
UNKNOWN = "the package knows no provider of that name"


class Estimates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows that are guesses. Every price says so, and its source names the package's version.

    reason: why there are no rows at all, None if there may be some; left_out: how many models or
    prices could not be rows, by reason. A model's id is `slug/<id there>`, its `created` 0.
    """

    models: tuple[Model, ...] = ()
    prices: tuple[Price, ...] = ()
    left_out: dict[str, int] = {}
    reason: str | None = None


def arguments(endpoints: Iterable[Endpoint]) -> list[str]:
    """The command line arguments of the child for these endpoints; empty if it has no work."""
    return [f"{row.slug}={row.estimate_as}" for row in endpoints if row.estimate_as]


def collect(named: Mapping[str, str]) -> Estimates:
    """The rows for endpoints, by slug, that have another name in the package. Imports it."""
    try:
        data = import_module("genai_prices.data")
        source = f"{PACKAGE} {metadata.version(PACKAGE)}"
    except ImportError:
        return Estimates(reason=ABSENT)
    providers = {provider.id: provider for provider in data.providers}
    models: list[Model] = []
    prices: list[Price] = []
    left_out: Counter[str] = Counter()
    for slug, name in named.items():
        if name not in providers:
            left_out[UNKNOWN] += 1
            continue
        rows = Rows(slug, providers[name], source)
        models += rows.models
        prices += rows.prices
        left_out += rows.left_out
    return Estimates(models=tuple(models), prices=tuple(prices), left_out=dict(left_out))


def parse_estimates(text: bytes | str) -> Estimates:
    """What the child printed. Raises CatalogueError for anything else."""
    try:
        found = msgspec.json.decode(text, type=Estimates)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CatalogueError(f"estimates: {error}") from error
    if not all(row.estimate for row in found.prices):
        raise CatalogueError("estimates: a price is not marked as an estimate")
    return found


def main(arguments: Sequence[str]) -> int:
    """Print the rows of `SLUG=PROVIDER ...` as one line of JSON."""
    named = dict(argument.partition("=")[::2] for argument in arguments)
    if not named or not all(named.values()):
        print("usage: python -m arno.providers.estimates SLUG=PROVIDER ...", file=sys.stderr)
        return 2
    sys.stdout.buffer.write(msgspec.json.encode(collect(named)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
