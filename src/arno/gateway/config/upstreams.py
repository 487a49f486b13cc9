"""Providers: which ones are on, where they are, and whose key they are sent.

A shipped row is switched on by its key in the environment or by a table `[provider.slug]`; a table
with another name and a base URL is a row of the operator's own. No request has a say in this.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.gateway.config.problems import Problem, Problems, nearest
from arno.gateway.config.schema import BASE_URL_WORDS, ProviderTable, is_base_url
from arno.gateway.config.secrets import Secret, Secrets
from arno.providers import CatalogueError, Endpoint, switched_on, upstream_key, usable
from arno.providers.environment import placed
from arno.providers.rows import SLUG

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
)
"""Keys of a table that stand in the row under the same name."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One provider as configured.

    disabled: the file switches it off; origin: who switched it on, or why it is off; address: who
    said its base URL; own: it is no shipped row.
    """

    endpoint: Endpoint
    on: bool
    origin: str
    address: str = SHIPPED
    key: Secret | None = None
    disabled: bool = False
    own: bool = False
    table: ProviderTable = ProviderTable()


class Upstreams:
    """All providers of a document and the catalogue's rows, by slug."""

    def __init__(self, rows: Mapping[str, Endpoint], secrets: Secrets, problems: Problems) -> None:
        self._rows = {slug: row for slug, row in rows.items() if row.transport == LIVE}
        self._reserved = rows.keys() - self._rows.keys()
        self._secrets = secrets
        self._environ = secrets.environ
        self._problems = problems

    def resolve(self, tables: Mapping[str, ProviderTable]) -> dict[str, Upstream]:
        """Every provider, shipped ones first; what cannot be is left out and noted."""
        found: dict[str, Upstream] = {}
        for slug, row in self._rows.items():
            table = tables.get(slug)
            found[slug] = self._plain(row) if table is None else self._changed(row, table)
        for slug, table in tables.items():
            if slug not in self._rows:
                own = self._own(slug, table)
                found.update({} if own is None else {slug: own})
        self._check_price_as(found)
        return found

    def _plain(self, row: Endpoint) -> Upstream:
        """A row that the file does not mention: the environment alone decides."""
        if not switched_on(row, self._environ):
            return Upstream(endpoint=row, on=False, origin=off_hint(row))
        here, address = self._placed(row)
        key = self._key_of(row)
        origin = key.origin if key is not None else address
        return Upstream(endpoint=here, on=True, origin=origin, address=address, key=key)

    def _placed(self, row: Endpoint) -> tuple[Endpoint, str]:
        """The row where the environment puts it, and who said so."""
        try:
            here = placed(row, self._environ)
        except CatalogueError as error:
            place = f"environment {row.base_url_env}"
            self._problems.found.append(Problem(0, place, str(error)))
            return row, place
        if not is_base_url(here.base_url):
            text = f"expected {BASE_URL_WORDS}"
            self._problems.found.append(Problem(0, f"environment {row.base_url_env}", text))
        return here, SHIPPED if here is row else f"environment {row.base_url_env}"

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
        said = self._problems.source.said
        origin = self._problems.source.origin
        if said((*table.at, "base_url")):
            here, address = self._with(row, table), origin((*table.at, "base_url"))
        else:
            here, address = self._placed(row)
            here = self._with(here, table)
        if table.enabled is False:
            why = "switched off"
            return Upstream(endpoint=here, on=False, origin=why, disabled=True, table=table)
        key = self._referred(table) if self._refers(table) else self._key_of(row)
        if not self._refers(table) and not usable(row, self._environ):
            text = f"no key: set {' or '.join(row.key_names)}, or say key_env, key_file or "
            self._problems.add(table.at, f"{text}enabled = false")
        return Upstream(
            endpoint=here, on=True, origin=origin(table.at), address=address, key=key, table=table
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
        return Upstream(
            endpoint=self._with(row, table),
            on=not disabled,
            origin="switched off" if disabled else origin(table.at),
            address=origin((*table.at, "base_url")),
            key=self._referred(table) if self._refers(table) and not disabled else None,
            disabled=disabled,
            own=True,
            table=table,
        )

    @staticmethod
    def _with(row: Endpoint, table: ProviderTable) -> Endpoint:
        changes = {name: getattr(table, name) for name in _ROW_KEYS}
        kept = {name: value for name, value in changes.items() if value is not None}
        return msgspec.structs.replace(row, **kept)

    def _refers(self, table: ProviderTable) -> bool:
        said = self._problems.source.said
        return said((*table.at, "key_env")) or said((*table.at, "key_file"))

    def _referred(self, table: ProviderTable) -> Secret | None:
        return self._secrets.find(table.at, table.key_env, table.key_file)

    def _check_price_as(self, found: Mapping[str, Upstream]) -> None:
        known = found.keys() | self._reserved
        for upstream in found.values():
            slug = upstream.table.price_as
            if slug is not None and slug not in known:
                text = f"there is no provider {slug!r}{nearest(slug, found)}"
                self._problems.add((*upstream.table.at, "price_as"), text)


def off_hint(row: Endpoint) -> str:
    """What would switch a shipped row on."""
    names = row.key_names if row.base_url_env is None or not row.anonymous else (row.base_url_env,)
    return f"set {' or '.join(names)}"
