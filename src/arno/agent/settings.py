"""Where requests go and with which key: given, or from the environment.

    ARNO_BASE_URL    with   ARNO_API_KEY
    OPENAI_BASE_URL  with   OPENAI_API_KEY

The first row whose URL is set counts, and a key goes only where its own row points: a URL given
in code takes ARNO_API_KEY and no other. Keys are never printed.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arno.agent.errors import SettingsError
from arno.transport.url import parse_url

ROWS = (("ARNO_BASE_URL", "ARNO_API_KEY"), ("OPENAI_BASE_URL", "OPENAI_API_KEY"))
"""Environment variables, a URL's and its key's."""


class Access(msgspec.Struct, frozen=True):
    """base_url: without a slash at its end; api_key: None if there is none."""

    base_url: str
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"Access({self.base_url!r}, api_key={'set' if self.api_key else None})"


def find_access(
    base_url: str | None, api_key: str | None, environment: Mapping[str, str]
) -> Access:
    """What was given, completed from `environment`; empty values count as absent.

    Raises SettingsError without a URL, for a URL that is none, or a key that no header can carry.
    """
    url, key_name = base_url, ROWS[0][1]
    if not url:
        rows = [row for row in ROWS if environment.get(row[0])]
        if not rows:
            names = " or ".join(row[0] for row in ROWS)
            raise SettingsError(f"no base_url: give one, or set {names}")
        url, key_name = environment[rows[0][0]], rows[0][1]
    try:
        parse_url(url)
    except ValueError as error:
        raise SettingsError(f"base_url: {error}") from error
    return Access(url.rstrip("/"), _checked(api_key or environment.get(key_name)))


def _checked(key: str | None) -> str | None:
    key = key.strip() if key else None  # a key read from a file ends in a line break
    if key and not all("!" <= letter <= "~" for letter in key):
        raise SettingsError("the API key holds a character that no header can carry")
    return key or None
