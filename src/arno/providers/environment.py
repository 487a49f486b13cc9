"""What an environment says of an endpoint: its key, its address, whether it is switched on.

An address may have variables (a region, a project): their values come from the row, else from the
environment.

The environment is an argument. The address of a hosted endpoint is in its row alone: variables
such as OPENAI_BASE_URL tell programs where a gateway is, this one perhaps, and a gateway that
followed them would ask itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.providers import templates
from arno.providers.load import CatalogueError
from arno.providers.rows import SIGNED, Auth, Endpoint, is_base_url

Environment = Mapping[str, str]

_KEYLESS = SIGNED | {Auth.NONE}


class VariableError(CatalogueError):
    """A variable of the environment that holds what it must not; its value is not repeated."""

    def __init__(self, variable: str, text: str) -> None:
        super().__init__(f"{variable} {text}")
        self.variable = variable
        self.text = text


def upstream_key(endpoint: Endpoint, environ: Environment) -> str | None:
    """The endpoint's key: the first variable that is set and not empty; None without one."""
    return next((key for name in endpoint.key_names if (key := environ.get(name))), None)


def usable(endpoint: Endpoint, environ: Environment) -> bool:
    """Whether it works without a key, finds its credentials itself, or the environment holds one.

    Its address may still have fields without a value.
    """
    keyless = endpoint.anonymous or not endpoint.key_names or endpoint.auth in _KEYLESS
    return keyless or upstream_key(endpoint, environ) is not None


def switched_on(endpoint: Endpoint, environ: Environment) -> bool:
    """Whether a variable asks for the endpoint, and its address is complete.

    Its key asks for it, another variable of its row, or the base URL of one without a key.
    """
    if any(field not in _given(endpoint, environ) for field in endpoint.missing):
        return False
    if upstream_key(endpoint, environ) is not None:
        return True
    if any(environ.get(name) for name in endpoint.switch_env):
        return True
    return usable(endpoint, environ) and _address(endpoint, environ) is not None


def placed(endpoint: Endpoint, environ: Environment) -> Endpoint:
    """The endpoint at the address that the environment gives. Raises VariableError."""
    return filled(_moved(endpoint, environ), environ)


def filled(endpoint: Endpoint, environ: Environment) -> Endpoint:
    """The endpoint with the values of its address's fields in their places, if all are known.

    A value in the row goes before one of the environment. Raises VariableError for one that may
    not be part of an address.
    """
    given = _given(endpoint, environ)
    for field, name in given.items():
        if not templates.FIELDS[field].holds(environ[name]):
            raise VariableError(name, f"must be {templates.FIELDS[field].expects}")
    values = {field: environ[name] for field, name in given.items()}
    known = msgspec.structs.replace(endpoint, **values) if values else endpoint
    fields = templates.variables(known.base_url)
    if not fields or known.missing:
        return known
    address = templates.fill(known.base_url, {field: getattr(known, field) for field in fields})
    return msgspec.structs.replace(known, base_url=address)


def _given(endpoint: Endpoint, environ: Environment) -> dict[str, str]:
    """The fields that only the environment has a value for, and the variable of each."""
    found = {}
    for field, names in endpoint.field_env.items():
        name = next((name for name in names if environ.get(name)), None)
        if name is not None and getattr(endpoint, field) is None:
            found[field] = name
    return found


def _moved(endpoint: Endpoint, environ: Environment) -> Endpoint:
    given = _address(endpoint, environ)
    if given is None:
        return endpoint
    base_url = given.rstrip("/")
    if not is_base_url(base_url):
        # It is not repeated: what somebody puts into the wrong variable may be a key.
        raise VariableError(
            endpoint.base_url_env or "", f"must be a base URL such as {endpoint.base_url}"
        )
    return msgspec.structs.replace(endpoint, base_url=base_url)


def _address(endpoint: Endpoint, environ: Environment) -> str | None:
    return (environ.get(endpoint.base_url_env) or None) if endpoint.base_url_env else None
