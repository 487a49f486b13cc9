"""Tokens of Google Cloud: for a service account, a user's login or the machine.

Where credentials are looked for, the first that is there (Google's "application default
credentials"):

    the file that the configuration names
    the file that GOOGLE_APPLICATION_CREDENTIALS names
    application_default_credentials.json of the program gcloud (CLOUDSDK_CONFIG, or its folder)
    the metadata server of the machine

A token is asked for through the transport that requests take, kept until shortly before its end,
and asked for by one request while the others wait.

Sources: RFC 7523 and Google's "Using OAuth 2.0 for server to server applications"; the layout of
the files and the metadata server's paths as the package `google-auth` reads them. The package is
needed for service accounts alone: it makes the RSA signature.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from arno.providers.auth import METADATA_HEADERS, METADATA_HOST, METADATA_PATH
from arno.providers.rows import Auth
from arno.transport.base import Headers, HttpRequest, Transport, TransportError
from arno.transport.signing import (
    CredentialsError,
    SigningError,
    borrowed,
    is_token,
    with_headers,
)
from arno.transport.url import parse_url

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GIVES_TOKENS = "https://oauth2.googleapis.com/token"

RENEW_BEFORE = 225.0
"""Seconds before a token's end from which on a new one is asked for."""

LIFETIME = 3600
"""Seconds that an assertion holds, the most that is accepted."""

PAUSE = 1.0
"""Seconds for which a failure answers for those who ask again."""

_MOST = 65_536
_LEAST_LEFT = 10.0


class ServiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A robot's own key. token_uri: who gives tokens for it; project: the one it belongs to."""

    client_email: str
    private_key: str
    private_key_id: str | None = None
    token_uri: str = GIVES_TOKENS
    project_id: str | None = None

    def __repr__(self) -> str:
        return "ServiceAccount(...)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be read anywhere."""
        return (self.private_key,)


class AuthorizedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user's login, kept by gcloud. quota_project_id: who pays for the requests."""

    client_id: str
    client_secret: str
    refresh_token: str
    token_uri: str = GIVES_TOKENS
    quota_project_id: str | None = None

    def __repr__(self) -> str:
        return "AuthorizedUser(...)"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be read anywhere."""
        return (self.client_secret, self.refresh_token)


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine's own identity, which the metadata server at `host` gives tokens for."""

    host: str = METADATA_HOST

    @property
    def secrets(self) -> tuple[str, ...]:
        """Nothing: the machine itself is known."""
        return ()


Credentials = ServiceAccount | AuthorizedUser | Machine

_KINDS: Mapping[str, type[ServiceAccount] | type[AuthorizedUser]] = {
    "service_account": ServiceAccount,
    "authorized_user": AuthorizedUser,
}


class _Kind(msgspec.Struct, frozen=True):
    type: str


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float

    def __repr__(self) -> str:
        return "_Token(...)"


class _Refusal(msgspec.Struct, frozen=True):
    error: str


def find_credentials(environ: Mapping[str, str], named: Path | None = None) -> Credentials:
    """The credentials, looked for as the module says. Raises CredentialsError.

    named: the file of the configuration.
    """
    if named is not None:
        return read_credentials(named)
    variable = environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if variable:
        return read_credentials(Path(variable))
    login = _login_file(environ)
    if login is not None and os.path.isfile(login):
        return read_credentials(login)
    return Machine(host=environ.get("GCE_METADATA_HOST") or METADATA_HOST)


def _login_file(environ: Mapping[str, str]) -> Path | None:
    folder: Path | None = None
    if environ.get("CLOUDSDK_CONFIG"):
        folder = Path(environ["CLOUDSDK_CONFIG"])
    elif environ.get("APPDATA"):
        folder = Path(environ["APPDATA"]) / "gcloud"
    elif environ.get("HOME"):
        folder = Path(environ["HOME"]) / ".config" / "gcloud"
    return None if folder is None else folder / "application_default_credentials.json"


def read_credentials(place: Path) -> ServiceAccount | AuthorizedUser:
    """The credentials in a file. Raises CredentialsError, which repeats nothing of the file."""
    text = _read(place)
    try:
        kind = msgspec.json.decode(text, type=_Kind).type
        if kind not in _KINDS:
            known = " and ".join(_KINDS)
            raise CredentialsError(f"{place}: credentials of this type are not known, only {known}")
        found = msgspec.json.decode(text, type=_KINDS[kind])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CredentialsError(f"{place}: expected a JSON file of credentials") from None
    if not _is_token_address(found.token_uri):
        raise CredentialsError(f"{place}: token_uri must be an https address")
    return found


def _read(place: Path) -> bytes:
    """A regular file's bytes: a pipe could deliver for ever. Raises CredentialsError."""
    try:
        handle = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise CredentialsError(f"{place}: this is no regular file")
            return file.read(_MOST)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise CredentialsError(f"the credentials {place} cannot be read: {why}") from error


def _is_token_address(text: str) -> bool:
    """Encrypted, or on this machine: the credentials themselves go there."""
    try:
        origin = parse_url(text).origin
    except ValueError:
        return False
    return origin.secure or origin.host in ("127.0.0.1", "::1", "localhost")


def check_credentials(credentials: Credentials) -> None:
    """Raises CredentialsError if they cannot be used, as far as that shows without asking."""
    _grant_of(credentials, lambda: 0.0)


