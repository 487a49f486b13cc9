"""Usage on the wire of the chat dialect, with the gateway contract's cost members.

Counts for which neither OpenAI nor the contract has a member stand in members of our own, beside
the others, so that a client of this dialect can be told all that the ledger knows:

    prompt_tokens_details
        .cache_write_5m_tokens    of cache_write_tokens, those that are kept for five minutes
        .cache_write_1h_tokens    and those for an hour
        .tool_tokens              of the prompt, what tools of the provider put there
    service_tier                  the tier that was billed
    server_tools                  runs of the provider's tools by name
    losses                        what could not be carried, see `arno.dialects.disclosure`

Source: usage conventions measured on recorded traffic; the contract's arithmetic (section 4.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from arno.canon.ext import Json, Loss
from arno.canon.usage import Usage
from arno.dialects.chat.residue import DIALECT
from arno.dialects.counts import cost_text, count
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.residue import text

# Canonical field, then the places where hosts put it, the first one that holds a number counts.
PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "cache_read": (
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
    ),
    "cache_write_5m": (
        ("prompt_tokens_details", "cache_write_5m_tokens"),
        ("prompt_tokens_details", "cache_write_tokens"),
    ),
    "cache_write_1h": (("prompt_tokens_details", "cache_write_1h_tokens"),),
    "tool_input": (("prompt_tokens_details", "tool_tokens"),),
    "reasoning": (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    "audio_input": (("prompt_tokens_details", "audio_tokens"),),
    "audio_output": (("completion_tokens_details", "audio_tokens"),),
    "image_output": (("completion_tokens_details", "image_tokens"),),
}


SLIP = 1
"""How many reasoning tokens more than completion tokens are a slip of counting."""


def _find(document: Mapping[str, Json], places: tuple[tuple[str, ...], ...]) -> int | None:
    for place in places:
        value = document.get(place[0])
        if len(place) == 2:
            value = value.get(place[1]) if isinstance(value, dict) else None
        if value is not None and (number := count(value)) is not None:
            return number
    return None


def decode_usage(document: Json) -> Usage | None:
    """Canonical usage of a wire usage object; None for null, {} or anything that is no object.

    Hosts that leave reasoning out of completion_tokens give themselves away by their own total
    (total = prompt + completion + reasoning), or by more reasoning than completion (by more than
    the one token that some count too many): then it is added, since output is inclusive.
    """
    if not document or not isinstance(document, Mapping):
        return None
    found = {field: _find(document, places) for field, places in PLACES.items()}
    prompt, completion = (count(document.get(k)) for k in ("prompt_tokens", "completion_tokens"))
    reasoning = found["reasoning"]
    if prompt is not None and completion is not None and reasoning:
        total = count(document.get("total_tokens"))
        if total == prompt + completion + reasoning or reasoning > completion + SLIP:
            completion += reasoning
    return Usage(
        input=prompt,
        output=completion,
        cache_read=found["cache_read"],
        cache_write_5m=_written_5m(document, found),
        cache_write_1h=found["cache_write_1h"],
        reasoning=reasoning,
        audio_input=found["audio_input"],
        audio_output=found["audio_output"],
        image_output=found["image_output"],
        tool_input=found["tool_input"],
        tier=text(document.get("service_tier")),
        server_tools=_server_tools(document.get("server_tools")),
        cost=cost_text(document.get("cost")),
        raw={DIALECT: dict(document)},
    )


def _written_5m(document: Mapping[str, Json], found: Mapping[str, int | None]) -> int | None:
    """Writes for five minutes: the total of writes is theirs only where no others are told."""
    details = document.get("prompt_tokens_details")
    told = isinstance(details, dict) and "cache_write_5m_tokens" in details
    return found["cache_write_5m"] if told or found["cache_write_1h"] is None else None


def _server_tools(document: Json) -> dict[str, int] | None:
    if not isinstance(document, Mapping):
        return None
    counts = {name: count(value) for name, value in document.items()}
    return {name: number for name, number in counts.items() if number is not None}


def encode_usage(usage: Usage) -> dict[str, Json]:
    """The wire's usage object: the upstream's own where it spoke this dialect, else built.

    Unknown counts are left out, never written as 0.
    """
    raw = usage.raw.get(DIALECT)
    if raw is not None:
        document = dict(raw)
        if usage.cost is not None and cost_text(document.get("cost")) != usage.cost:
            document["cost"] = Decimal(usage.cost)
        return document
    return _build(usage)


def tell_losses(document: dict[str, Json], losses: Iterable[Loss]) -> dict[str, Json]:
    """A usage object with these losses behind those it tells already; itself if there are none."""
    told = disclosed(losses)
    if not told:
        return document
    known = document.get(MEMBER)
    return {**document, MEMBER: [*(known if isinstance(known, list) else ()), *told]}


def _build(usage: Usage) -> dict[str, Any]:
    split = usage.cache_write_1h is not None
    document: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": (
            None if usage.input is None or usage.output is None else usage.input + usage.output
        ),
        "cost": None if usage.cost is None else Decimal(usage.cost),
        "prompt_tokens_details": _known(
            cached_tokens=usage.cache_read,
            cache_write_tokens=_written(usage),
            cache_write_5m_tokens=usage.cache_write_5m if split else None,
            cache_write_1h_tokens=usage.cache_write_1h,
            audio_tokens=usage.audio_input,
            tool_tokens=usage.tool_input,
        ),
        "completion_tokens_details": _known(
            reasoning_tokens=usage.reasoning,
            image_tokens=usage.image_output,
            audio_tokens=usage.audio_output,
        ),
        "service_tier": usage.tier,
        "server_tools": None if usage.server_tools is None else dict(usage.server_tools),
    }
    return {key: value for key, value in document.items() if value is not None}


def _written(usage: Usage) -> int | None:
    parts = [n for n in (usage.cache_write_5m, usage.cache_write_1h) if n is not None]
    return sum(parts) if parts else None


def _known(**members: int | None) -> dict[str, int] | None:
    known = {key: value for key, value in members.items() if value is not None}
    return known or None
