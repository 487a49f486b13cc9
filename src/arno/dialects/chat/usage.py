"""Usage on the wire of the chat dialect, with the gateway contract's cost members.

Source: usage conventions measured on recorded traffic; the contract's arithmetic (section 4.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from arno.canon.ext import Json, Loss
from arno.canon.usage import Usage

DIALECT = "chat"

# Canonical field, then the places where hosts put it, the first one that holds a number counts.
PLACES: dict[str, tuple[tuple[str, ...], ...]] = {
    "cache_read": (
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),
        ("cached_tokens",),
    ),
    "cache_write_5m": (("prompt_tokens_details", "cache_write_tokens"),),
    "reasoning": (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    "audio_input": (("prompt_tokens_details", "audio_tokens"),),
    "audio_output": (("completion_tokens_details", "audio_tokens"),),
    "image_output": (("completion_tokens_details", "image_tokens"),),
}


def count(value: Json) -> int | None:
    """A token count, or None for anything that is not a non-negative whole number."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
        return value if value >= 0 else None
    return None


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
    (total = prompt + completion + reasoning): then reasoning is added, since output is inclusive.
    """
    if not document or not isinstance(document, Mapping):
        return None
    found = {field: _find(document, places) for field, places in PLACES.items()}
    prompt, completion = (count(document.get(k)) for k in ("prompt_tokens", "completion_tokens"))
    reasoning = found["reasoning"]
    if prompt is not None and completion is not None and reasoning:
        total = count(document.get("total_tokens"))
        if total == prompt + completion + reasoning:
            completion += reasoning
    return Usage(
        input=prompt,
        output=completion,
        cache_read=found["cache_read"],
        cache_write_5m=found["cache_write_5m"],
        reasoning=reasoning,
        audio_input=found["audio_input"],
        audio_output=found["audio_output"],
        image_output=found["image_output"],
        cost=_cost_text(document.get("cost")),
        raw={DIALECT: dict(document)},
    )


def _cost_text(value: Json) -> str | None:
    """The reported cost with its own digits."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def encode_usage(usage: Usage) -> dict[str, Json]:
    """The wire's usage object: the upstream's own where it spoke this dialect, else built.

    Unknown counts are left out, never written as 0.
    """
    raw = usage.raw.get(DIALECT)
    if raw is not None:
        document = dict(raw)
        if usage.cost is not None and _cost_text(document.get("cost")) != usage.cost:
            document["cost"] = Decimal(usage.cost)
        return document
    return _build(usage)


def usage_losses(usage: Usage) -> list[Loss]:
    """What the wire's usage object has no place for."""
    if DIALECT in usage.raw:
        return []
    return [
        Loss(f"/usage/{field}", "dropped", f"chat usage has no member for {field}")
        for field in ("tool_input", "tier", "server_tools")
        if getattr(usage, field) is not None
    ]


def _build(usage: Usage) -> dict[str, Any]:
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
            audio_tokens=usage.audio_input,
        ),
        "completion_tokens_details": _known(
            reasoning_tokens=usage.reasoning,
            image_tokens=usage.image_output,
            audio_tokens=usage.audio_output,
        ),
    }
    return {key: value for key, value in document.items() if value is not None}


def _written(usage: Usage) -> int | None:
    parts = [n for n in (usage.cache_write_5m, usage.cache_write_1h) if n is not None]
    return sum(parts) if parts else None


def _known(**members: int | None) -> dict[str, int] | None:
    known = {key: value for key, value in members.items() if value is not None}
    return known or None
