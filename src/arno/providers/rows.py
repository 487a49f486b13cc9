"""Rows of the catalogue: facts about the outside world as typed, frozen values.

Serves architecture section 2 (a provider is a data row). An unknown key, a missing one or a wrong
type in a file is an error of `arno.providers.load`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Literal

import msgspec

RATE_TEXT = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
"""A price: plain decimal text, not negative, at most nine places."""

SLUG = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all rows share: they never change, and a key they do not know is an error."""


class Endpoint(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider: where it is, what it speaks and how it differs.

    name: as shown to people; key_env: name of the environment variable that holds its key (None:
    it needs none); contract: it speaks the gateway's own superset, so bytes pass verbatim;
    finish_optional: `[DONE]` alone ends a stream well; stream_usage: it accepts
    `stream_options.include_usage`; price_as: the slug whose prices hold where this one has no row
    for a model; unlisted_models: it serves ids that the model file does not list.
    """

    slug: str
    name: str
    dialect: str
    base_url: str
    key_env: str | None = None
    contract: bool = False
    transport: Literal["live", "replay"] = "live"
    finish_optional: bool = False
    stream_usage: bool = True
    price_as: str | None = None
    unlisted_models: bool = False
    supported_parameters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.slug):
            raise ValueError(f"not a slug: {self.slug!r}")
        if not self.base_url.startswith(("https://", "http://")) or self.base_url.endswith("/"):
            raise ValueError(
                f"base_url must be an http(s) URL without a slash at its end: {self!r}"
            )


class Architecture(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes into a model and comes out of it."""

    modality: str = "text->text"
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    tokenizer: str = "Other"
    instruct_type: str | None = None


class Model(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be asked for. served: endpoint slug to the model's id there, in order of trial.

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


class Price(Row, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model costs at one endpoint, in USD per million tokens as decimal text.

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
