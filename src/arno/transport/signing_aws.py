"""Signatures of AWS (Signature Version 4), or its bearer key.

Where credentials are looked for, the first that is there:

    AWS_BEARER_TOKEN_BEDROCK               a key; nothing is signed then, and no package is needed
    AWS_ACCESS_KEY_ID with its secret      (and AWS_SESSION_TOKEN)
    what the package `botocore` finds      AWS_PROFILE, the shared files, roles, the machine's own

The signature is over the path exactly as it is sent: an escape in it is escaped once more
(`%3A` is signed as `%253A`), the rule for every service but S3. Only the headers that the server
must not misread are signed, so whoever adds another one on the way breaks nothing.

Source: the AWS General Reference on Signature Version 4; `botocore` makes the signature.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from arno.providers.rows import Auth
from arno.transport.base import HttpRequest
from arno.transport.signing import SigningError, borrowed, is_installed, missing, with_headers

SERVICE = "bedrock"
"""The service's name in a signature."""

_SIGNED = frozenset({"content-type"})
"""Headers that are signed besides Host and those that signing adds."""

_ADDED = ("authorization", "x-amz-date", "x-amz-security-token")


class Frozen(Protocol):
    """Credentials at one moment."""

    access_key: str
    secret_key: str
    token: str | None


class Credentials(Protocol):
    """Credentials that may be renewed by themselves; `refresh_needed` is there if they are."""

    def get_frozen_credentials(self) -> Frozen | None:
        """Those of this moment; may ask servers if they have to be renewed."""
        ...


class AwsSigner:
    """Signs each request for one region."""

    def __init__(self, region: str, environ: Mapping[str, str]) -> None:
        """Raises CredentialsError without the extra. Credentials are looked for when needed."""
        if not is_installed("botocore"):
            raise missing(Auth.AWS)
        # Its debug lines hold what it signs and what servers give it, secrets included.
        logging.getLogger("botocore").setLevel(logging.INFO)
        self._region = region
        self._environ = environ
        self._found: Credentials | None = None
        self._lock = asyncio.Lock()
        self._session_token: str | None = None

    @property
    def secret(self) -> str | None:
        """As the Protocol says: the session's token is all that is sent as it is."""
        return self._session_token

    async def sign(self, request: HttpRequest) -> HttpRequest:
        """As the Protocol says."""
        credentials = await self._credentials()
        self._session_token = credentials.token
        awsrequest = borrowed("botocore.awsrequest", Auth.AWS)
        fields = {name: value for name, value in request.headers if name in _SIGNED}
        draft = awsrequest.AWSRequest(
            method=request.method, url=request.url, data=request.body, headers=fields
        )
        auth = borrowed("botocore.auth", Auth.AWS)
        auth.SigV4Auth(credentials, SERVICE, self._region).add_auth(draft)
        added = ((name, draft.headers[name]) for name in _ADDED if name in draft.headers)
        return with_headers(request, tuple(added))

    def refused(self, request: HttpRequest) -> None:
        """As the Protocol says: the next request looks for credentials anew."""
        self._found = None

    async def _credentials(self) -> Frozen:
        """Those of this moment. Raises SigningError.

        Looking for them and renewing them may read files and ask servers, so it is done aside.
        """
        async with self._lock:
            try:
                if self._found is None:
                    self._found = await asyncio.to_thread(self._find)
                frozen = await _frozen(self._found)
            except SigningError:
                raise
            except Exception as error:
                # Botocore has no one family of errors here; their texts may tell of a profile's
                # insides, their names do not.
                why = type(error).__name__
                raise SigningError(f"no credentials of AWS can be had: {why}") from None
        if frozen is None or not frozen.access_key:
            raise SigningError("no credentials of AWS were found")
        return frozen

    def _find(self) -> Credentials:
        """Credentials, renewed by themselves where they end. Raises SigningError."""
        get = self._environ.get
        access, secret = get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
        found: Credentials | None
        if access and secret:
            library = borrowed("botocore.credentials", Auth.AWS)
            found = library.Credentials(access, secret, get("AWS_SESSION_TOKEN"))
        else:
            session = borrowed("botocore.session", Auth.AWS)
            found = session.Session(profile=get("AWS_PROFILE") or None).get_credentials()
        if found is None:
            raise SigningError("no credentials of AWS were found")
        return found


async def _frozen(credentials: Credentials) -> Frozen | None:
    renews = getattr(credentials, "refresh_needed", None)
    if renews is not None and renews():
        return await asyncio.to_thread(credentials.get_frozen_credentials)
    return credentials.get_frozen_credentials()
