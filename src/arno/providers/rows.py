"""Rows of the catalogue: facts about the outside world as typed, frozen values.

Serves architecture section 2 (a provider is a data row). An unknown key, a missing one or a wrong
type in a file is an error of `arno.providers.load`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Literal

import msgspec

from arno.providers import templates

RATE_TEXT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
"""A price: plain decimal text, not negative, at most nine places."""

MOST_WEIGHT = 1_000_000

SLUG = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")


_HEADER = re.compile(r"[a-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,1022}[\x21-\x7e])?")
_QUERY = re.compile(r"[A-Za-z0-9._~-]+=[A-Za-z0-9._~-]*(?:&[A-Za-z0-9._~-]+=[A-Za-z0-9._~-]*)*")
_OURS = frozenset(
    """
    accept api-key authorization connection content-length content-type cookie expect host
    keep-alive proxy-authorization proxy-connection te trailer transfer-encoding upgrade user-agent
    x-amz-date x-amz-security-token x-api-key x-goog-api-key
    """.split()
)
"""Headers that no row may set: those of keys, and those that are made for each request."""


class Auth(StrEnum):
    """How an endpoint is shown who asks.

    The first four put a key into the header of that name; google: a token for a service account
    or for the machine; aws: a signature (or a bearer key); both need the extra of their name.
    """

    BEARER = "bearer"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"
    X_GOOG_API_KEY = "x-goog-api-key"
    NONE = "none"
    GOOGLE = "google"
    AWS = "aws"


SIGNED = frozenset({Auth.GOOGLE, Auth.AWS})
"""Ways that find their credentials themselves, so that a row needs no key."""


class Row(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What all rows share: they never change, and a key they do not know is an error."""


