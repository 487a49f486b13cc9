"""Addresses with variables: `https://{resource}.openai.azure.com/openai/v1`.

A value gets into a host's name, and with it decides who is sent the key. So each variable has a
pattern of its own that lists what may stand in it; `#`, `@`, `/`, `?`, `\\` and `%` may in none.

    region      where a cloud serves: us-east-1, europe-west4, global
    project     a project of a cloud, by id or number
    resource    the customer's own name for the service, the first label of a host's name
    aiplatform_host    made of the region: the host of a cloud whose hosts follow no single rule
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Field(NamedTuple):
    """What a variable may hold, as a pattern and in words."""

    pattern: re.Pattern[str]
    expects: str

    def holds(self, value: str) -> bool:
        """Whether `value` may stand in an address."""
        return self.pattern.fullmatch(value) is not None


FIELDS: Mapping[str, Field] = {
    "region": Field(
        re.compile(r"[a-z]{2,16}(?:-[a-z0-9]{1,16}){0,4}"), 'a region such as "us-east-1"'
    ),
    "project": Field(
        re.compile(r"(?:[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,3}:)?[a-z0-9][a-z0-9-]{1,62}"),
        "a project's id or number: small letters, digits and hyphens",
    ),
    "resource": Field(
        re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"),
        "a resource's name: letters, digits and hyphens",
    ),
}
"""Every variable that a row may give a value to."""

_MULTI_REGIONS = ("us", "eu")


def _aiplatform_host(region: str) -> str:
    """Source: what `google-genai` and `anthropic` put before the path."""
    if region == "global":
        return "aiplatform.googleapis.com"
    if region in _MULTI_REGIONS:
        return f"aiplatform.{region}.rep.googleapis.com"
    return f"{region}-aiplatform.googleapis.com"


_MADE: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "aiplatform_host": ("region", _aiplatform_host)
}
"""Variables that are made of another one: which, and how."""

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_SAMPLE = {"region": "aa-a1", "project": "aa", "resource": "aa"}


def variables(template: str) -> tuple[str, ...]:
    """The fields that an address needs, each once, in order. Raises ValueError for others."""
    found: dict[str, None] = {}
    for name in _VARIABLE.findall(template):
        field = _MADE[name][0] if name in _MADE else name
        if field not in FIELDS:
            known = ", ".join(f"{{{each}}}" for each in (*FIELDS, *_MADE))
            raise ValueError(f"the address has a variable that is none of {known}")
        found[field] = None
    return tuple(found)


def fill(template: str, values: Mapping[str, str]) -> str:
    """An address with its variables' values. Raises ValueError, which repeats no value.

    `values` must have all that `variables` names.
    """
    for name in variables(template):
        if not FIELDS[name].holds(values[name]):
            raise ValueError(f"{name}: expected {FIELDS[name].expects}")
    return _VARIABLE.sub(lambda found: _value(found[1], values), template)


def sample(template: str) -> str:
    """An address with harmless values, to see whether it can be one. Raises ValueError."""
    return fill(template, _SAMPLE)


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in _MADE:
        return values[name]
    field, make = _MADE[name]
    return make(values[field])
