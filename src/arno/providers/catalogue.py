"""The catalogue: which endpoints may serve a model, and at which prices.

Serves architecture sections 1 (candidate) and 2, and openrouter-api 6 and appendix A. Everything is
a pure function of the rows; a catalogue never changes, the methods that extend or restrict one give
a new one.

What a model that is asked for means, the first that fits:

    an alias        what it stands for, read once more by the lines below
    a listed id     the endpoints that its row names, and no others
    any other id    `slug/<id there>` at the endpoint of that slug, then the id as it stands at
                    each endpoint of the gateway's own contract; both only where the endpoint's
                    row allows unlisted models

A row may be a variant of another one: the same service in another dialect. Its models have that
row's names, and `spoken` moves a candidate there for a client of that dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar

import msgspec

from arno.providers.environment import Environment, placed, switched_on
from arno.providers.load import GIVEN, CatalogueError, Facts, Tables, check, read, shipped
from arno.providers.naming import Names, borrow, renamed, spread, unlisted_id
from arno.providers.rows import Endpoint, Model, Price, Row

REPLAY = "replay"
"""The transport of endpoints that answer from cassettes."""

R = TypeVar("R", bound=Row)


class Candidate(msgspec.Struct, frozen=True):
    """One (model, endpoint) that may serve a request.

    upstream_model: the model's id there; model: its id here, which prices are listed under (not
    the alias by which it may have been asked for); weight: its share among the candidates, None:
    their order counts.
    """

    endpoint: Endpoint
    upstream_model: str
    model: str
    weight: float | None = None


class Catalogue:
    """Endpoints, models and prices, looked up by name."""

    def __init__(self, facts: Facts, in_use: Iterable[str] | None = None) -> None:
        """`facts` must have passed `arno.providers.load.check`; in_use: slugs, None for all."""
        self._facts = facts
        self._in_use = None if in_use is None else frozenset(in_use)

    @cached_property
    def known(self) -> Mapping[str, Endpoint]:
        """All endpoints that there is a row for, in use or not, by slug, in file order."""
        return {row.slug: row for row in self._facts.endpoints}

    @cached_property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints in use, by slug, in file order."""
        in_use = self._in_use
        return {s: row for s, row in self.known.items() if in_use is None or s in in_use}

    @cached_property
    def models(self) -> Mapping[str, Model]:
        """The models that an endpoint in use serves, by id, in file order."""
        rows = self._facts.models
        return {row.id: row for row in rows if row.served.keys() & self.endpoints.keys()}

    @property
    def aliases(self) -> Mapping[str, str]:
        """Names that can be asked for, and the ids that they stand for."""
        return self._facts.aliases

    @cached_property
    def prices(self) -> tuple[Price, ...]:
        """The price rows of the endpoints in use, under the ids here, rows that hold through
        `price_as` written out.

        An endpoint's own rows for a model hide all rows that it would borrow for that model.
        """
        return tuple(row for rows in self._by_model.values() for row in rows)

    @cached_property
    def _names(self) -> Names:
        return Names(self._facts.models)

    @cached_property
    def _by_model(self) -> Mapping[tuple[str, str], tuple[Price, ...]]:
        """Price rows by endpoint in use and id here."""
        own = spread(self._facts.prices, self.known, self._names)
        found: dict[tuple[str, str], tuple[Price, ...]] = {}
        for slug, endpoint in self.endpoints.items():
            rows = self._priced(self.known[endpoint.family], own)
            if endpoint.variant_of is not None:
                rows = {**renamed(rows, slug), **self._priced(endpoint, own)}
            found.update({(slug, model): tuple(group) for model, group in rows.items()})
        return found

    def _priced(
        self, endpoint: Endpoint, own: Mapping[str, Mapping[str, list[Price]]]
    ) -> Mapping[str, list[Price]]:
        """An endpoint's rows by ids here, those of the row that lends it prices included."""
        rows = own.get(endpoint.slug, {})
        if endpoint.price_as is None:
            return rows
        lent, lender = own.get(endpoint.price_as, {}), self.known[endpoint.price_as]
        return {**borrow(lent, lender, endpoint, self._names), **rows}

    def candidates_for(self, model: str) -> tuple[Candidate, ...]:
        """Who may serve `model`, in order of trial; empty if nobody does."""
        name = self.aliases.get(model, model)
        row = self.models.get(name)
        return tuple(self._unlisted(name) if row is None else self._listed(row))

    def _listed(self, row: Model) -> Iterator[Candidate]:
        for slug, there in row.served.items():
            if slug in self.endpoints:
                yield Candidate(self.endpoints[slug], there, row.id, row.weights.get(slug))

    def _unlisted(self, name: str) -> Iterator[Candidate]:
        slug, _, rest = name.partition("/")
        addressed = self.endpoints.get(slug)
        if addressed is not None and addressed.unlisted_models and _is_id(addressed, rest):
            yield self._candidate(addressed, rest)
        else:
            addressed = None
        for endpoint in self.endpoints.values():
            open_to_all = endpoint.contract and endpoint.unlisted_models
            if name and open_to_all and endpoint.variant_of is None and endpoint != addressed:
                yield self._candidate(endpoint, name)

    def _candidate(self, endpoint: Endpoint, there: str) -> Candidate:
        return Candidate(endpoint, there, self._names.here(endpoint, there)[0])

    def spoken(self, candidate: Candidate, dialect: str) -> Candidate:
        """The candidate at the variant of its endpoint that speaks `dialect`, if one is in use.

        It stays where it is if its endpoint speaks the dialect or is a variant itself.
        """
        endpoint = candidate.endpoint
        if endpoint.dialect == dialect or endpoint.variant_of is not None:
            return candidate
        variant = self._variants.get((endpoint.slug, dialect))
        return candidate if variant is None else _at(candidate, variant)

    @cached_property
    def _variants(self) -> Mapping[tuple[str, str], Endpoint]:
        rows = self.endpoints.values()
        return {(row.variant_of, row.dialect): row for row in rows if row.variant_of is not None}

    def prices_for(self, endpoint: str, model: str) -> tuple[Price, ...]:
        """The price rows of one model (its id here) at one endpoint in use."""
        return self._by_model.get((endpoint, model), ())

    def slug_of(self, display_name: str) -> str:
        """The slug of a host's display name ("Moonshot AI" is `moonshotai`)."""
        known = self._facts.slugs.get(display_name)
        return known if known is not None else display_name.lower().replace(" ", "-")

    def only(self, slugs: Iterable[str]) -> Catalogue:
        """This catalogue with the named endpoints alone. Raises KeyError for an unknown slug."""
        # Rows of endpoints out of use stay: they may be the ones that `price_as` refers to.
        return Catalogue(self._facts, [self.endpoints[slug].slug for slug in slugs])

    def from_environment(self, environ: Environment, also: Iterable[str] = ()) -> Catalogue:
        """This catalogue with the endpoints that the environment switches on, at the addresses
        that it gives them, and those that `also` names. Raises CatalogueError for a bad address
        and KeyError for an unknown slug.
        """
        kept = {slug for slug, row in self.endpoints.items() if switched_on(row, environ)}
        kept |= {self.endpoints[slug].slug for slug in also}
        rows = tuple(
            placed(row, environ) if row.slug in kept else row for row in self._facts.endpoints
        )
        return Catalogue(msgspec.structs.replace(self._facts, endpoints=rows), kept)

    def extended(
        self,
        *,
        endpoints: Iterable[Endpoint] = (),
        models: Iterable[Model] = (),
        prices: Iterable[Price] = (),
        aliases: Mapping[str, str] | None = None,
    ) -> Catalogue:
        """This catalogue with more rows; a new row takes the place of one of the same name.

        New endpoints are in use. New prices hide all older ones of the same model at the same
        endpoint. A new alias may stand for a listed id or for `slug/<id there>`, and hides a model
        of its own name. Raises CatalogueError for what names something that does not exist.
        """
        rows = {row.slug: row for row in endpoints}
        listed = _merged(self._facts.models, models, lambda row: row.id)
        facts = msgspec.structs.replace(
            self._facts,
            endpoints=_merged(self._facts.endpoints, rows.values(), lambda row: row.slug),
            models=listed,
            prices=_hiding(self._facts.prices, tuple(prices), Names(listed)),
            aliases={**self._facts.aliases, **(aliases or {})},
        )
        check(facts, GIVEN)
        found = Catalogue(facts, {*self.endpoints, *rows})
        found._check_aliases()
        return found

    def _check_aliases(self) -> None:
        for name, target in self.aliases.items():
            if target in self.aliases:
                raise CatalogueError(f"alias {name!r} names {target!r}, which is an alias itself")
            if not self.candidates_for(name):
                raise CatalogueError(f"alias {name!r} names {target!r}, which nobody serves")

    def with_estimates(self, models: Iterable[Model], prices: Iterable[Price]) -> Catalogue:
        """This catalogue with guesses where it has no rows of its own; they replace older guesses.

        A model is listed under the id that it would have here if no file listed it, once for all
        endpoints that give it the same id. One that is listed, under this id or another one of the
        same endpoint, stays as it is.
        """
        new: dict[str, Model] = {}
        for model in models:
            for slug, there in model.served.items():
                endpoint = self.known.get(slug)
                if endpoint is not None and not self._names.lists(slug, there):
                    self._guess(new, model, endpoint, there)
        older = tuple(row for row in self._facts.prices if not row.estimate)
        kept = tuple(row for row in prices if row.estimate and row.endpoint in self.known)
        listed = (*self._facts.models, *new.values())
        facts = msgspec.structs.replace(self._facts, models=listed, prices=older + kept)
        check(facts, GIVEN)
        return Catalogue(facts, self._in_use)

    def _guess(self, new: dict[str, Model], model: Model, endpoint: Endpoint, there: str) -> None:
        """Add a guessed model at one endpoint to `new`, unless a row has its id."""
        name = unlisted_id(endpoint, there)
        if self._names.is_listed(name):
            return
        row = new.get(name)
        if row is None:
            row = msgspec.structs.replace(model, id=name, canonical_slug=name, served={})
        new[name] = msgspec.structs.replace(row, served={**row.served, endpoint.slug: there})

    def with_recorded(self, models: Iterable[str], *, created: int) -> Catalogue:
        """This catalogue with the replay endpoints serving just `models`, by the ids asked for.

        created: Unix seconds to list for models that no file lists.
        """
        replays = [row.slug for row in self.endpoints.values() if row.transport == REPLAY]
        rows = {row.id: _not_served_by(row, replays) for row in self._facts.models}
        for model in dict.fromkeys(models):
            known = rows.get(model) or Model(
                id=model, canonical_slug=model, name=model, created=created, served={}
            )
            recorded = {slug: known.served.get(slug, model) for slug in replays}
            rows[model] = _served(known, {**known.served, **recorded})
        facts = msgspec.structs.replace(self._facts, models=tuple(rows.values()))
        return Catalogue(facts, self._in_use)


