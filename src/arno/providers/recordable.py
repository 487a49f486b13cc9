"""Hosts that a recorder can stand in front of, and the variables that send their SDKs to it.

`recordable.toml` has what the catalogue does not say. An endpoint of the catalogue is one by
itself: its slug, the host of its base URL, and the variable of its base URL where it has one. A
variant is none (its host is its row's), and neither is an address that has variables.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Final
from urllib.parse import urlsplit

import msgspec

from arno.providers import templates
from arno.providers.load import CatalogueError
from arno.providers.rows import SLUG, Endpoint, Row, is_base_url

FILE: Final = "recordable.toml"


class Recordable(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A host. base_url: without a path, None where the catalogue says it; variables: names, each
    with the path that the SDKs that read it expect there.
    """

    slug: str
    base_url: str | None = None
    variables: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.slug):
            raise ValueError(f"not a slug: {self.slug!r}")
        if self.base_url is not None and not is_base_url(self.base_url):
            raise ValueError(f"base_url must be an http(s) URL: {self.base_url!r}")


def recordables(endpoints: Iterable[Endpoint], text: str | None = None) -> tuple[Recordable, ...]:
    """Every host, those of the file first. text: another file's. Raises CatalogueError."""
    hosts = {row.slug: _of_endpoint(row) for row in endpoints if _has_host(row)}
    rows: dict[str, Recordable] = {}
    for row in _read(_shipped() if text is None else text):
        known = hosts.pop(row.slug, None)
        base_url = row.base_url or (known.base_url if known else None)
        if base_url is None or row.slug in rows:
            raise CatalogueError(f"{FILE}: {row.slug!r} needs a base_url, and stands there once")
        more = known.variables if known else {}
        variables = {**row.variables, **more}
        rows[row.slug] = msgspec.structs.replace(row, base_url=base_url, variables=variables)
    return (*rows.values(), *hosts.values())


def _has_host(row: Endpoint) -> bool:
    live = row.transport == "live" and row.variant_of is None
    return live and not templates.variables(row.base_url)


def _of_endpoint(endpoint: Endpoint) -> Recordable:
    parts = urlsplit(endpoint.base_url)
    name = endpoint.base_url_env
    return Recordable(
        slug=endpoint.slug,
        base_url=f"{parts.scheme}://{parts.netloc}",
        variables={name: parts.path} if name else {},
    )


def _shipped() -> str:
    return resources.files("arno.providers").joinpath(FILE).read_text("utf-8")


def _read(text: str) -> list[Recordable]:
    try:
        rows = tomllib.loads(text)["recordable"]
        return msgspec.convert(rows, list[Recordable], strict=True)
    except (tomllib.TOMLDecodeError, KeyError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{FILE}: {error}") from error
