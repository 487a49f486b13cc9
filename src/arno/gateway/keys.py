"""Client keys: read from the environment or a file, kept as SHA-256 only.

Serves the threat model (client keys), behaviour R35 and bad inputs 7, 8 and 33. Keys have much
entropy, so a plain hash is enough; they are looked up by the start of the hash and the whole is
compared in constant time. No key is logged, shown or kept.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from arno.gateway.errors import Refusal, SettingsError

KEYS_VARIABLE = "ARNO_KEYS"
MIN_LENGTH = 16
MAX_LENGTH = 512
LOCAL = "local"
"""The key id of callers where no keys exist (loopback only)."""

PLAIN_FIELDS = (b"x-api-key", b"x-goog-api-key")
"""Headers that hold a key alone, as SDKs of some dialects send it."""
_FIELDS = frozenset({b"authorization", *PLAIN_FIELDS})

_ENTRY = re.compile(r"(?:(?P<name>[A-Za-z0-9_.-]{1,64}):)?(?P<key>[!-~]*)")
_LOOKUP = 8
_CHALLENGE = (("www-authenticate", "Bearer"),)


Entry = tuple[str | None, str]
"""A key's name, if it has one, and the key."""


class KeyRing:
    """The client keys of one gateway; empty means that it serves this machine only."""

    def __init__(self, entries: Iterable[Entry], source: str = "keys") -> None:
        """Raises SettingsError; its text never holds a key."""
        self._by_start: dict[bytes, tuple[bytes, str]] = {}
        for number, (name, key) in enumerate(entries, 1):
            _check(key, f"{source}, entry {number}")
            digest = _digest(key.encode())
            if digest[:_LOOKUP] in self._by_start:
                raise SettingsError(f"{source}, entry {number}: the key stands there twice")
            self._by_start[digest[:_LOOKUP]] = (digest, name or f"key-{digest.hex()[:8]}")

    def __bool__(self) -> bool:
        return bool(self._by_start)

    def __repr__(self) -> str:
        return f"KeyRing({len(self._by_start)} keys)"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all keys, in order: their names, made-up ones for those without."""
        return tuple(key_id for _, key_id in self._by_start.values())

    def key_id(self, credential: bytes) -> str | None:
        """The id of a presented key, None if it is not one of ours."""
        if len(credential) > MAX_LENGTH:
            return None
        digest = _digest(credential)
        known = self._by_start.get(digest[:_LOOKUP])
        if known is None or not hmac.compare_digest(known[0], digest):
            return None
        return known[1]

    def authenticate(
        self,
        headers: Mapping[bytes, bytes],
        repeated: frozenset[bytes],
        named: Sequence[bytes] = (),
    ) -> str:
        """The key id of a request. Raises Refusal (400 ambiguous, 401 in one constant shape).

        headers: first value by lower-case name; repeated: names that came more than once; named:
        keys that stood in the query, where the caller's dialect puts them there.
        """
        if repeated & _FIELDS:
            raise _ambiguous()
        bearer = _bearer(headers.get(b"authorization"))
        given = [
            value
            for value in (bearer, *map(headers.get, PLAIN_FIELDS), *named)
            if value is not None
        ]
        credential = given[0] if given else None
        if any(not hmac.compare_digest(credential or b"", other) for other in given[1:]):
            raise _ambiguous()
        found = self.key_id(credential) if credential else None
        if found is None:
            raise Refusal(401, "No valid API key was given", "invalid_key", _CHALLENGE)
        return found


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _check(key: str, where: str) -> None:
    if not MIN_LENGTH <= len(key) <= MAX_LENGTH:
        raise SettingsError(f"{where}: a key has {MIN_LENGTH} to {MAX_LENGTH} characters")


def _ambiguous() -> Refusal:
    return Refusal(400, "More than one API key was given", "ambiguous_credentials")


def _bearer(value: bytes | None) -> bytes | None:
    """The token of an Authorization header; b"" for another scheme, None without the header."""
    if value is None:
        return None
    scheme, _, token = value.partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else b""


def _parse(text: str, where: str) -> Entry:
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise SettingsError(f"{where}: write `name:key` or the key alone, in printable ASCII")
    return match["name"], match["key"]


def entries_of_environment(environ: Mapping[str, str]) -> list[Entry]:
    """Keys of `ARNO_KEYS`: separated by commas, each `name:key` or the key alone.

    Raises SettingsError.
    """
    parts = [part.strip() for part in environ.get(KEYS_VARIABLE, "").split(",")]
    filled = [part for part in parts if part]
    return [_parse(part, f"{KEYS_VARIABLE}, entry {n}") for n, part in enumerate(filled, 1)]


def from_environment(environ: Mapping[str, str]) -> KeyRing:
    """The keys of `ARNO_KEYS`. Raises SettingsError."""
    return KeyRing(entries_of_environment(environ), KEYS_VARIABLE)


def entries_of_file(path: Path) -> tuple[list[Entry], tuple[str, ...]]:
    """Keys of a file (one a line, `#` starts a comment line) and warnings for the operator.

    Raises SettingsError for a file that cannot be read or holds no key.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
        open_to_others = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"key file {path}: {type(error).__name__}") from error
    stripped = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    filled = [(number, line) for number, line in stripped if line and not line.startswith("#")]
    entries = [_parse(line, f"{path}, line {number}") for number, line in filled]
    if not entries:
        raise SettingsError(f"key file {path} holds no key")
    warning = f"key file {path} can be read by other users: chmod 600 it"
    return entries, ((warning,) if open_to_others else ())


def from_file(path: Path) -> tuple[KeyRing, tuple[str, ...]]:
    """The keys of a file, and warnings; see `entries_of_file`. Raises SettingsError."""
    entries, warnings = entries_of_file(path)
    return KeyRing(entries, str(path)), warnings
