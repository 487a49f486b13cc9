"""Providers: which ones are on, where they are, and whose key they are sent.

A shipped row is switched on by its key in the environment or by a table `[provider.slug]`; a table
with another name and a base URL is a row of the operator's own. No request has a say in this.

A row that is the variant of another one (the same service in another dialect) goes where that one
goes: with its key, off if it is off. What the file says of the variant itself goes before that.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.gateway.config.problems import Problem, Problems, nearest
from arno.gateway.config.schema import BASE_URL_WORDS, ProviderTable, is_base_url
from arno.gateway.config.secrets import Secret, Secrets
from arno.gateway.config.signed import Identity, Signed
from arno.providers import Endpoint, switched_on, upstream_key, usable
from arno.providers.environment import VariableError, filled, placed
from arno.providers.roads import ROADS
from arno.providers.rows import SLUG, Auth, is_header

SHIPPED = "shipped row"
LIVE = "live"
_ROW_KEYS = (
    "base_url",
    "name",
    "dialect",
    "contract",
    "unlisted_models",
    "finish_optional",
    "stream_usage",
    "price_as",
    "supported_parameters",
    "auth",
    "road",
    "headers",
    "query",
    "region",
    "project",
    "resource",
    "multiple_choices",
    "variant_of",
)
"""Keys of a table that stand in the row under the same name."""

_OWN_PLACE = ("base_url", "dialect", "road")
"""What a table may say of a row that its variants do not share: they are not where it goes then."""

_NOT_SHARED = {"name": None, "price_as": None, "supported_parameters": None, "variant_of": None}


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as configured.

    disabled: the file switches it off; origin: who switched it on, or why it is off; address: who
    said its base URL; own: it is no shipped row; identity: for an endpoint that no key is enough
    for, what its requests are signed by.
    """

    endpoint: Endpoint
    on: bool
    origin: str
    address: str = SHIPPED
    key: Secret | None = None
    disabled: bool = False
    own: bool = False
    table: ProviderTable = ProviderTable()
    identity: Identity | None = None