class Endpoint(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider: where it is, what it speaks and how it differs.

    name: as shown to people; key_env: name of the environment variable that holds its key, or
    several names, of which the first one that is set counts (None: it needs none); anonymous: it
    works without a key too; base_url_env: the variable that gives another base URL, and switches
    an anonymous endpoint on; contract: it speaks the gateway's own superset, so bytes pass
    verbatim; finish_optional: `[DONE]` alone ends a stream well; stream_usage: it accepts
    `stream_options.include_usage`; price_as: the slug whose prices hold where this one has no row
    for a model; unlisted_models: it serves ids that the model file does not list, see
    `arno.providers.catalogue`; estimate_as: its name in the package that estimates come from;
    quirks: names of the functions in `arno.providers.quirks` that a request goes through.

    auth: how it is shown the key; headers: what else every request there says; road: name of the
    way in `arno.providers.roads` by which the dialect's requests get there, None for the dialect's
    own; query: behind every path, such as "api-version=1"; multiple_choices: a request may ask for
    several answers (n > 1); region, project, resource: values of the variables in its address, see
    `arno.providers.templates`; field_env: the variables that may hold them; switch_env: variables
    that switch it on besides its key's; variant_of: the slug of the row that is the same service
    with the same models in another dialect, under whose names they go.
    """

    slug: str
    name: str
    dialect: str
    base_url: str
    key_env: str | tuple[str, ...] | None = None
    anonymous: bool = False
    base_url_env: str | None = None
    contract: bool = False
    transport: Literal["live", "replay"] = "live"
    finish_optional: bool = False
    stream_usage: bool = True
    price_as: str | None = None
    unlisted_models: bool = False
    estimate_as: str | None = None
    quirks: tuple[str, ...] = ()
    supported_parameters: tuple[str, ...] = ()
    auth: Auth = Auth.BEARER
    headers: Mapping[str, str] = {}
    road: str | None = None
    query: str | None = None
    multiple_choices: bool = False
    region: str | None = None
    project: str | None = None
    resource: str | None = None
    field_env: Mapping[str, tuple[str, ...]] = {}
    switch_env: tuple[str, ...] = ()
    variant_of: str | None = None

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.slug):
            raise ValueError(f"not a slug: {self.slug!r}")
        if not is_base_url(self.base_url):
            raise ValueError(
                f"base_url must be an http(s) URL without a slash at its end: {self.base_url!r}"
            )
        templates.sample(self.base_url)
        for name, field in templates.FIELDS.items():
            value = getattr(self, name)
            if value is not None and not field.holds(value):
                raise ValueError(f"{name}: expected {field.expects}")
        for name, value in self.headers.items():
            if not is_header(name, value):
                raise ValueError(f"the header {name!r} cannot be set by a row")
        if self.query is not None and not is_query(self.query):
            raise ValueError(f"query must be like 'name=value': {self.query!r}")
        strange = sorted(self.field_env.keys() - templates.FIELDS.keys())
        if strange:
            raise ValueError(f"field_env names {strange[0]!r}, which is no field of an address")

    def __hash__(self) -> int:
        """Of its slug: some of its members are mappings."""
        return hash(self.slug)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The variables that may hold its key, in the order in which they are tried."""
        if self.key_env is None:
            return ()
        return (self.key_env,) if isinstance(self.key_env, str) else self.key_env

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields of its address that have no value yet; no request can be sent before."""
        return tuple(n for n in templates.variables(self.base_url) if getattr(self, n) is None)

    @property
    def family(self) -> str:
        """The slug under which its models are named: its own, or that of the same service."""
        return self.variant_of or self.slug


def is_base_url(text: str) -> bool:
    """Whether paths can be put behind `text`."""
    return text.startswith(("https://", "http://")) and not text.endswith("/")


def is_header(name: str, value: str) -> bool:
    """Whether a row may set a header: a name in lower case that is not ours, printable ASCII."""
    allowed = _HEADER.fullmatch(name) and name not in _OURS
    return bool(allowed and _HEADER_VALUE.fullmatch(value))


def is_query(text: str) -> bool:
    """Whether `text` is a plain query: names and values without escapes."""
    return _QUERY.fullmatch(text) is not None


class Architecture(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes into a model and comes out of it."""

    modality: str = "text->text"
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    tokenizer: str = "Other"
    instruct_type: str | None = None


class Model(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be asked for. served: endpoint slug to the model's id there, in order of trial.

    weights: endpoint slug to its share of the requests, a positive number for each endpoint in
    `served`, or empty: then the order counts. An endpoint stands in `served` once, so one model
    cannot have two ids at the same endpoint.
    created: Unix seconds; context_length and max_completion_tokens: tokens, None if not known.
    """

    id: str
    canonical_slug: str
    name: str
    created: int
    served: Mapping[str, str]
    context_length: int | None = None
    max_completion_tokens: int | None = None
    architecture: Architecture = Architecture()
    description: str | None = None
    weights: Mapping[str, float] = {}

    def __post_init__(self) -> None:
        if self.weights and self.weights.keys() != self.served.keys():
            raise ValueError("weights must name the endpoints in served, all of them or none")
        wrong = [slug for slug, share in self.weights.items() if not 0 < share < MOST_WEIGHT]
        if wrong:
            raise ValueError(f"the weight of {wrong[0]!r} is not a number between 0 and 1000000")


class Price(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs at one endpoint, in USD per million tokens as decimal text.

    model: its id here or its id there. A row holds for all models that have this id there; where
    rows differ, those under the id here go first, then those under the id there, and rows that
    are estimates are chosen apart from the others. For a model that no file lists the id there is
    the only name.
    served_by: the host behind the endpoint, None for every host; valid_from: ISO date; source:
    where the figures come from; request: USD per request; a rate that is not known is None.
    over_input: holds for prompts of more input tokens than this; estimate: a guess.
    """

    endpoint: str
    model: str
    valid_from: str
    source: str
    served_by: str | None = None
    input: str | None = None
    output: str | None = None
    cache_read: str | None = None
    cache_write_5m: str | None = None
    cache_write_1h: str | None = None
    reasoning: str | None = None
    request: str | None = None
    over_input: int = 0
    estimate: bool = False

    def __post_init__(self) -> None:
        if date.fromisoformat(self.valid_from).isoformat() != self.valid_from:
            raise ValueError(f"valid_from is not a day (YYYY-MM-DD): {self.valid_from!r}")
        if self.over_input < 0:
            raise ValueError(f"over_input is negative: {self.over_input}")
        rates = {name: getattr(self, name) for name in RATES}
        for name, text in rates.items():
            if text is not None and not RATE_TEXT.fullmatch(text):
                raise ValueError(f"{name} is not a decimal price: {text!r}")
        if all(text is None for text in rates.values()):
            raise ValueError("the row names no rate")


RATES = (
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "request",
)
"""The members of a price row that hold an amount."""
