"""The catalogue: which endpoints may serve a model, and at which prices.

Serves architecture sections 1 (candidate) and 2, and openrouter-api 6 and appendix A. Everything is
a pure function of the rows; a catalogue never changes, the methods that extend or restrict one give
a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import msgspec

from arno.providers.load import Facts, Tables, read, shipped
from arno.providers.rows import Endpoint, Model, Price

REPLAY = "replay"
"""The transport of endpoints that answer from cassettes."""


class Candidate(msgspec.Struct, frozen=True):
    """One (model, endpoint) that may serve a request.

    upstream_model: the model's id there; model: its id here, which prices are listed under.
    """

    endpoint: Endpoint
    upstream_model: str
    model: str


class Catalogue:
    """Endpoints, models and prices, looked up by name."""

    def __init__(self, facts: Facts) -> None:
        """`facts` must have passed `arno.providers.load.check`."""
        self._facts = facts

    @cached_property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints in use, by slug, in file order."""
        return {row.slug: row for row in self._facts.endpoints}

    @cached_property
    def models(self) -> Mapping[str, Model]:
        """The models that an endpoint in use serves, by id, in file order."""
        rows = self._facts.models
        return {row.id: row for row in rows if row.served.keys() & self.endpoints.keys()}

    @cached_property
    def prices(self) -> tuple[Price, ...]:
        """The price rows of the endpoints in use, rows that hold through `price_as` written out.

        An endpoint's own rows for a model hide all rows that it would borrow for that model.
        """
        own = {(row.endpoint, row.model) for row in self._facts.prices}
        return tuple(
            msgspec.structs.replace(row, endpoint=endpoint.slug)
            for endpoint in self.endpoints.values()
            for row in self._facts.prices
            if row.endpoint == endpoint.slug
            or (row.endpoint == endpoint.price_as and (endpoint.slug, row.model) not in own)
        )

    def candidates_for(self, model: str) -> tuple[Candidate, ...]:
        """Who may serve `model`, in order of trial; empty if nobody does."""
        row = self.models.get(model)
        served = row.served if row else {}
        listed = tuple(
            Candidate(self.endpoints[slug], upstream, model)
            for slug, upstream in served.items()
            if slug in self.endpoints
        )
        unlisted = tuple(
            Candidate(endpoint, model, model)
            for endpoint in self.endpoints.values()
            if endpoint.unlisted_models and endpoint.slug not in served
        )
        return listed + unlisted

    def prices_for(self, endpoint: str, model: str) -> tuple[Price, ...]:
        """The price rows of one model at one endpoint."""
        return tuple(row for row in self.prices if row.endpoint == endpoint and row.model == model)

    def slug_of(self, display_name: str) -> str:
        """The slug of a host's display name ("Moonshot AI" is `moonshotai`)."""
        known = self._facts.slugs.get(display_name)
        return known if known is not None else display_name.lower().replace(" ", "-")

    def only(self, slugs: Iterable[str]) -> Catalogue:
        """This catalogue with the named endpoints alone. Raises KeyError for an unknown slug."""
        kept = {slug: self.endpoints[slug] for slug in slugs}
        # Rows of endpoints out of use stay: they may be the ones that `price_as` refers to.
        endpoints = tuple(row for row in self._facts.endpoints if row.slug in kept)
        return Catalogue(msgspec.structs.replace(self._facts, endpoints=endpoints))

    def with_recorded(self, models: Iterable[str], *, created: int) -> Catalogue:
        """This catalogue with the replay endpoints serving just `models`, by the ids asked for.

        created: Unix seconds to list for models that no file lists.
        """
        replays = [row.slug for row in self._facts.endpoints if row.transport == REPLAY]
        rows = {row.id: _not_served_by(row, replays) for row in self._facts.models}
        for model in dict.fromkeys(models):
            known = rows.get(model) or Model(
                id=model, canonical_slug=model, name=model, created=created, served={}
            )
            recorded = {slug: known.served.get(slug, model) for slug in replays}
            rows[model] = msgspec.structs.replace(known, served={**known.served, **recorded})
        return Catalogue(msgspec.structs.replace(self._facts, models=tuple(rows.values())))


def _not_served_by(model: Model, slugs: Iterable[str]) -> Model:
    gone = set(slugs)
    served = {slug: name for slug, name in model.served.items() if slug not in gone}
    return msgspec.structs.replace(model, served=served)


def load_catalogue(tables: Tables | None = None) -> Catalogue:
    """The shipped catalogue, or the one that `tables` say. Raises CatalogueError."""
    return Catalogue(read(tables if tables is not None else shipped()))


def upstream_key(endpoint: Endpoint, environ: Mapping[str, str]) -> str | None:
    """The endpoint's key from an environment; None where it needs none or none is set."""
    return (environ.get(endpoint.key_env) or None) if endpoint.key_env is not None else None


def usable(endpoint: Endpoint, environ: Mapping[str, str]) -> bool:
    """Whether requests can be sent there: it needs no key, or the environment holds it."""
    return endpoint.key_env is None or upstream_key(endpoint, environ) is not None
