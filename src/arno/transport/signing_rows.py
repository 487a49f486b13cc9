"""The signer that an endpoint's row asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from arno.providers.rows import SIGNED, Auth, Endpoint
from arno.transport.base import Transport
from arno.transport.signing import CredentialsError, HeaderSigner, Signer
from arno.transport.signing_aws import AwsSigner
from arno.transport.signing_google import GoogleSigner, check_credentials, find_credentials


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
        return AwsSigner(_region(endpoint), environ)
    # A key where a signature could be is a bearer key.
    auth = Auth.BEARER if endpoint.auth in SIGNED else endpoint.auth
    return HeaderSigner(auth, key)


def check_signer(
    endpoint: Endpoint,
    key: str | None,
    *,
    environ: Mapping[str, str],
    credentials: Path | None = None,
) -> None:
    """Whether `signer_for` could make one. Raises CredentialsError with what is wrong.

    Credentials that only servers or other programs know of are not looked for.
    """
    if endpoint.auth is Auth.GOOGLE:
        check_credentials(find_credentials(environ, credentials))
    elif endpoint.auth is Auth.AWS and key is None:
        AwsSigner(_region(endpoint), environ)


def secret_texts(
    endpoint: Endpoint, environ: Mapping[str, str], credentials: Path | None = None
) -> frozenset[str]:
    """What the credentials of an endpoint hold that must not be read anywhere."""
    if endpoint.auth is Auth.GOOGLE:
        return frozenset(find_credentials(environ, credentials).secrets)
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN") if endpoint.auth is Auth.AWS else ()
    return frozenset(text for name in names if (text := environ.get(name)))


def _region(endpoint: Endpoint) -> str:
    if endpoint.region is None:
        raise CredentialsError("no region: a signature is made for one")
    return endpoint.region
