"""A document, an environment and the shipped rows become one configuration, or all its problems.

Who wins, value by value: the command line, then the file, then (for keys and addresses of
providers, ARNO_KEYS, ARNO_DATA and proxies) the environment, then the default.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from math import isinf
from pathlib import Path as FilePath
from typing import Any

import msgspec

from arno.canon.failure import LocalError
from arno.cassette.errors import CassetteError
from arno.cassette.index import NamedCassette, asked_models
from arno.cassette.recordings import built_in
from arno.engine.deadlines import Retry
from arno.engine.engine import EngineSettings
from arno.exchange.driver import Deadlines
from arno.exchange.machine import Limits
from arno.gateway.config.clients import ClientKey, Clients
from arno.gateway.config.load import Loaded
from arno.gateway.config.offers import Offers
from arno.gateway.config.problems import ConfigError, Problem, Source
from arno.gateway.config.schema import DeadlinesTable, Document, EstimatesTable, ServerTable, Table
from arno.gateway.config.secrets import Secrets
from arno.gateway.config.upstreams import Upstream, Upstreams
from arno.gateway.errors import SettingsError
from arno.gateway.keys import KeyRing
from arno.gateway.settings import GatewaySettings, check_exposure
from arno.providers import Candidate, Catalogue, CatalogueError, Model, Price
from arno.providers.catalogue import REPLAY
from arno.transport.base import Transport
from arno.transport.files import load_cassettes
from arno.transport.host_pool import LiveLimits
from arno.transport.proxy import Proxies
from arno.transport.signing import Signer
from arno.transport.tls import client_context
from arno.transport.url import parse_url

BUILT_IN = "built in"
OFF = EstimatesTable(enabled=False)

_SERVER = {
    "host": "host",
    "port": "port",
    "cors": "cors",
    "grace": "grace_s",
    "keep_alive": "keep_alive_s",
    "head_deadline": "head_deadline_s",
    "body_deadline": "body_deadline_s",
    "max_head": "max_head",
    "max_body": "max_body",
    "strict": "strict",
    "keep_answers": "keep_answers",
}
"""Keys of [server] and the members of `GatewaySettings` that they are."""

_ATTEMPTS = {"attempts": "max_attempts"}
_RETRY = {"rounds": "rounds", "backoff": "backoff"}
_LIMITS = {"frame": "frame", "answer": "whole"}
_CONNECTIONS = {
    "connections": "max_connections_per_host",
    "waiting": "max_waiting",
    "waiting_time": "slot_timeout",
}


class Recording(msgspec.Struct, frozen=True):
    """A cassette, who named it, and the models that it holds."""

    cassette: NamedCassette
    origin: str
    models: tuple[str, ...]


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a gateway serves by.

    source: where values were said; data: the ledger's folder, None if the file names none; keys:
    of clients; catalogue: with the providers that are on and the models of recordings; prices: the
    file's rows (see `price_key`) and their places; connections: to one host; ssl_context: None for
    the system's authorities alone; warnings: for the operator.
    """

    source: Source
    document: Document
    settings: GatewaySettings
    data: FilePath | None
    keys: KeyRing
    client_keys: tuple[ClientKey, ...]
    upstreams: Mapping[str, Upstream]
    catalogue: Catalogue
    prices: Mapping[Price, str]
    recordings: tuple[Recording, ...]
    scale: float
    engine: EngineSettings
    connections: LiveLimits
    per_host: Mapping[str, LiveLimits]
    proxies: Proxies
    ssl_context: ssl.SSLContext | None
    warnings: tuple[str, ...]

    def upstream_key(self, slug: str) -> str | None:
        """The key that a provider is sent, None if it needs none."""
        upstream = self.upstreams.get(slug)
        return None if upstream is None or upstream.key is None else upstream.key.value

    @property
    def secrets(self) -> frozenset[str]:
        """What must not be read anywhere: the providers' keys and credentials, and the proxies'."""
        keys = {one.key.value for one in self.upstreams.values() if one.key is not None}
        proxies = (self.proxies.http, self.proxies.https)
        told = {proxy.authorization for proxy in proxies if proxy is not None}
        signed = (one.identity.secrets for one in self.upstreams.values() if one.identity)
        proxied = {text.removeprefix("Basic ") for text in told if text}
        return frozenset(keys.union(proxied, *signed))

    def signers(self, transport: Transport, now: Callable[[], float]) -> dict[str, Signer]:
        """The signers of the providers that a key in a header is not enough for, by slug.

        transport: by which tokens are asked for; now: Unix seconds. To be called once, on or
        before the event loop that they are used on. Raises CredentialsError if what `resolve` read
        has changed since.
        """
        return {
            upstream.endpoint.slug: upstream.identity.make(transport, now)
            for upstream in self.live
            if upstream.identity is not None
        }

    @property
    def live(self) -> tuple[Upstream, ...]:
        """The providers that are on, in the catalogue's order."""
        return tuple(upstream for upstream in self.upstreams.values() if upstream.on)

    def deadlines_for(self, candidate: Candidate) -> Deadlines:
        """What an attempt at a candidate may take: the model's word, the provider's, or all's."""
        return deadlines_of(*self.deadline_tables(candidate.endpoint.slug, candidate.model))

    def deadline_tables(self, slug: str, model: str | None = None) -> list[DeadlinesTable]:
        """The tables that speak about a provider and a model, the most particular one first."""
        upstream, row = self.upstreams.get(slug), self.document.model.get(model or "")
        tables = (
            None if row is None else row.deadlines,
            None if upstream is None else upstream.table.deadlines,
            self.document.deadlines,
        )
        return [table for table in tables if table is not None]


