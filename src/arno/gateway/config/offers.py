"""Models, aliases and prices: what can be asked for, who serves it, and what it costs.

Every name that refers to something must find it: a model its providers, an alias its model, a price
both.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping

import msgspec

from arno.gateway.config.problems import Problems, nearest, shown
from arno.gateway.config.schema import Document, ModelTable, PriceTable
from arno.gateway.config.toml_lines import Path
from arno.gateway.config.upstreams import Upstream
from arno.providers import Catalogue, Model, Price
from arno.providers.catalogue import REPLAY
from arno.providers.rows import RATES

NO_NAME = "a name has 1 to 256 characters, all of them printable"

ALWAYS = "1970-01-01"
"""The first day of a price that names none."""


class _Reference(msgspec.Struct, frozen=True):
    """`provider/id of the model there` with the place where it stands."""

    at: Path
    slug: str
    there: str
    weight: float | None = None


class Offers:
    """Reads the tables about models against the providers and the recordings."""

    def __init__(
        self,
        document: Document,
        upstreams: Mapping[str, Upstream],
        recorded: Collection[str],
        problems: Problems,
        created: int,
    ) -> None:
        """recorded: the ids of models that cassettes hold; created: Unix seconds, for new ones."""
        self._document = document
        self._upstreams = upstreams
        self._recorded = recorded
        self._problems = problems
        self._created = created

    def models(self, shipped: Mapping[str, Model]) -> list[Model]:
        """The rows of the file's models; shipped ones are changed."""
        found = []
        for id_, table in self._document.model.items():
            if not _is_name(id_):
                self._problems.add(table.at, NO_NAME)
                continue
            known = shipped.get(id_)
            served, weights = self._served(id_, table, known)
            if served:
                found.append(self._row(id_, table, known, served, weights))
        return found

    def _row(
        self,
        id_: str,
        table: ModelTable,
        known: Model | None,
        served: Mapping[str, str],
        weights: Mapping[str, float],
    ) -> Model:
        row = known or Model(
            id=id_, canonical_slug=id_, name=id_, created=self._created, served=served
        )
        names = ("name", "description", "context_length", "max_completion_tokens")
        said = {name: value for name in names if (value := getattr(table, name)) is not None}
        return msgspec.structs.replace(row, served=served, weights=weights, **said)

    def _served(
        self, id_: str, table: ModelTable, known: Model | None
    ) -> tuple[Mapping[str, str], Mapping[str, float]]:
        """The model's id at each provider, in order, and their weights; empty with a problem."""
        said = self._problems.source.said
        ordered, weighted = (said((*table.at, key)) for key in ("candidates", "weights"))
        if ordered and weighted:
            text = "expected one of candidates and weights, not both"
            self._problems.add((*table.at, "weights"), text)
            return {}, {}
        if ordered or weighted:
            return self._chosen(table)
        if id_ in self._recorded:
            return {REPLAY: id_}, {}
        if known is None:
            text = "expected candidates or weights: no shipped model has this name"
            self._problems.add(table.at, text)
        return (known.served, known.weights) if known is not None else ({}, {})

    def _chosen(self, table: ModelTable) -> tuple[Mapping[str, str], Mapping[str, float]]:
        served: dict[str, str] = {}
        weights: dict[str, float] = {}
        count, wrong = 0, 0
        for reference in _references(table):
            count += 1
            slug = reference.slug
            if slug in served:
                text = f"the provider {slug!r} stands here twice"
                self._problems.add(reference.at, text)
            elif not self._known(reference):
                wrong += 1
            elif slug == REPLAY or self._upstreams[slug].on:
                served[slug] = reference.there
                weights.update({} if reference.weight is None else {slug: reference.weight})
        # A list whose own elements are wrong has been told of already.
        unread = table.candidates is None and table.weights is None
        if not served and not wrong and not unread:
            text = "none of its providers is on" if count else "expected one candidate or more"
            key = "candidates" if table.candidates is not None else "weights"
            self._problems.add((*table.at, key), text)
        return served, weights

    def _known(self, reference: _Reference) -> bool:
        """Whether what a candidate names is there; one that the file switches off is."""
        slug, there = reference.slug, reference.there
        if not there:
            self._problems.add(reference.at, 'expected "provider/id of the model there"')
            return False
        if slug == REPLAY:
            if there not in self._recorded:
                text = f"no cassette holds {shown(there)}{nearest(there, self._recorded)}"
                self._problems.add(reference.at, text)
            return there in self._recorded
        upstream = self._upstreams.get(slug)
        if upstream is None:
            if not self._was_told(slug):
                text = f"there is no provider {shown(slug)}{nearest(slug, self._upstreams)}"
                self._problems.add(reference.at, text)
            return False
        if not upstream.on and not upstream.disabled:
            self._problems.add(reference.at, f"the provider {slug!r} is off: {upstream.origin}")
            return False
        return True

    def _was_told(self, slug: str) -> bool:
        """Whether the file names a provider that cannot be: one problem is enough for it."""
        return slug in self._document.provider and slug not in self._upstreams

    def aliases(self, catalogue: Catalogue) -> dict[str, str]:
        """The aliases whose target somebody serves."""
        document = self._document
        found = {}
        for name, target in document.alias.items():
            at = ("alias", name)
            if not _is_name(name):
                self._problems.add(at, NO_NAME)
            elif name in document.model:
                self._problems.add(at, "a model of this file has the same name")
            elif target in document.alias:
                self._problems.add(at, f"{shown(target)} is an alias itself")
            elif catalogue.candidates_for(target):
                found[name] = target
            elif target not in document.model and not self._was_told(target.partition("/")[0]):
                text = f"nobody serves {shown(target)}{nearest(target, catalogue.models)}"
                self._problems.add(at, text)
        return found

    def prices(self, catalogue: Catalogue) -> dict[Price, str]:
        """The price rows and their places; their source is the file unless they name one.

        catalogue: with all models and providers, also those that are off.
        """
        found: dict[Price, str] = {}
        seen: dict[Hashable, str] = {}
        for table in self._document.price:
            row = self._price(table)
            if row is None or not self._fits(table, catalogue):
                continue
            key = (
                row.endpoint,
                row.model,
                row.served_by,
                row.valid_from,
                row.over_input,
                row.estimate,
            )
            origin = self._problems.source.origin(table.at)
            if key in seen:
                self._problems.add(table.at, f"{seen[key]} holds for the same")
                continue
            seen[key] = found[row] = origin
        return found

    def _price(self, table: PriceTable) -> Price | None:
        rates = {name: getattr(table, name) for name in RATES}
        if all(text is None for text in rates.values()):
            said = self._problems.source.said
            if not any(said((*table.at, name)) for name in RATES):
                self._problems.add(table.at, f"expected at least one of {', '.join(RATES)}")
            return None
        return Price(
            endpoint=table.provider,
            model=table.model,
            valid_from=table.valid_from or ALWAYS,
            source=table.source or self._problems.source.origin(table.at),
            served_by=table.served_by,
            over_input=table.over_input or 0,
            estimate=table.estimate or False,
            **rates,
        )

    def _fits(self, table: PriceTable, catalogue: Catalogue) -> bool:
        """Whether the provider is known, and the model may be had there."""
        slug, model = table.provider, table.model
        endpoint = catalogue.endpoints.get(slug)
        if endpoint is None:
            if not self._was_told(slug):
                text = f"there is no provider {shown(slug)}{nearest(slug, catalogue.endpoints)}"
                self._problems.add((*table.at, "provider"), text)
            return False
        names = [row.id for row in catalogue.models.values() if slug in row.served]
        names += [row.served[slug] for row in catalogue.models.values() if slug in row.served]
        if endpoint.unlisted_models or model in names:
            return True
        if model in self._document.model and model not in catalogue.models:
            return False  # it was told of
        text = f"{slug!r} serves no model {shown(model)}{nearest(model, names)}"
        self._problems.add((*table.at, "model"), text)
        return False


def _references(table: ModelTable) -> Iterator[_Reference]:
    for number, text in enumerate(table.candidates or ()):
        slug, _, there = text.partition("/")
        yield _Reference((*table.at, "candidates", number), slug, there)
    for text, weight in (table.weights or {}).items():
        slug, _, there = text.partition("/")
        yield _Reference((*table.at, "weights", text), slug, there, weight)


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 256 and text.isprintable()
