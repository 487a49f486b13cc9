"""What an environment says of an endpoint: its key, its address, whether it is switched on.

The environment is an argument. The address of a hosted endpoint is in its row alone: variables
such as OPENAI_BASE_URL tell programs where a gateway is, this one perhaps, and a gateway that
followed them would ask itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.providers.load import CatalogueError
from arno.providers.rows import Endpoint, is_base_url

Environment = Mapping[str, str]


def upstream_key(endpoint: Endpoint, environ: Environment) -> str | None:
    """The endpoint's key: the first variable that is set and not empty; None without one."""
    return next((key for name in endpoint.key_names if (key := environ.get(name))), None)


def usable(endpoint: Endpoint, environ: Environment) -> bool:
    """Whether requests can be sent there: it works without a key, or the environment holds it."""
    keyless = endpoint.anonymous or not endpoint.key_names
    return keyless or upstream_key(endpoint, environ) is not None


def switched_on(endpoint: Endpoint, environ: Environment) -> bool:
    """Whether a variable asks for the endpoint: its key, or the base URL of one without a key."""
    if upstream_key(endpoint, environ) is not None:
        return True
    return usable(endpoint, environ) and _address(endpoint, environ) is not None


def placed(endpoint: Endpoint, environ: Environment) -> Endpoint:
    """The endpoint at the base URL that the environment gives. Raises CatalogueError."""
    given = _address(endpoint, environ)
    if given is None:
        return endpoint
    base_url = given.rstrip("/")
    if not is_base_url(base_url):
        # It is not repeated: what somebody puts into the wrong variable may be a key.
        raise CatalogueError(
            f"{endpoint.base_url_env} must be a base URL such as {endpoint.base_url}"
        )
    return msgspec.structs.replace(endpoint, base_url=base_url)


def _address(endpoint: Endpoint, environ: Environment) -> str | None:
    return (environ.get(endpoint.base_url_env) or None) if endpoint.base_url_env else None
