"""`usageMetadata`, both directions.

On the wire the prompt leaves out what tools put into it and the candidates leave out thoughts; the
canonical totals hold both (R25). Zero counts are left out by the wire, so an absent count is
unknown, unless the total of a finished answer tells it. A total without room for the thoughts says
that the candidates hold them: so are counts told whose parts are larger than the whole. Counts that
the wire has no member for stand beside its own: `cacheWriteTokenCount`, `cacheWriteLongTokenCount`
(kept for an hour), `serverToolUse`, `cost` (USD) and `losses`.
Source: Gemini API reference, "UsageMetadata"; usage conventions measured on recorded traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

from arno.canon.ext import Json, Loss
from arno.canon.usage import Usage
from arno.dialects.base import Pricer
from arno.dialects.counts import cost_text, count
from arno.dialects.disclosure import MEMBER, disclosed
from arno.dialects.gemini.residue import DIALECT
from arno.dialects.residue import Document, text

PROMPT, CANDIDATES, TOTAL = "promptTokenCount", "candidatesTokenCount", "totalTokenCount"
THOUGHTS, TOOLS, CACHED = (
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)
WRITTEN, WRITTEN_LONG, SERVER_TOOLS = (
    "cacheWriteTokenCount",
    "cacheWriteLongTokenCount",
    "serverToolUse",
)
COUNTS = (PROMPT, CANDIDATES, TOTAL, THOUGHTS, TOOLS, CACHED)
PROMPT_DETAILS, CANDIDATE_DETAILS = "promptTokensDetails", "candidatesTokensDetails"
MODALITIES: tuple[tuple[str, str, str], ...] = (
    ("audio_input", PROMPT_DETAILS, "AUDIO"),
    ("audio_output", CANDIDATE_DETAILS, "AUDIO"),
    ("image_output", CANDIDATE_DETAILS, "IMAGE"),
)
"""Canonical field, the wire's list, and the modality of the entry in it."""


def decode_usage(document: Json, *, final: bool) -> Usage | None:
    """Canonical usage; None where no count is told, as in the first chunks of some hosts.

    final: the answer is whole, so what its total leaves for an absent count is that count.
    """
    if not isinstance(document, Mapping) or not any(name in document for name in COUNTS):
        return None
    prompt, candidates, total, thoughts, tools, cached = (
        count(document.get(name)) for name in COUNTS
    )
    sent = None if prompt is None else prompt + (tools or 0)
    made = candidates
    if made is None and final and total is not None:
        made = max(total - (sent or 0) - (thoughts or 0), 0)
    if made is not None and not (thoughts and total == (sent or 0) + made):
        made += thoughts or 0
    return Usage(
        input=sent,
        output=made,
        cache_read=cached,
        cache_write_5m=count(document.get(WRITTEN)),
        cache_write_1h=count(document.get(WRITTEN_LONG)),
        reasoning=thoughts,
        tool_input=tools,
        tier=text(document.get("serviceTier")),
        server_tools=_server_tools(document.get(SERVER_TOOLS)),
        cost=cost_text(document.get("cost")),
        raw={DIALECT: dict(document)},
        **{field: _modality(document.get(name), word) for field, name, word in MODALITIES},
    )


def _modality(details: Json, word: str) -> int | None:
    found = [
        count(entry.get("tokenCount"))
        for entry in (details if isinstance(details, list) else ())
        if isinstance(entry, Mapping) and entry.get("modality") == word
    ]
    return found[0] if found else None


def _server_tools(value: Json) -> Mapping[str, int] | None:
    if not isinstance(value, Mapping):
        return None
    return {str(name): runs for name, runs in value.items() if count(runs) is not None} or None


def encode_usage(usage: Usage) -> Document:
    """The wire's object: the upstream's own where it spoke this dialect, else built."""
    raw = usage.raw.get(DIALECT)
    if raw is None:
        return _build(usage)
    document = dict(raw)
    if usage.cost is not None and cost_text(document.get("cost")) != usage.cost:
        document["cost"] = _decimal(usage.cost)
    return document


def _build(usage: Usage) -> Document:
    sent, made = usage.input, usage.output
    members: Document = {
        PROMPT: None if sent is None else max(sent - (usage.tool_input or 0), 0),
        CANDIDATES: None if made is None else _without_thoughts(made, usage.reasoning or 0),
        TOTAL: None if sent is None or made is None else sent + made,
        THOUGHTS: usage.reasoning,
        TOOLS: usage.tool_input,
        CACHED: usage.cache_read,
        WRITTEN: usage.cache_write_5m,
        WRITTEN_LONG: usage.cache_write_1h,
        SERVER_TOOLS: None if usage.server_tools is None else dict(usage.server_tools),
        "serviceTier": usage.tier,
        "cost": None if usage.cost is None else _decimal(usage.cost),
    }
    for field, name, word in MODALITIES:
        tokens = getattr(usage, field)
        if tokens is not None:
            entry = {"modality": word, "tokenCount": tokens}
            members[name] = [*(members.get(name) or ()), entry]
    return {name: value for name, value in members.items() if value is not None}


def _without_thoughts(made: int, thoughts: int) -> int:
    """The candidates' own count; one that is less than its thoughts is left as it was told."""
    return made - thoughts if made >= thoughts else made


def _decimal(cost: str) -> Json:
    try:
        return Decimal(cost)
    except InvalidOperation:
        return None


def told_usage(
    usage: Usage | None, losses: Iterable[Loss], pricer: Pricer, served_by: str | None
) -> Document | None:
    """What a client is told at the end: the counts, a cost if a price is known, the losses.

    None if there is nothing to tell. No count is ever made up.
    """
    document = {} if usage is None else encode_usage(usage)
    if usage is not None and usage.cost is None:
        cost = pricer(usage, served_by)
        if cost is not None:
            document["cost"] = _decimal(cost)
    lost = disclosed(losses)
    if lost:
        document[MEMBER] = lost
    return document or None