class GoogleSigner:
    """Puts a token into each request. now: Unix seconds."""

    def __init__(
        self, credentials: Credentials, transport: Transport, now: Callable[[], float]
    ) -> None:
        """Raises CredentialsError for a key that cannot sign, or without the extra."""
        self._grant = _grant_of(credentials, now)
        self._transport = transport
        self._now = now
        self._payer: Headers = ()
        if isinstance(credentials, AuthorizedUser) and credentials.quota_project_id:
            self._payer = (("x-goog-user-project", credentials.quota_project_id),)
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._ends = 0.0
        self._failure: TransportError | None = None
        self._failed = 0.0

    @property
    def secret(self) -> str | None:
        """As the Protocol says."""
        return self._token

    async def sign(self, request: HttpRequest) -> HttpRequest:
        """As the Protocol says."""
        token = await self._fresh(request.connect_timeout)
        return with_headers(request, (("authorization", f"Bearer {token}"), *self._payer))

    def refused(self, request: HttpRequest) -> None:
        """As the Protocol says: the next request asks for another token."""
        if ("authorization", f"Bearer {self._token}") in request.headers:
            self._token = None

    async def _fresh(self, connect_timeout: float | None) -> str:
        """A token that holds for a while. Raises TransportError."""
        token = self._held(RENEW_BEFORE)
        if token is not None:
            return token
        async with self._lock:
            token = self._held(RENEW_BEFORE)
            if token is not None:
                return token
            if self._failure is not None and self._now() - self._failed < PAUSE:
                return self._otherwise(self._failure)
            try:
                self._token, self._ends = await self._ask(connect_timeout)
            except TransportError as error:
                self._failure, self._failed = error, self._now()
                return self._otherwise(error)
            self._failure = None
            return self._token

    def _held(self, left: float) -> str | None:
        """The present token if it holds for `left` seconds more."""
        return self._token if self._now() < self._ends - left else None

    def _otherwise(self, error: TransportError) -> str:
        """The old token while it lasts: that no new one can be had must not cost requests."""
        token = self._held(_LEAST_LEFT)
        if token is None:
            raise error
        return token

    async def _ask(self, connect_timeout: float | None) -> tuple[str, float]:
        """A new token and when it ends. Raises TransportError."""
        asked = self._now()
        request = msgspec.structs.replace(self._grant(), connect_timeout=connect_timeout)
        status, body = await self._answer(request)
        if status != 200:
            raise SigningError(f"no token was given: status {status}{_reason(body)}")
        try:
            found = msgspec.json.decode(body, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SigningError("no token was given: the answer holds none") from None
        if not is_token(found.access_token) or not 0 < found.expires_in <= 86_400:
            raise SigningError("no token was given: the answer holds none that can be used")
        return found.access_token, asked + found.expires_in

    async def _answer(self, request: HttpRequest) -> tuple[int, bytes]:
        """Status and body. Raises TransportError that says nothing of the request itself went."""
        try:
            response = await self._transport.send(request)
            try:
                body = bytearray()
                while len(body) < _MOST and (piece := await response.read()):
                    body += piece
            finally:
                response.abort()
        except TransportError as error:
            text = f"on the way to a token: {error.message}"
            raise TransportError(error.kind, text, sent=False) from error
        return response.status, bytes(body)


def _reason(body: bytes) -> str:
    """The machine-readable word of a refusal (RFC 6749, 5.2), if that is all it is."""
    try:
        word = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    is_word = len(word) <= 64 and word.replace("_", "").isalpha() and word.isascii()
    return f" ({word})" if is_word else ""


def _grant_of(credentials: Credentials, now: Callable[[], float]) -> Callable[[], HttpRequest]:
    """What makes the requests for tokens."""
    if isinstance(credentials, Machine):
        url = f"http://{credentials.host}{METADATA_PATH}?{urlencode({'scopes': SCOPE})}"
        return lambda: HttpRequest("GET", url, METADATA_HEADERS)
    if isinstance(credentials, AuthorizedUser):
        user = {
            "grant_type": "refresh_token",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
            "refresh_token": credentials.refresh_token,
        }
        return lambda: _form(credentials.token_uri, user)
    sign = _assertions(credentials, now)
    kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return lambda: _form(credentials.token_uri, {"grant_type": kind, "assertion": sign()})


def _form(url: str, fields: Mapping[str, str]) -> HttpRequest:
    content = ("content-type", "application/x-www-form-urlencoded")
    accept = ("accept", "application/json")
    return HttpRequest("POST", url, (content, accept), urlencode(fields).encode())


def _assertions(account: ServiceAccount, now: Callable[[], float]) -> Callable[[], str]:
    """What makes signed statements of who asks (RFC 7523). Raises CredentialsError."""
    crypt = borrowed("google.auth.crypt", Auth.GOOGLE)
    jwt = borrowed("google.auth.jwt", Auth.GOOGLE)
    try:
        signer = crypt.RSASigner.from_string(account.private_key, account.private_key_id)
    except (ValueError, TypeError):
        # The library's text may repeat a line of the key.
        raise CredentialsError("the private key of the service account cannot be read") from None

    def assertion() -> str:
        issued = int(now())
        claims = {
            "iss": account.client_email,
            "sub": account.client_email,
            "aud": account.token_uri,
            "scope": SCOPE,
            "iat": issued,
            "exp": issued + LIFETIME,
        }
        token: bytes = jwt.encode(signer, claims)
        return token.decode("ascii")

    return assertion
