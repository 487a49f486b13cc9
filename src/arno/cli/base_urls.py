"""Where a recorder sends what it gets, and where it tells a command to send it.

With one upstream everything goes there: the recorder stands for its base URL. Without one the first
segment of a path names the host (`/openai/v1/...`), and a base URL that the user's environment has
already keeps its meaning: it is reached under the variable's own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from arno.agent.settings import ROWS
from arno.gateway.errors import SettingsError
from arno.gateway.record import Route
from arno.providers.recordable import Recordable

OWN_PATH: Final = "/api/v1"
"""The path of our own gateway's base URL."""

_OWN, _OTHER = ROWS
_LOOPBACK: Final = "127.0.0.1,localhost"


class BaseUrls(msgspec.Struct, frozen=True):
    """routes: of the recorder; paths: a command's variables, each with its path at the recorder."""

    routes: tuple[Route, ...]
    paths: Mapping[str, str]

    def environment(self, url: str, environ: Mapping[str, str]) -> dict[str, str]:
        """The environment of a command: `environ`, sent to the recorder at `url`."""
        changed = {name: url + path for name, path in self.paths.items()}
        for name in ("NO_PROXY", "no_proxy"):
            # A proxy cannot reach this machine's loopback.
            given = environ.get(name)
            changed[name] = f"{given},{_LOOPBACK}" if given else _LOOPBACK
        return {**environ, **changed}


def one_upstream(upstream: str, rows: Iterable[Recordable], environ: Mapping[str, str]) -> BaseUrls:
    """All requests to one base URL. Raises SettingsError.

    A bare host gets each SDK's own path; a base URL with a path is taken for what it is.
    """
    route = Route("", upstream)
    variables = {name: path for row in rows for name, path in row.variables.items()}
    if _reads_own(environ):
        variables[_OWN[0]] = OWN_PATH
    bare = urlsplit(upstream).path in ("", "/")
    return BaseUrls((route,), {name: path if bare else "" for name, path in variables.items()})


def known_upstreams(rows: Iterable[Recordable], environ: Mapping[str, str]) -> BaseUrls:
    """Each host under its own prefix, each base URL of `environ` under its variable's name.

    Raises SettingsError for a variable whose value is no base URL.
    """
    routes: list[Route] = []
    paths: dict[str, str] = {}
    for row in rows:
        routes.append(Route(f"/{row.slug}", row.base_url or ""))
        paths.update({name: f"/{row.slug}{path}" for name, path in row.variables.items()})
    for name in (*paths, _OWN[0]):
        if value := environ.get(name):
            routes.append(_route_of(name, value))
            paths[name] = f"/{name}"
    return BaseUrls(tuple(routes), paths)


def _route_of(name: str, value: str) -> Route:
    try:
        return Route(f"/{name}", value)
    except SettingsError as error:
        raise SettingsError(f"{name}: {error}") from error


def _reads_own(environ: Mapping[str, str]) -> bool:
    """Whether our agent may be sent by its own variable: it then takes its own key alone, so not
    where the only key is that of the other row.
    """
    return bool(environ.get(_OWN[1])) or not environ.get(_OTHER[1])
