"""Client keys: those the file refers to, beside ARNO_KEYS or the command line's key file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath

import msgspec

from arno.gateway import keys
from arno.gateway.config.problems import Problem, Problems
from arno.gateway.config.schema import KeyTable
from arno.gateway.config.secrets import Secrets
from arno.gateway.errors import SettingsError
from arno.gateway.keys import KeyRing


class ClientKey(msgspec.Struct, frozen=True):
    """The name of a client key, and where it comes from."""

    name: str
    origin: str


class Clients:
    """Gathers the client keys of one gateway; `warnings` are for the operator."""

    def __init__(self, secrets: Secrets, problems: Problems) -> None:
        self.warnings: list[str] = []
        self._secrets = secrets
        self._problems = problems
        self._entries: list[keys.Entry] = []
        self._origins: list[str] = []

    def refer(self, tables: tuple[KeyTable, ...]) -> None:
        """The keys of `[[key]]`."""
        source = self._problems.source
        for table in tables:
            if not any(source.said((*table.at, key)) for key in ("key_env", "key_file")):
                self._problems.add(table.at, "expected key_env or key_file")
                continue
            secret = self._secrets.find(table.at, table.key_env, table.key_file)
            if secret is None:
                continue
            try:
                KeyRing([(table.name, secret.value)], secret.origin)
            except SettingsError as error:
                self._problems.add(table.at, str(error))
            else:
                origin = f"{source.origin(table.at)}, {secret.origin}"
                self._add((table.name, secret.value), origin, table)

    def _add(self, entry: keys.Entry, origin: str, table: KeyTable) -> None:
        for known, where in zip(self._entries, self._origins, strict=True):
            if known[0] == entry[0]:
                text = f"the name {entry[0]!r} is taken by {where}"
                self._problems.add((*table.at, "name"), text)
                return
            if known[1] == entry[1]:
                self._problems.add(table.at, f"this is the same key as {where}")
                return
        self._entries.append(entry)
        self._origins.append(origin)

    def give(self, environ: Mapping[str, str], key_file: FilePath | None) -> None:
        """The keys of a file, or without one those of ARNO_KEYS."""
        origin = f"environment {keys.KEYS_VARIABLE}" if key_file is None else f"file {key_file}"
        try:
            if key_file is None:
                entries = keys.entries_of_environment(environ)
            else:
                entries, warnings = keys.entries_of_file(key_file)
                self.warnings += warnings
            KeyRing(entries, keys.KEYS_VARIABLE if key_file is None else str(key_file))
        except SettingsError as error:
            self._problems.found.append(Problem(0, "", str(error)))
            return
        self._entries += entries
        self._origins += [origin] * len(entries)

    def ring(self) -> tuple[KeyRing, tuple[ClientKey, ...]]:
        """All keys."""
        try:
            ring = KeyRing(self._entries, "client keys")
        except SettingsError as error:
            self._problems.found.append(Problem(0, "", str(error)))
            return KeyRing(()), ()
        pairs = zip(ring.ids, self._origins, strict=True)
        return ring, tuple(ClientKey(name, origin) for name, origin in pairs)