def deadlines_of(*tables: DeadlinesTable) -> Deadlines:
    """What tables say, each value from the first that says it."""
    said: dict[str, float | None] = {}
    for name in Deadlines.__struct_fields__:
        values = (getattr(table, name) for table in tables)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            said[name] = None if isinf(value) else value
    return msgspec.structs.replace(Deadlines(), **said)


def resolve(
    loaded: Loaded,
    environ: Mapping[str, str],
    shipped: Catalogue,
    *,
    created: int,
    key_file: FilePath | None = None,
    offline: bool = False,
) -> Config:
    """The configuration of a document. Raises ConfigError with all that is wrong.

    created: Unix seconds to list for models that are new; key_file: client keys of the command
    line, in the place of ARNO_KEYS; offline: recordings alone, whatever is said of providers.
    """
    if offline:
        rest = msgspec.structs.replace(
            loaded.document, provider={}, model={}, alias={}, price=(), estimates=OFF
        )
        loaded = Loaded(rest, loaded.problems)
    resolver = _Resolver(loaded, environ)
    config = resolver.config(shipped, created, key_file, offline=offline)
    if resolver.problems.found:
        raise ConfigError(resolver.problems.found)
    return config


class _Resolver:
    """Goes through a document part by part and notes what is wrong with each."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str]) -> None:
        self.problems = loaded.problems
        self._document = loaded.document
        self._source = loaded.problems.source
        self._environ = environ
        self._secrets = Secrets(environ, loaded.problems)
        self._prices: dict[Price, str] = {}

    def config(
        self, shipped: Catalogue, created: int, key_file: FilePath | None, *, offline: bool
    ) -> Config:
        """The configuration as far as it goes."""
        document = self._document
        clients = Clients(self._secrets, self.problems)
        clients.refer(document.key)
        clients.give(self._environ, key_file)
        ring, client_keys = clients.ring()
        upstreams = self._upstreams(shipped, offline=offline)
        recordings = self._recordings()
        connections = _connections(document)
        return Config(
            source=self._source,
            document=document,
            settings=self._settings(document.server, ring),
            data=self._data(document.server),
            keys=ring,
            client_keys=client_keys,
            upstreams=upstreams,
            catalogue=self._catalogue(shipped, upstreams, recordings, created),
            prices=self._prices,
            recordings=recordings,
            scale=1.0 if document.replay.scale is None else document.replay.scale,
            engine=_engine(document),
            connections=connections,
            per_host=self._per_host(upstreams, connections),
            proxies=self._proxies(),
            ssl_context=self._ssl_context(),
            warnings=(*self._secrets.warnings, *clients.warnings),
        )

    def _settings(self, table: ServerTable, ring: KeyRing) -> GatewaySettings:
        settings = msgspec.structs.replace(GatewaySettings(), **_said(table, _SERVER))
        alone = {
            "host": msgspec.structs.replace(settings, cors=False),
            "cors": GatewaySettings(cors=settings.cors),
        }
        for key, part in alone.items():
            try:
                check_exposure(part, has_keys=bool(ring))
            except SettingsError as error:
                self.problems.add(("server", key), str(error))
        return settings

    def _data(self, table: ServerTable) -> FilePath | None:
        return None if table.data is None else self._source.file(("server", "data"), table.data)

    def _upstreams(self, shipped: Catalogue, *, offline: bool) -> dict[str, Upstream]:
        # No variable switches a provider on where none shall be.
        secrets = Secrets({}, self.problems) if offline else self._secrets
        rows = Upstreams(shipped.known, secrets, self.problems)
        return rows.resolve(self._document.provider)

    def _recordings(self) -> tuple[Recording, ...]:
        named = self._document.replay.cassettes
        if named is None:
            if self._source.said(("replay", "cassettes")):
                return ()
            cassette = built_in()
            return (Recording(cassette, BUILT_IN, asked_models(cassette.cassette)),)
        found = []
        for number, text in enumerate(named):
            path = ("replay", "cassettes", number)
            try:
                loaded = load_cassettes([self._source.file(path, text)])
            except CassetteError as error:
                self.problems.add(path, str(error))
                continue
            origin = self._source.origin(path)
            found += [Recording(one, origin, asked_models(one.cassette)) for one in loaded]
        return tuple(found)

    def _catalogue(
        self,
        shipped: Catalogue,
        upstreams: Mapping[str, Upstream],
        recordings: tuple[Recording, ...],
        created: int,
    ) -> Catalogue:
        """The shipped rows with those of the file, what is on alone."""
        document = self._document
        recorded = list(dict.fromkeys(m for recording in recordings for m in recording.models))
        offers = Offers(document, upstreams, recorded, self.problems, created)
        try:
            known = shipped.extended(endpoints=[u.endpoint for u in upstreams.values()])
            models = offers.models(known.models)
            known = known.extended(models=models).with_recorded(recorded, created=created)
            known = known.extended(models=[*_replayed(known, recorded), *models])
            prices = offers.prices(known)
            self._prices = {price_key(row): origin for row, origin in prices.items()}
            known = known.extended(prices=prices)
            replays = [slug for slug, row in known.endpoints.items() if row.transport == REPLAY]
            on = known.only([*(slug for slug, u in upstreams.items() if u.on), *replays])
            return on.extended(aliases=offers.aliases(on))
        except CatalogueError as error:
            # What the file says wrong was noted at its line; this is what follows from it.
            if not self.problems.found:
                self.problems.add((), str(error))
            return shipped

    def _per_host(
        self, upstreams: Mapping[str, Upstream], common: LiveLimits
    ) -> dict[str, LiveLimits]:
        found: dict[str, LiveLimits] = {}
        for upstream in upstreams.values():
            most = upstream.table.connections
            if most is None or not upstream.on:
                continue
            label = parse_url(upstream.endpoint.base_url).origin.label
            limits = msgspec.structs.replace(common, max_connections_per_host=most)
            if found.setdefault(label, limits) != limits:
                path = (*upstream.table.at, "connections")
                self.problems.add(path, f"another provider says something else for {label}")
        return found

    def _proxies(self) -> Proxies:
        if self._document.proxy.from_environment is False:
            return Proxies()
        try:
            return Proxies.from_environment(self._environ)
        except LocalError as error:
            self.problems.found.append(Problem(0, "environment", str(error)))
            return Proxies()

    def _ssl_context(self) -> ssl.SSLContext | None:
        text = self._document.tls.ca_file
        if text is None:
            return None
        path = ("tls", "ca_file")
        try:
            return client_context(self._source.file(path, text))
        except LocalError as error:
            self.problems.add(path, str(error))
            return None


def _said(table: Table, names: Mapping[str, str]) -> dict[str, Any]:
    """What a table says, under the names that our settings have for it."""
    values = {ours: getattr(table, key) for key, ours in names.items()}
    return {name: value for name, value in values.items() if value is not None}


def price_key(row: Price) -> Price:
    """A price row without the names that the catalogue lists it under."""
    return msgspec.structs.replace(row, endpoint="", model="")


def _engine(document: Document) -> EngineSettings:
    """Deadlines and bounds of attempts, without what is said of one provider or model."""
    settings = EngineSettings(
        deadlines=deadlines_of(document.deadlines),
        limits=msgspec.structs.replace(Limits(), **_said(document.limits, _LIMITS)),
        retry=msgspec.structs.replace(Retry(), **_said(document.retry, _RETRY)),
    )
    return msgspec.structs.replace(settings, **_said(document.limits, _ATTEMPTS))


def _connections(document: Document) -> LiveLimits:
    said = _said(document.limits, _CONNECTIONS)
    said |= _said(document.deadlines, {"connect": "connect_timeout"})
    return msgspec.structs.replace(LiveLimits(), **said)


def _replayed(catalogue: Catalogue, recorded: list[str]) -> list[Model]:
    """The models of recordings, served by those alone.

    A request that was not recorded must fail, not cost money somewhere else.
    """
    replays = [slug for slug, row in catalogue.endpoints.items() if row.transport == REPLAY]
    rows = [catalogue.models[model] for model in recorded]
    return [
        msgspec.structs.replace(row, served={slug: row.id for slug in replays}, weights={})
        for row in rows
    ]
