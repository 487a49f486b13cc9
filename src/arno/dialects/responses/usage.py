"""Usage on this wire, with the members that other wires count and this one does not.

Beside OpenAI's members (`input_tokens`, `input_tokens_details.cached_tokens`, ...) and the gateway
contract's `cost`, a usage object of ours may hold, in `input_tokens_details`: `audio_tokens`,
`tool_tokens` (input that tools of the upstream added) and `cache_write_1h_tokens` (the part of
`cache_write_tokens` that lives for an hour); in `output_tokens_details`: `audio_tokens`,
`image_tokens`; and beside them `service_tier` and `server_tool_use` (runs by tool). A count that
is not known is left out, never 0. Source: OpenAI API reference; contract, section 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from arno.canon.ext import Json, Loss
from arno.canon.usage import Usage
from arno.dialects.base import Pricer
from arno.dialects.counts import cost_text, count
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.residue import Document, text
from arno.dialects.responses.residue import DIALECT

INPUT_DETAILS, OUTPUT_DETAILS = "input_tokens_details", "output_tokens_details"

PLACES: dict[str, tuple[str, str]] = {
    "cache_read": (INPUT_DETAILS, "cached_tokens"),
    "cache_write_5m": (INPUT_DETAILS, "cache_write_tokens"),
    "cache_write_1h": (INPUT_DETAILS, "cache_write_1h_tokens"),
    "audio_input": (INPUT_DETAILS, "audio_tokens"),
    "tool_input": (INPUT_DETAILS, "tool_tokens"),
    "reasoning": (OUTPUT_DETAILS, "reasoning_tokens"),
    "audio_output": (OUTPUT_DETAILS, "audio_tokens"),
    "image_output": (OUTPUT_DETAILS, "image_tokens"),
}
"""Canonical count to where it stands."""


def decode_usage(document: Json) -> Usage | None:
    """Canonical usage of a wire usage object; None for null, {} or anything that is no object.

    `cache_write_tokens` counts all writes, the long-lived ones as well.
    """
    if not document or not isinstance(document, Mapping):
        return None
    found = {name: _find(document, *place) for name, place in PLACES.items()}
    written, long = found["cache_write_5m"], found["cache_write_1h"]
    if written is not None and long is not None:
        found["cache_write_5m"] = max(0, written - long)
    return Usage(
        input=count(document.get("input_tokens")),
        output=count(document.get("output_tokens")),
        **found,
        tier=text(document.get("service_tier")),
        server_tools=_tools(document.get("server_tool_use")),
        cost=cost_text(document.get("cost")),
        raw={DIALECT: dict(document)},
    )


def _find(document: Mapping[str, Json], member: str, name: str) -> int | None:
    inner = document.get(member)
    return count(inner.get(name)) if isinstance(inner, Mapping) else None


def _tools(value: Json) -> Mapping[str, int] | None:
    if not isinstance(value, Mapping):
        return None
    known = {name: number for name, each in value.items() if (number := count(each)) is not None}
    return known or None


def encode_usage(usage: Usage) -> Document:
    """The wire's usage object: the upstream's own where it spoke this dialect, else built."""
    raw = usage.raw.get(DIALECT)
    if raw is None:
        return _build(usage)
    document = dict(raw)
    if usage.cost is not None and cost_text(document.get("cost")) != usage.cost:
        document["cost"] = Decimal(usage.cost)
    return document


def told_usage(
    usage: Usage | None, pricer: Pricer, served_by: str | None, losses: Iterable[Loss]
) -> Json:
    """The usage member of an answer: priced if a price is known, with what was lost; None if
    there is nothing to tell."""
    document = None if usage is None else encode_usage(usage)
    if usage is not None and document is not None and usage.cost is None:
        cost = pricer(usage, served_by)
        if cost is not None:
            document["cost"] = Decimal(cost)
    told = disclosed(losses)
    return {**(document or {}), MEMBER: told} if told else document


def _build(usage: Usage) -> Document:
    document: Document = {INPUT_DETAILS: {}, OUTPUT_DETAILS: {}}
    for name, (member, key) in PLACES.items():
        number = getattr(usage, name)
        if number is not None:
            document[member][key] = number
    if usage.cache_write_5m is not None and usage.cache_write_1h is not None:
        document[INPUT_DETAILS]["cache_write_tokens"] += usage.cache_write_1h
    known = usage.input is not None and usage.output is not None
    members: Document = {
        "input_tokens": usage.input,
        INPUT_DETAILS: document[INPUT_DETAILS] or None,
        "output_tokens": usage.output,
        OUTPUT_DETAILS: document[OUTPUT_DETAILS] or None,
        "total_tokens": (usage.input or 0) + (usage.output or 0) if known else None,
        "cost": None if usage.cost is None else Decimal(usage.cost),
        "service_tier": usage.tier,
        "server_tool_use": dict(usage.server_tools) if usage.server_tools else None,
    }
    return {key: value for key, value in members.items() if value is not None}
