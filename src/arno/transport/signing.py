"""Who asks: requests get the operator's key, a token or a signature on their way to an upstream.

    Signer            the Protocol: a request in, the same request with its credentials out
    HeaderSigner      a key in a header                          (this file)
    GoogleSigner      a token of a service account or machine    signing_google.py
    AwsSigner         a signature over the request               signing_aws.py
    signer_for        the one that a row asks for                signing_rows.py
    Signing           a transport whose requests are signed      (this file)

What a signer knows is never in a message, a log line or a repr.

    SigningError      a request could not be signed: a `TransportError` of kind `sign`
    CredentialsError  an operator's credentials cannot be used; the text says where they are from
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol

import msgspec

from arno.canon.failure import LocalError
from arno.providers.auth import key_headers
from arno.providers.rows import Auth
from arno.transport.base import (
    ErrorKind,
    Headers,
    HttpRequest,
    HttpResponse,
    Transport,
    TransportError,
)

_UNAUTHORIZED = 401


class CredentialsError(LocalError):
    """Credentials that cannot be used; told when a gateway starts."""


class SigningError(TransportError):
    """A request that could not be signed; nothing of it was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.SIGN, message, sent=False)


class Signer(Protocol):
    """Signs the requests to one endpoint; belongs to one event loop."""

    @property
    def secret(self) -> str | None:
        """What an upstream was shown and nobody else may read: the key or the present token."""
        ...

    async def sign(self, request: HttpRequest) -> HttpRequest:
        """The request with its credentials, which must be the last change made to it.

        Raises `TransportError`: `SigningError`, or what went wrong on the way to a token.
        """
        ...

    def refused(self, request: HttpRequest) -> None:
        """An upstream did not accept the credentials of this signed request."""
        ...


class HeaderSigner:
    """A key in the header that the endpoint reads it from; no header without a key."""

    def __init__(self, auth: Auth, key: str | None) -> None:
        self.secret = key
        self._fields = key_headers(auth, key)

    async def sign(self, request: HttpRequest) -> HttpRequest:
        """As the Protocol says; never fails."""
        return with_headers(request, self._fields)

    def refused(self, request: HttpRequest) -> None:
        """As the Protocol says: there is no other key."""


class Signing:
    """A transport whose requests are signed before they go through another one."""

    def __init__(self, transport: Transport, signer: Signer) -> None:
        self._transport = transport
        self._signer = signer

    async def send(self, request: HttpRequest) -> HttpResponse:
        """As the Protocol says; raises `SigningError` too."""
        signed = await self._signer.sign(request)
        response = await self._transport.send(signed)
        if response.status == _UNAUTHORIZED:
            self._signer.refused(signed)
        return response

    @property
    def secret(self) -> str | None:
        """What the upstream is shown at present."""
        return self._signer.secret

    async def aclose(self) -> None:
        """Nothing to close: the transport below is its owner's."""


def with_headers(request: HttpRequest, fields: Headers) -> HttpRequest:
    """`request` with these headers, in the place of ones of the same names."""
    names = {name for name, _ in fields}
    kept = tuple((name, value) for name, value in request.headers if name not in names)
    return msgspec.structs.replace(request, headers=(*kept, *fields))


def is_token(text: str) -> bool:
    """Whether `text` can be the value of a header: printable ASCII without blanks, bounded."""
    return 0 < len(text) <= 16_384 and all("!" <= sign <= "~" for sign in text)


def is_installed(module: str) -> bool:
    """Whether a package of an extra is there; it is not imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def borrowed(module: str, extra: Auth) -> ModuleType:
    """A module of an extra, imported when it is first needed. Raises CredentialsError."""
    try:
        return import_module(module)
    except ImportError as error:
        raise missing(extra) from error


def missing(extra: Auth) -> CredentialsError:
    """The error for an extra that is not installed."""
    return CredentialsError(f"this needs a package more: pip install 'arno[{extra.value}]'")
