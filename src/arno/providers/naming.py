"""The two names of a model at an endpoint: its id here and its id there.

A model that no file lists has a name here too: at an endpoint of the gateway's own contract the id
there, at any other `slug/<id there>`. A variant of a row has its models under that row's slug.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from arno.providers.rows import Endpoint, Model, Price

_Group = tuple[int, str]
"""How well a price row's model names a model here, then that name: the smallest is chosen."""


def unlisted_id(endpoint: Endpoint, there: str) -> str:
    """The id here of a model that no file lists."""
    return there if endpoint.contract else f"{endpoint.family}/{there}"


class Names:
    """The ids here and there of all listed models."""

    def __init__(self, models: Iterable[Model]) -> None:
        self._models = {row.id: row for row in models}
        self._here: dict[tuple[str, str], list[str]] = {}
        for row in self._models.values():
            for place in row.served.items():
                self._here.setdefault(place, []).append(row.id)

    def here(self, endpoint: Endpoint, there: str) -> tuple[str, ...]:
        """The ids here of the models that have the id `there` at an endpoint; at least one."""
        listed = self._here.get((endpoint.slug, there)) or self._here.get((endpoint.family, there))
        return tuple(listed) if listed else (unlisted_id(endpoint, there),)

    def there(self, slug: str, name: str) -> str:
        """The id at an endpoint of what a price row calls `name`, an id here or there."""
        row = self._models.get(name)
        return name if row is None else row.served.get(slug, name)

    def lists(self, slug: str, there: str) -> bool:
        """Whether a file lists the model that has the id `there` at an endpoint."""
        return (slug, there) in self._here

    def is_listed(self, model: str) -> bool:
        """Whether a file lists `model`, an id here."""
        return model in self._models


def spread(
    prices: Iterable[Price], endpoints: Mapping[str, Endpoint], names: Names
) -> dict[str, dict[str, list[Price]]]:
    """The rows of each endpoint that they name, by ids here: see `arno.providers.rows.Price`."""
    best: dict[tuple[str, str, bool], _Group] = {}
    rows: dict[tuple[str, str, bool], list[Price]] = {}
    for row in prices:
        there = names.there(row.endpoint, row.model)
        for here in names.here(endpoints[row.endpoint], there):
            key = (row.endpoint, here, row.estimate)
            group = (0 if row.model == here else 1 if row.model == there else 2, row.model)
            if group < best.get(key, (3, "")):
                best[key], rows[key] = group, []
            if group == best[key]:
                rows[key].append(_renamed(row, row.endpoint, here))
    found: dict[str, dict[str, list[Price]]] = {}
    for (slug, here, _), group_rows in rows.items():
        found.setdefault(slug, {}).setdefault(here, []).extend(group_rows)
    return found


def borrow(
    lent: Mapping[str, list[Price]], lender: Endpoint, borrower: Endpoint, names: Names
) -> dict[str, list[Price]]:
    """What `spread` found for one endpoint, as prices of another one; guesses are not lent."""
    found: dict[str, list[Price]] = {}
    for model, rows in lent.items():
        here = _moved(model, lender, borrower, names)
        found[here] = [_renamed(row, borrower.slug, here) for row in rows if not row.estimate]
    return found


def renamed(rows: Mapping[str, list[Price]], slug: str) -> dict[str, list[Price]]:
    """Rows of one endpoint as those of another one that has the same names."""
    return {model: [_renamed(row, slug, model) for row in group] for model, group in rows.items()}


def _moved(model: str, lender: Endpoint, borrower: Endpoint, names: Names) -> str:
    """The id here of the lender's `model` at the borrower: another one only if no file lists it."""
    if names.is_listed(model):
        return model
    there = model if lender.contract else model.removeprefix(f"{lender.slug}/")
    return unlisted_id(borrower, there)


def _renamed(row: Price, endpoint: str, model: str) -> Price:
    if (row.endpoint, row.model) == (endpoint, model):
        return row
    return msgspec.structs.replace(row, endpoint=endpoint, model=model)
