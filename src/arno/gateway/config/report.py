"""What a configuration would serve, each value with the place where it was said.

One shape for people and programs: sections of rows. No secret is in it: a key is named by its
variable or file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import isinf
from pathlib import Path as FilePath

import msgspec

from arno.gateway.config.resolve import BUILT_IN, Config, price_key
from arno.gateway.config.schema import DeadlinesTable
from arno.gateway.config.toml_lines import Path
from arno.gateway.config.upstreams import SHIPPED, Upstream
from arno.providers import Candidate, Catalogue, Price
from arno.providers.catalogue import REPLAY
from arno.providers.estimates import Estimates
from arno.providers.rows import RATES, Auth
from arno.transport.proxy import Proxy

NO_ESTIMATES = Estimates()
DEFAULT = "default"
NOBODY = "no price row"
_WIDEST = 60
"""Characters of a column, beyond which a line goes its own way."""


class Row(msgspec.Struct, frozen=True):
    """One value. value: None for no limit; unit: of a number; origin: who says it."""

    name: str
    value: str | int | float | bool | None
    origin: str
    unit: str = ""

    @property
    def text(self) -> str:
        """The value for people."""
        if self.value is None:
            return "no limit"
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        shown = f"{self.value:.15g}" if isinstance(self.value, float) else str(self.value)
        return f"{shown} {self.unit}" if self.unit else shown


_NOTES = {"prices": " in USD per million tokens"}
_EMPTY = {"client keys": "none, so it serves this machine alone"}

Report = dict[str, list[Row]]
"""Rows by section, in the order in which they are shown."""


def report(
    config: Config, data: FilePath, data_origin: str, estimates: Estimates = NO_ESTIMATES
) -> Report:
    """All sections; data: the ledger's folder; estimates: what serves besides the rows."""
    guessed = config.catalogue.with_estimates(estimates.models, estimates.prices)
    return {
        "server": [*_server(config), Row("data", str(data), data_origin)],
        "client keys": [Row(key.name, "accepted", key.origin) for key in config.client_keys],
        "providers": [row for upstream in config.live for row in _provider(upstream)],
        "providers that are off": [
            Row(slug, upstream.origin, _off_origin(config, upstream))
            for slug, upstream in config.upstreams.items()
            if not upstream.on and not _follows(config, upstream)
        ],
        "models": [row for model in config.catalogue.models for row in _model(config, model)],
        "other models": list(_others(config)),
        "aliases": [
            Row(name, target, config.source.origin(("alias", name)))
            for name, target in config.catalogue.aliases.items()
        ],
        "prices": [
            row for model in config.catalogue.models for row in _prices(config, guessed, model)
        ],
        "estimates": list(_estimates(config, estimates)),
        "deadlines": list(_deadlines(config)),
        "limits": list(_limits(config)),
        "retry": list(_retry(config)),
        "network": list(_network(config)),
        "replay": list(_replay(config)),
    }


def as_text(found: Report) -> str:
    """For people: a line a value, its origin last."""
    return "\n".join(line for title, rows in found.items() for line in _section(title, rows))


def as_document(found: Report) -> dict[str, list[dict[str, object]]]:
    """For programs: each section an array of objects with name, value, unit and origin."""
    return {
        title.replace(" ", "_"): [msgspec.structs.asdict(row) for row in rows]
        for title, rows in found.items()
    }


def _section(title: str, rows: list[Row]) -> Iterator[str]:
    yield f"{title}{_NOTES.get(title, '')}" if rows else f"{title}: {_EMPTY.get(title, 'none')}"
    names, texts = _width(row.name for row in rows), _width(row.text for row in rows)
    before = ""
    for row in rows:
        name = "" if row.name == before else row.name
        before = row.name
        yield f"  {name:<{names}}  {row.text:<{texts}}  {row.origin}"


def _width(texts: Iterable[str]) -> int:
    return min(max(map(len, texts), default=0), _WIDEST)


