"""The signer that an endpoint's row asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from arno.providers.rows import SIGNED, Auth, Endpoint
from arno.transport.base import Transport
from arno.transport.signing import HeaderSigner, Signer
from arno.transport.signing_aws import AwsSigner
from arno.transport.signing_google import GoogleSigner, find_credentials


def signer_for(
    endpoint: Endpoint,
    key: str | None,
    *,
    transport: Transport,
    environ: Mapping[str, str],
    now: Callable[[], float],
    credentials: Path | None = None,
) -> Signer:
    """How requests to `endpoint` are shown who asks. Raises CredentialsError.

    key: the operator's, where there is one; transport: the way to tokens; now: Unix seconds;
    credentials: the file that the configuration names for this endpoint.
    """
    if endpoint.auth is Auth.GOOGLE:
        return GoogleSigner(find_credentials(environ, credentials), transport, now)
    if endpoint.auth is Auth.AWS and key is None:
        return AwsSigner(endpoint.region or "", environ)
    # A key where a signature could be is a bearer key.
    auth = Auth.BEARER if endpoint.auth in SIGNED else endpoint.auth
    return HeaderSigner(auth, key)


def needs_signer(endpoint: Endpoint, key: str | None) -> bool:
    """Whether a key in a header is not enough; see `arno.providers.auth.key_headers`."""
    return endpoint.auth in SIGNED
