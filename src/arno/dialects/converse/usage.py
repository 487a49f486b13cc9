"""Usage on the wire: `inputTokens` leaves out what was read from a cache or written to one.

Counts that the wire has no member for stand in extension members of the usage object, which SDKs do
not read, as do `cost` (USD, a decimal number) and `losses`. The tier that served stands beside the
usage object, in `serviceTier`. Source: API reference, TokenUsage; recorded answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from arno.canon.ext import Json, Loss
from arno.canon.usage import Usage
from arno.dialects.base import Pricer
from arno.dialects.converse.residue import DIALECT
from arno.dialects.counts import cost_text, count
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.residue import Document, text

EXTENSIONS: dict[str, str] = {
    "reasoning": "reasoningTokens",
    "audio_input": "audioInputTokens",
    "audio_output": "audioOutputTokens",
    "image_output": "imageOutputTokens",
    "tool_input": "toolInputTokens",
}
"""Canonical count to its extension member."""

INPUT = "inputTokensWithCache"
"""Extension member: all that was sent, where a host counts a token as read and as written."""


def decode_usage(document: Json, tier: Json = None) -> Usage | None:
    """Canonical usage of a usage object; tier: the `serviceTier` beside it."""
    if not document or not isinstance(document, Mapping):
        return None
    read, written = (count(document.get(f"cache{w}InputTokens")) for w in ("Read", "Write"))
    short, long = _writes(written, document.get("cacheDetails"))
    extensions = {field: count(document.get(name)) for field, name in EXTENSIONS.items()}
    cached = (read or 0) + (short or 0) + (long or 0)
    return Usage(
        input=_sent(document, cached),
        output=count(document.get("outputTokens")),
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        tier=tier_of(tier),
        server_tools=_server_tools(document.get("serverToolUsage")),
        cost=cost_text(document.get("cost")),
        raw={DIALECT: dict(document)},
        **extensions,
    )


def _sent(document: Mapping[str, Json], cached: int) -> int | None:
    """All that was sent, what was read from a cache or written to one included."""
    told, fresh = count(document.get(INPUT)), count(document.get("inputTokens"))
    if told is not None or fresh is None:
        return told
    return fresh + cached


def _writes(written: int | None, details: Json) -> tuple[int | None, int | None]:
    """Tokens written for five minutes and for an hour; without details all were the former."""
    told: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        number = count(detail.get("inputTokens")) if isinstance(detail, Mapping) else None
        if number is not None and isinstance(detail.get("ttl"), str):
            told[detail["ttl"]] = told.get(detail["ttl"], 0) + number
    long = told.get("1h")
    if written is None:
        return told.get("5m"), long
    rest = max(0, written - (long or 0))
    return (None if long is not None and not rest and "5m" not in told else rest), long


def _server_tools(document: Json) -> Mapping[str, int] | None:
    if not isinstance(document, Mapping):
        return None
    known = {
        name: number for name, value in document.items() if (number := count(value)) is not None
    }
    return known or None


def tier_of(document: Json) -> str | None:
    """The word in a `serviceTier`."""
    return text(document.get("type")) if isinstance(document, Mapping) else None


def encode_usage(usage: Usage) -> Document:
    """The usage object: the upstream's own where it spoke this dialect, else built.

    Unknown counts are left out, never written as 0.
    """
    raw = usage.raw.get(DIALECT)
    document = dict(raw) if raw is not None else _build(usage)
    if usage.cost is not None and cost_text(document.get("cost")) != usage.cost:
        document["cost"] = Decimal(usage.cost)
    return document


def _build(usage: Usage) -> dict[str, Any]:
    writes = [n for n in (usage.cache_write_5m, usage.cache_write_1h) if n is not None]
    cached = (usage.cache_read or 0) + sum(writes)
    known = None not in (usage.input, usage.output)
    document: dict[str, Any] = {
        INPUT: usage.input if usage.input is not None and usage.input < cached else None,
        "inputTokens": None if usage.input is None else max(0, usage.input - cached),
        "outputTokens": usage.output,
        "totalTokens": (usage.input or 0) + (usage.output or 0) if known else None,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": sum(writes) if writes else None,
        "cacheDetails": None if usage.cache_write_1h is None else _details(usage),
        "serverToolUsage": dict(usage.server_tools) if usage.server_tools else None,
        **{member: getattr(usage, field) for field, member in EXTENSIONS.items()},
    }
    return {key: value for key, value in document.items() if value is not None}


def _details(usage: Usage) -> list[Json]:
    """What was written for how long, the longest first."""
    lifetimes = (("1h", usage.cache_write_1h), ("5m", usage.cache_write_5m))
    return [{"ttl": ttl, "inputTokens": n} for ttl, n in lifetimes if n is not None]


def told_usage(
    usage: Usage | None, losses: Iterable[Loss], pricer: Pricer | None, served_by: str | None
) -> Document | None:
    """The usage object for a client: with a cost if one is known, and with what was lost."""
    told = disclosed(losses)
    if usage is None:
        return {MEMBER: told} if told else None
    document = encode_usage(usage)
    cost = pricer(usage, served_by) if pricer is not None and usage.cost is None else None
    if cost is not None:
        document["cost"] = Decimal(cost)
    if told:
        document[MEMBER] = told
    return document