class Upstreams:
    """All providers of a document and the catalogue's rows, by slug."""

    def __init__(self, rows: Mapping[str, Endpoint], secrets: Secrets, problems: Problems) -> None:
        self._rows = {slug: row for slug, row in rows.items() if row.transport == LIVE}
        self._reserved = rows.keys() - self._rows.keys()
        self._secrets = secrets
        self._environ = secrets.environ
        self._problems = problems
        self._signed = Signed(secrets.environ, problems)

    def resolve(self, tables: Mapping[str, ProviderTable]) -> dict[str, Upstream]:
        """Every provider, shipped ones first; what cannot be is left out and noted."""
        found: dict[str, Upstream] = {}
        for slug, row in self._rows.items():
            found[slug] = self._shipped(row, tables)
        for slug, table in tables.items():
            if slug not in self._rows:
                own = self._own(slug, table)
                found.update({} if own is None else {slug: own})
        self._check_names(found)
        return found

    def _shipped(self, row: Endpoint, tables: Mapping[str, ProviderTable]) -> Upstream:
        table = tables.get(row.slug)
        if table is not None:
            return self._changed(row, table)
        lead = tables.get(row.variant_of or "")
        if lead is None:
            return self._plain(row)
        said = self._problems.source.said
        if any(said((*lead.at, key)) for key in _OWN_PLACE):
            why = f"{row.variant_of} is another service: say [provider.{row.slug}] with base_url"
            return Upstream(endpoint=row, on=False, origin=why)
        return self._changed(row, msgspec.structs.replace(lead, **_NOT_SHARED))

    def _plain(self, row: Endpoint) -> Upstream:
        """A row that the file does not mention: the environment alone decides."""
        if not switched_on(row, self._environ):
            return Upstream(endpoint=row, on=False, origin=off_hint(row))
        here, address = self._placed(row)
        obstacle = self._signed.obstacle(here, self._key_of(row))
        if obstacle is not None:
            return Upstream(endpoint=row, on=False, origin=obstacle)
        key = self._key_of(row)
        origin = key.origin if key is not None else address
        return Upstream(
            endpoint=here,
            on=True,
            origin=origin,
            address=address,
            key=key,
            identity=self._signed.identity(here, key),
        )

    def _placed(self, row: Endpoint) -> tuple[Endpoint, str]:
        """The row where the environment puts it, and who said so."""
        try:
            here = placed(row, self._environ)
        except VariableError as error:
            place = f"environment {error.variable}"
            self._problems.found.append(Problem(0, place, error.text))
            return row, place
        if not is_base_url(here.base_url):
            text = f"expected {BASE_URL_WORDS}"
            self._problems.found.append(Problem(0, f"environment {row.base_url_env}", text))
        moved = row.base_url_env is not None and bool(self._environ.get(row.base_url_env))
        return here, f"environment {row.base_url_env}" if moved else SHIPPED

    def _filled(self, row: Endpoint) -> Endpoint:
        """The row with the fields of its address that the environment knows."""
        try:
            return filled(row, self._environ)
        except VariableError as error:
            place = f"environment {error.variable}"
            self._problems.found.append(Problem(0, place, error.text))
            return row

    def _key_of(self, row: Endpoint) -> Secret | None:
        """The key that the environment holds under the row's own names."""
        value = upstream_key(row, self._environ)
        if value is None:
            return None
        name = next(name for name in row.key_names if self._environ.get(name))
        secret = Secret(value, f"environment {name}")
        problem = secret.problem
        if problem is not None:
            self._problems.found.append(Problem(0, secret.origin, problem))
        return secret

    def _changed(self, row: Endpoint, table: ProviderTable) -> Upstream:
        """A shipped row with what the file says instead."""
        source = self._problems.source
        changed = self._with(row, table)
        if source.said((*table.at, "base_url")):
            here, address = self._filled(changed), source.origin((*table.at, "base_url"))
        else:
            here, address = self._placed(changed)
        if table.enabled is False:
            why = "switched off"
            return Upstream(endpoint=here, on=False, origin=why, disabled=True, table=table)
        key = self._referred(table) if self._refers(table) else self._key_of(row)
        if not self._refers(table) and not usable(here, self._environ):
            text = f"no key: set {' or '.join(row.key_names)}, or say key_env, key_file or "
            self._problems.add(table.at, f"{text}enabled = false")
        self._check(here, table)
        return Upstream(
            endpoint=here,
            on=True,
            origin=source.origin(table.at),
            address=address,
            key=key,
            table=table,
            identity=self._signed.identity(here, key, table),
        )

    def _own(self, slug: str, table: ProviderTable) -> Upstream | None:
        """A row of the operator's own; it takes any model unless told otherwise."""
        if slug in self._reserved:
            text = "this name belongs to recordings, which [replay] is about"
            self._problems.add(table.at, text)
            return None
        if not SLUG.fullmatch(slug):
            self._problems.add(table.at, "a provider's name has small letters and digits only")
            return None
        origin = self._problems.source.origin
        if table.base_url is None:
            if not self._problems.source.said((*table.at, "base_url")):
                text = "no shipped provider has this name, and one of your own needs base_url"
                self._problems.add(table.at, f"{text}{nearest(slug, self._rows)}")
            return None
        row = Endpoint(
            slug=slug, name=slug, dialect="chat", base_url=table.base_url, unlisted_models=True
        )
        disabled = table.enabled is False
        here = _cautious(self._filled(self._with(row, table)))
        self._check(here, table)
        key = self._referred(table) if self._refers(table) and not disabled else None
        return Upstream(
            endpoint=here,
            on=not disabled,
            origin="switched off" if disabled else origin(table.at),
            address=origin((*table.at, "base_url")),
            key=key,
            disabled=disabled,
            own=True,
            table=table,
            identity=None if disabled else self._signed.identity(here, key, table),
        )

    def _with(self, row: Endpoint, table: ProviderTable) -> Endpoint:
        changes = {name: getattr(table, name) for name in _ROW_KEYS}
        kept = {name: value for name, value in changes.items() if value is not None}
        if table.auth is not None:
            kept["auth"] = Auth(table.auth)
        if table.headers is not None:
            kept["headers"] = self._headers(table)
        return msgspec.structs.replace(row, **kept)

    def _headers(self, table: ProviderTable) -> dict[str, str]:
        """The headers that a table may set, under names in lower case."""
        found: dict[str, str] = {}
        for name, value in (table.headers or {}).items():
            if is_header(name.lower(), value):
                found[name.lower()] = value
            else:
                text = "this header is not for the file to set: a key goes by key_env or key_file"
                self._problems.add((*table.at, "headers", name), text)
        return found

    def _check(self, row: Endpoint, table: ProviderTable) -> None:
        """Note what does not fit together, and what an address still lacks."""
        road = None if row.road is None else ROADS[row.road]
        if road is not None and road.dialect != row.dialect:
            text = f"{row.road!r} is a way for the dialect {road.dialect!r}, not {row.dialect!r}"
            key = "road" if table.road is not None else "dialect"
            self._problems.add((*table.at, key), text)
        if table.enabled is False:
            return
        for field in row.missing:
            names = row.field_env.get(field, ())
            how = f"set {' or '.join(names)}, or say {field}" if names else f"say {field}"
            self._problems.add(table.at, f"no {field}: {how}")

    def _refers(self, table: ProviderTable) -> bool:
        said = self._problems.source.said
        return said((*table.at, "key_env")) or said((*table.at, "key_file"))

    def _referred(self, table: ProviderTable) -> Secret | None:
        return self._secrets.find(table.at, table.key_env, table.key_file)

    def _check_names(self, found: Mapping[str, Upstream]) -> None:
        """Note names of other providers that are nobody's."""
        known = found.keys() | self._reserved
        for upstream in found.values():
            table = upstream.table
            if table.price_as is not None and table.price_as not in known:
                text = f"there is no provider {table.price_as!r}{nearest(table.price_as, found)}"
                self._problems.add((*table.at, "price_as"), text)
            lead = found.get(table.variant_of or "")
            if table.variant_of is not None and (lead is None or lead.endpoint.variant_of):
                text = f"there is no provider {table.variant_of!r} that could have variants"
                self._problems.add((*table.at, "variant_of"), text)


def off_hint(row: Endpoint) -> str:
    """What would switch a shipped row on; of the variables for a field the first one."""
    names = (*row.key_names, *row.switch_env)
    if row.base_url_env is not None and row.anonymous:
        names = (row.base_url_env,)
    fields = [row.field_env[name][0] for name in row.missing if name in row.field_env]
    return f"set {', and '.join([' or '.join(names), *fields])}"


def _cautious(row: Endpoint) -> Endpoint:
    """A row of the operator's own, of which nothing is known: how much to think goes there as a
    plain host reads it, not as the contract's object.
    """
    if row.contract or row.dialect != "chat":
        return row
    return msgspec.structs.replace(row, quirks=("effort_alone",))