def _at(candidate: Candidate, endpoint: Endpoint) -> Candidate:
    return msgspec.structs.replace(candidate, endpoint=endpoint)


def _is_id(endpoint: Endpoint, rest: str) -> bool:
    """Whether `rest` behind an endpoint's slug is an id there.

    Ids at endpoints of the gateway's own contract are `author/name`, and a gateway may be the
    author: the slug in front of a bare name is part of the id.
    """
    return "/" in rest if endpoint.contract else bool(rest)


def _merged(older: Iterable[R], newer: Iterable[R], name: Callable[[R], str]) -> tuple[R, ...]:
    """The rows of both, new ones in the place of older ones of the same name."""
    return tuple({name(row): row for row in (*older, *newer)}.values())


def _hiding(older: Iterable[Price], newer: tuple[Price, ...], names: Names) -> tuple[Price, ...]:
    """The rows of both, without older ones of a model at an endpoint that a new one names."""
    hidden = {(row.endpoint, names.there(row.endpoint, row.model)) for row in newer}
    kept = (
        row for row in older if (row.endpoint, names.there(row.endpoint, row.model)) not in hidden
    )
    return (*kept, *newer)


def _served(model: Model, served: Mapping[str, str]) -> Model:
    """`model` served by others; its weights go if they do not fit any more."""
    weights = model.weights if model.weights.keys() == served.keys() else {}
    return msgspec.structs.replace(model, served=served, weights=weights)


def _not_served_by(model: Model, slugs: Iterable[str]) -> Model:
    gone = set(slugs)
    return _served(model, {s: there for s, there in model.served.items() if s not in gone})


def load_catalogue(tables: Tables | None = None) -> Catalogue:
    """The shipped catalogue, or the one that `tables` say. Raises CatalogueError."""
    return Catalogue(read(tables if tables is not None else shipped()))
