"""Endpoints that no key is enough for: what signs their requests, found when it is resolved.

A file of credentials is read here and not at the first request, so that `arno check` tells what is
wrong with it. What credentials hold is in no text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from arno.gateway.config.problems import Problems
from arno.gateway.config.schema import ProviderTable
from arno.gateway.config.secrets import Secret
from arno.providers import Endpoint
from arno.providers.rows import SIGNED, Auth
from arno.transport.base import Transport
from arno.transport.signing import CredentialsError, Signer
from arno.transport.signing_rows import check_signer, secret_texts, signer_for


class Identity(msgspec.Struct, frozen=True):
    """What the requests to one endpoint are signed by.

    make: gives the signer; its arguments are the transport by which tokens are asked for, and a
    clock of Unix seconds; secrets: texts that must not be read anywhere.
    """

    make: Callable[[Transport, Callable[[], float]], Signer]
    secrets: frozenset[str]

    def __repr__(self) -> str:
        return "Identity(...)"


class Signed:
    """Looks credentials up in an environment and in the files that a document names."""

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems

    def obstacle(self, row: Endpoint, key: Secret | None) -> str | None:
        """Why a row that the environment switches on cannot be used after all."""
        if row.auth not in SIGNED:
            return None
        try:
            check_signer(row, _value(key), environ=self._environ)
        except CredentialsError as error:
            return str(error)
        return None

    def identity(
        self, row: Endpoint, key: Secret | None, table: ProviderTable | None = None
    ) -> Identity | None:
        """What signs the requests to `row`; None where a key in a header does, or with a problem.

        table: what the file says of it, None if the environment alone switches it on.
        """
        place = self._file(row, table)
        if row.auth not in SIGNED or row.missing:
            return None
        value, environ = _value(key), self._environ
        try:
            check_signer(row, value, environ=environ, credentials=place)
        except CredentialsError as error:
            self._problems.add(() if table is None else table.at, str(error))
            return None

        def make(transport: Transport, now: Callable[[], float]) -> Signer:
            return signer_for(
                row, value, transport=transport, environ=environ, now=now, credentials=place
            )

        return Identity(make, secret_texts(row, environ, place))

    def _file(self, row: Endpoint, table: ProviderTable | None) -> Path | None:
        """The file of credentials that a table names; it is for one way of signing alone."""
        if table is None or table.credentials_file is None:
            return None
        at = (*table.at, "credentials_file")
        if row.auth is not Auth.GOOGLE:
            self._problems.add(at, f"this is for auth = {Auth.GOOGLE.value!r} alone")
            return None
        return self._problems.source.file(at, table.credentials_file)


def _value(key: Secret | None) -> str | None:
    return None if key is None else key.value