def _server(config: Config) -> Iterator[Row]:
    settings = config.settings
    values: dict[str, tuple[str | int | float | bool, str]] = {
        "host": (settings.host, ""),
        "port": (settings.port, ""),
        "cors": (settings.cors, ""),
        "grace": (settings.grace_s, "s"),
        "keep_alive": (settings.keep_alive_s, "s"),
        "head_deadline": (settings.head_deadline_s, "s"),
        "body_deadline": (settings.body_deadline_s, "s"),
        "max_head": (settings.max_head, "bytes"),
        "max_body": (settings.max_body, "bytes"),
        "strict": (settings.strict, ""),
        "keep_answers": (settings.keep_answers, ""),
    }
    for name, (value, unit) in values.items():
        yield Row(name, value, config.source.origin(("server", name)), unit)


def _follows(config: Config, upstream: Upstream) -> bool:
    """Whether a row is off only as the one is that it is a variant of."""
    lead = config.upstreams.get(upstream.endpoint.variant_of or "")
    return lead is not None and not lead.on


def _provider(upstream: Upstream) -> Iterator[Row]:
    """Its address and who asks there; of a variant, which has both from its row, the dialect."""
    endpoint, slug = upstream.endpoint, upstream.endpoint.slug
    if endpoint.variant_of is not None:
        yield Row(
            slug, f"{endpoint.variant_of} in the dialect {endpoint.dialect}", upstream.address
        )
        return
    yield Row(slug, upstream.endpoint.base_url, upstream.address)
    yield Row(slug, _shown_by(upstream), upstream.origin)


def _shown_by(upstream: Upstream) -> str:
    """How the provider is shown who asks."""
    if upstream.key is not None:
        return f"key: {upstream.key.origin}"
    return _IDENTITIES.get(upstream.endpoint.auth, "without a key")


_IDENTITIES = {Auth.GOOGLE: "a token for each request", Auth.AWS: "a signature on each request"}


def _off_origin(config: Config, upstream: Upstream) -> str:
    return config.source.origin((*upstream.table.at, "enabled")) if upstream.disabled else SHIPPED


def _model(config: Config, model: str) -> Iterator[Row]:
    origins = _candidate_origins(config, model)
    for candidate in config.catalogue.candidates_for(model):
        slug = candidate.endpoint.slug
        place = f"{slug}/{candidate.upstream_model}"
        weight = "" if candidate.weight is None else f", weight {candidate.weight:g}"
        yield Row(model, f"{place}{weight}", origins.get(place) or _origin(config, candidate))


def _candidate_origins(config: Config, model: str) -> Mapping[str, str]:
    """Where the file names the candidates of a model."""
    table = config.document.model.get(model)
    if table is None:
        return {}
    places: dict[str, Path] = {
        text: (*table.at, "candidates", number)
        for number, text in enumerate(table.candidates or ())
    }
    places |= {text: (*table.at, "weights", text) for text in table.weights or {}}
    return {text: config.source.origin(path) for text, path in places.items()}


def _origin(config: Config, candidate: Candidate) -> str:
    """Who says that a model is served there, if the file does not."""
    if candidate.endpoint.transport != REPLAY:
        return SHIPPED
    found = (r.origin for r in config.recordings if candidate.upstream_model in r.models)
    return next(found, SHIPPED)


def _others(config: Config) -> Iterator[Row]:
    """Which models are served that no row lists."""
    for upstream in config.live:
        endpoint = upstream.endpoint
        if endpoint.unlisted_models and endpoint.variant_of is None:
            said = config.source.origin((*upstream.table.at, "unlisted_models"), "")
            origin = said or (upstream.origin if upstream.own else SHIPPED)
            pattern = "any id" if endpoint.contract else f"{endpoint.slug}/ID"
            yield Row(pattern, f"by {endpoint.slug}", origin)


def _prices(config: Config, guessed: Catalogue, model: str) -> Iterator[Row]:
    """The prices of a model; estimates where nothing else is known."""
    for candidate in guessed.candidates_for(model):
        slug = candidate.endpoint.slug
        rows = guessed.prices_for(slug, candidate.model)
        firm = [row for row in rows if not row.estimate]
        for row in firm or rows:
            origin = config.prices.get(price_key(row)) or (row.source if row.estimate else SHIPPED)
            yield Row(model, f"{_host(candidate, row)}: {_rates(row)}", origin)
        if not rows:
            yield Row(model, f"{slug}: unpriced", NOBODY)


