"""Usage on the wire of the messages dialect.

The wire counts fresh input apart from cache reads and writes; canonical input holds all three.
Counts that the wire has no member for stand in extension members, which its readers ignore:

    cost                             USD, the digits as reported or priced
    input_tokens_details             audio_tokens, tool_tokens; total_tokens only where the parts
                                     are more than the whole that the upstream reported
    output_tokens_details            beside the wire's thinking_tokens: audio_tokens, image_tokens
    server_tool_use                  any tool's `<name>_requests`
    unknown                          the members below that hold no count

Readers cannot do without `input_tokens` and `output_tokens`: one vendor's SDK refuses an answer and
a `message_start` without them, and Claude Code falls over. Where they are not known they read 0 and
are listed in `unknown`, so that what is no count is told apart from a count of 0.
Source: SDK types `Usage` and `MessageDeltaUsage`; @ai-sdk/anthropic 3.0 (its schemas want numbers);
usage conventions measured on recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from arno.canon.ext import Json
from arno.canon.usage import Usage
from arno.dialects.counts import cost_text, count
from arno.dialects.messages.residue import DIALECT
from arno.dialects.residue import Document

NEEDED = ("input_tokens", "output_tokens")
UNKNOWN = "unknown"
_REQUESTS = "_requests"


def known(document: Json) -> Document:
    """A usage object without the members that hold no count."""
    if not isinstance(document, Mapping):
        return {}
    unknown = document.get(UNKNOWN)
    hidden = {UNKNOWN, *(unknown if isinstance(unknown, list) else ())}
    return {key: value for key, value in document.items() if key not in hidden}


def merged(earlier: Mapping[str, Json], later: Json) -> Document:
    """What two usage objects of one stream say together: counts are cumulative, null says nothing.

    The split of cache writes by lifetime stands in the first one only, as far as it still holds.
    """
    more = {key: value for key, value in known(later).items() if value is not None}
    return {**earlier, **more}


def decode_usage(document: Json) -> Usage | None:
    """Canonical usage of a wire usage object; None for one that holds no count."""
    wire = known(document)
    if not wire:
        return None
    inputs, outputs = _details(wire, "input_tokens_details"), _details(wire, _OUTPUT_DETAILS)
    read = count(wire.get("cache_read_input_tokens"))
    short, long = _writes(wire)
    usage = Usage(
        input=_total(wire, inputs, read),
        output=count(wire.get("output_tokens")),
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        reasoning=count(outputs.get("thinking_tokens")),
        audio_input=count(inputs.get("audio_tokens")),
        audio_output=count(outputs.get("audio_tokens")),
        image_output=count(outputs.get("image_tokens")),
        tool_input=count(inputs.get("tool_tokens")),
        tier=wire["service_tier"] if isinstance(wire.get("service_tier"), str) else None,
        server_tools=_server_tools(wire.get("server_tool_use")),
        cost=cost_text(wire.get("cost")),
        raw={DIALECT: wire},
    )
    return None if _is_empty(usage) else usage


_OUTPUT_DETAILS = "output_tokens_details"


def _is_empty(usage: Usage) -> bool:
    fields = (name for name in usage.__struct_fields__ if name != "raw")
    return all(getattr(usage, name) is None for name in fields)


def _details(wire: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    value = wire.get(key)
    return value if isinstance(value, Mapping) else {}


def _total(wire: Mapping[str, Json], details: Mapping[str, Json], read: int | None) -> int | None:
    total = count(details.get("total_tokens"))
    fresh = count(wire.get("input_tokens"))
    if total is not None or fresh is None:
        return total
    return fresh + (read or 0) + sum(n or 0 for n in _writes(wire))


def _writes(wire: Mapping[str, Json]) -> tuple[int | None, int | None]:
    """Cache writes that live 5 minutes and 1 hour; a lifetime that is not told counts as short."""
    split = _details(wire, "cache_creation")
    short = count(split.get("ephemeral_5m_input_tokens"))
    long = count(split.get("ephemeral_1h_input_tokens"))
    total = count(wire.get("cache_creation_input_tokens"))
    if total is not None and total != (short or 0) + (long or 0):
        short = max(total - (long or 0), 0)
    elif total is not None and short is None and long is None:
        short = total
    return short, long


def _server_tools(value: Json) -> dict[str, int] | None:
    if not isinstance(value, Mapping):
        return None
    counts = {key.removesuffix(_REQUESTS): count(number) for key, number in value.items()}
    return {key: number for key, number in counts.items() if number is not None} or None


def encode_usage(usage: Usage | None) -> Document:
    """The wire's usage object: the upstream's own where it spoke this dialect, else built."""
    if usage is None:
        return _needed({})
    raw = usage.raw.get(DIALECT)
    if raw is None:
        return _needed(_build(usage))
    document = dict(raw)
    if usage.cost is not None and cost_text(document.get("cost")) != usage.cost:
        document["cost"] = Decimal(usage.cost)
    return _needed(document)


def _needed(document: Document) -> Document:
    """`document` with every member that readers need; those without a count are listed."""
    missing = [key for key in NEEDED if count(document.get(key)) is None]
    if not missing:
        return document
    return {**document, **dict.fromkeys(missing, 0), UNKNOWN: missing}


def _build(usage: Usage) -> Document:
    written = [n for n in (usage.cache_write_5m, usage.cache_write_1h) if n is not None]
    parts = (usage.cache_read or 0) + sum(written)
    fresh = None if usage.input is None else max(usage.input - parts, 0)
    document: Document = {
        "input_tokens": fresh,
        "cache_creation_input_tokens": sum(written) if written else None,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": _split(usage),
        "output_tokens": usage.output,
        "input_tokens_details": _given(
            audio_tokens=usage.audio_input,
            tool_tokens=usage.tool_input,
            total_tokens=usage.input if usage.input is not None and parts > usage.input else None,
        ),
        _OUTPUT_DETAILS: _given(
            thinking_tokens=usage.reasoning,
            audio_tokens=usage.audio_output,
            image_tokens=usage.image_output,
        ),
        "server_tool_use": {f"{k}{_REQUESTS}": n for k, n in (usage.server_tools or {}).items()},
        "service_tier": usage.tier,
        "cost": None if usage.cost is None else Decimal(usage.cost),
    }
    return {key: value for key, value in document.items() if value is not None and value != {}}


def _split(usage: Usage) -> Document:
    """The split by lifetime, which only a long one makes necessary."""
    if usage.cache_write_1h is None:
        return {}
    return _given(
        ephemeral_5m_input_tokens=usage.cache_write_5m,
        ephemeral_1h_input_tokens=usage.cache_write_1h,
    )


def _given(**members: int | None) -> Document:
    return {key: value for key, value in members.items() if value is not None}
