"""Reading the catalogue's files, strictly: an error names the file and the row.

Serves architecture section 2: facts about the outside world are TOML. Reading the package's own
files is the only input here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Hashable, Iterable, Set
from importlib import resources
from typing import TypeVar

import msgspec

from arno.canon.failure import LocalError
from arno.providers.quirks import QUIRKS
from arno.providers.roads import ROADS
from arno.providers.rows import Endpoint, Model, Price, Row

R = TypeVar("R", bound=Row)

ENDPOINTS, MODELS, PRICES, NAMES = "catalogue.toml", "models.toml", "prices.toml", "names.toml"


class CatalogueError(LocalError):
    """A file of the catalogue says something that cannot be; the message names file and row."""


class Tables(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of the four files."""

    endpoints: str
    models: str
    prices: str
    names: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of all files, in file order, checked one by one and against each other.

    slugs: display name to slug, for names that the rule does not cover; aliases: a name that can
    be asked for to the id that it stands for.
    """

    endpoints: tuple[Endpoint, ...]
    models: tuple[Model, ...]
    prices: tuple[Price, ...]
    slugs: dict[str, str]
    aliases: dict[str, str] = {}


class Origin(msgspec.Struct, frozen=True):
    """Where rows come from, as the text of an error calls it."""

    endpoints: str
    models: str
    prices: str


SHIPPED = Origin(ENDPOINTS, MODELS, PRICES)
GIVEN = Origin("endpoints", "models", "prices")


def shipped() -> Tables:
    """The files that come with the package."""
    folder = resources.files("arno.providers")
    texts = (
        folder.joinpath(name).read_text("utf-8") for name in (ENDPOINTS, MODELS, PRICES, NAMES)
    )
    endpoints, models, prices, names = texts
    return Tables(endpoints=endpoints, models=models, prices=prices, names=names)


def read(tables: Tables) -> Facts:
    """The rows of `tables`. Raises CatalogueError."""
    facts = Facts(
        endpoints=_rows(ENDPOINTS, tables.endpoints, "endpoint", Endpoint),
        models=_rows(MODELS, tables.models, "model", Model),
        prices=_rows(PRICES, tables.prices, "price", Price),
        slugs=_slugs(tables.names),
    )
    check(facts)
    return facts


def _parse(file: str, text: str, only: str) -> object:
    """The one top-level member `only` of a TOML file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{file}: {error}") from error
    strange = sorted(document.keys() - {only})
    if strange:
        raise CatalogueError(f"{file}: unknown table {strange[0]!r}; only {only!r} is known")
    return document.get(only, {})


def _rows(file: str, text: str, table: str, kind: type[R]) -> tuple[R, ...]:
    found = _parse(file, text, table)
    if not isinstance(found, list):
        raise CatalogueError(f"{file}: write each row as [[{table}]]")
    return tuple(_row(file, f"{table} {n}", raw, kind) for n, raw in enumerate(found, 1))


def _row(file: str, where: str, raw: object, kind: type[R]) -> R:
    label = raw.get("slug", raw.get("id", raw.get("model"))) if isinstance(raw, dict) else None
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{file}: {where} ({label!r}): {error}") from error


def _slugs(text: str) -> dict[str, str]:
    try:
        return msgspec.convert(_parse(NAMES, text, "slugs"), dict[str, str], strict=True)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{NAMES}: slugs: {error}") from error


def check(facts: Facts, origin: Origin = SHIPPED) -> None:
    """Raise CatalogueError for rows that occur twice or name something that does not exist."""
    _unique(origin.endpoints, facts.endpoints, lambda row: row.slug)
    _unique(origin.models, facts.models, lambda row: row.id)
    _unique(origin.prices, facts.prices, _price_key)
    slugs = {row.slug for row in facts.endpoints}
    primary = {row.slug for row in facts.endpoints if row.variant_of is None}
    for row in facts.endpoints:
        if row.price_as is not None:
            _exists(origin.endpoints, row.slug, "price_as", row.price_as, slugs)
        if row.variant_of is not None:
            _exists(origin.endpoints, row.slug, "variant_of", row.variant_of, primary)
        if row.road is not None:
            _exists(origin.endpoints, row.slug, "road", row.road, ROADS.keys())
            _exists(origin.endpoints, row.slug, "dialect", row.dialect, {ROADS[row.road].dialect})
        for quirk in row.quirks:
            _exists(origin.endpoints, row.slug, "quirks", quirk, QUIRKS.keys())
    for model in facts.models:
        for slug in model.served:
            _exists(origin.models, model.id, "served", slug, slugs)
    _check_prices(facts, origin)


def _check_prices(facts: Facts, origin: Origin) -> None:
    endpoints = {row.slug: row for row in facts.endpoints}
    ids = {row.id for row in facts.models}
    there = {place for row in facts.models for place in row.served.items()}
    for number, price in enumerate(facts.prices, 1):
        where = f"price {number}"
        _exists(origin.prices, where, "endpoint", price.endpoint, endpoints.keys())
        if (price.endpoint, price.model) in there or endpoints[price.endpoint].unlisted_models:
            continue
        _exists(origin.prices, where, "model", price.model, ids)


def _price_key(row: Price) -> Hashable:
    return (
        row.endpoint,
        row.served_by,
        row.model,
        row.valid_from,
        row.over_input,
        row.estimate,
    )


def _unique(file: str, rows: Iterable[R], key: Callable[[R], Hashable]) -> None:
    seen: set[Hashable] = set()
    for row in rows:
        if key(row) in seen:
            raise CatalogueError(f"{file}: two rows for {key(row)!r}")
        seen.add(key(row))


def _exists(file: str, row: str, field: str, value: str, known: Set[str]) -> None:
    if value not in known:
        raise CatalogueError(f"{file}: {row}: {field} names {value!r}, which does not exist")