def _estimates(config: Config, found: Estimates) -> Iterator[Row]:
    """Whether there are estimates, and how many models they add for each provider."""
    enabled = config.document.estimates.enabled is not False
    origin = config.source.origin(("estimates", "enabled"))
    yield Row("enabled", enabled if found.reason is None else f"none: {found.reason}", origin)
    source = next((row.source for row in found.prices), "")
    counts = Counter(slug for model in found.models for slug in model.served)
    for slug, count in counts.items():
        yield Row(slug, count, source, "models more")


def _host(candidate: Candidate, row: Price) -> str:
    slug = candidate.endpoint.slug
    return slug if row.served_by is None else f"{slug} ({row.served_by})"


def _rates(row: Price) -> str:
    rates = ((name, getattr(row, name)) for name in RATES)
    said = ", ".join(f"{name} {text}" for name, text in rates if text is not None)
    tier = f" over {row.over_input} tokens" if row.over_input else ""
    return f"{said}{tier}{' (estimate)' if row.estimate else ''}"


def _deadlines(config: Config) -> Iterator[Row]:
    common = msgspec.structs.asdict(config.engine.deadlines)
    for name in _DEADLINES:
        yield Row(name, common[name], config.source.origin(("deadlines", name)), "s")
    for slug, upstream in config.upstreams.items():
        yield from _particular(config, slug, upstream.table.deadlines)
    for model, table in config.document.model.items():
        yield from _particular(config, model, table.deadlines)


_DEADLINES = ("connect", "first", "idle", "total")


def _particular(config: Config, name: str, table: DeadlinesTable | None) -> Iterator[Row]:
    """What one provider or model has of its own."""
    for key in _DEADLINES if table is not None else ():
        value = getattr(table, key)
        if table is not None and value is not None:
            shown = None if isinf(value) else value
            yield Row(f"{name}: {key}", shown, config.source.origin((*table.at, key)), "s")


def _limits(config: Config) -> Iterator[Row]:
    connections, limits = config.connections, config.engine.limits
    values: dict[str, tuple[int | float, str]] = {
        "attempts": (config.engine.max_attempts, ""),
        "frame": (limits.frame, "bytes"),
        "answer": (limits.whole, "bytes"),
        "connections": (connections.max_connections_per_host, "to one host"),
        "waiting": (connections.max_waiting, "requests for one host"),
        "waiting_time": (connections.slot_timeout, "s"),
    }
    for name, (value, unit) in values.items():
        yield Row(name, value, config.source.origin(("limits", name)), unit)
    for slug, upstream in config.upstreams.items():
        most = upstream.table.connections
        if most is not None:
            origin = config.source.origin((*upstream.table.at, "connections"))
            yield Row(f"{slug}: connections", most, origin)


def _retry(config: Config) -> Iterator[Row]:
    retry = config.engine.retry
    yield Row("rounds", retry.rounds, config.source.origin(("retry", "rounds")))
    yield Row("backoff", retry.backoff, config.source.origin(("retry", "backoff")), "s")


def _network(config: Config) -> Iterator[Row]:
    off = config.document.proxy.from_environment is False
    switch = config.source.origin(("proxy", "from_environment"))
    proxies = {"http": config.proxies.http, "https": config.proxies.https}
    for scheme, proxy in proxies.items():
        yield Row(f"proxy for {scheme}", _proxy(proxy), switch if off else "environment")
    ca_file = config.document.tls.ca_file
    trusted = "the system's" if ca_file is None else f"the system's and {ca_file}"
    yield Row("authorities", trusted, config.source.origin(("tls", "ca_file")))


def _proxy(proxy: Proxy | None) -> str:
    return "none" if proxy is None else proxy.label


def _replay(config: Config) -> Iterator[Row]:
    for recording in config.recordings:
        origin = DEFAULT if recording.origin == BUILT_IN else recording.origin
        name = recording.cassette.name
        yield Row("cassette", BUILT_IN if recording.origin == BUILT_IN else name, origin)
    yield Row("scale", config.scale, config.source.origin(("replay", "scale")))
