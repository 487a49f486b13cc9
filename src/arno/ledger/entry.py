"""Entries: what the ledger keeps of a client request and of each upstream attempt.

Serves architecture 4.6 and behaviour R27: one generation entry per request, one exchange entry per
attempt. The fields follow the generation record of the API contract (openrouter-api 7.4). No prompt
and no answer is kept here. Unknown is None, never 0; times are ms, amounts nano-USD.
"""

from __future__ import annotations

from typing import Literal, TypedDict

import msgspec

from arno.canon.usage import Usage
from arno.ledger.settle import Charge, CostBasis

State = Literal["success", "cancelled", "truncated", "error", "refused"]
"""How a request or an attempt ended. refused: nothing was sent upstream."""

MAY_COST: tuple[State, ...] = ("success", "cancelled", "truncated")
"""States that an upstream may charge for; one that answered with an error takes nothing."""

TokensBasis = Literal["reported", "estimated", "unknown"]
"""Where token counts come from."""


class GenerationEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One client request.

    id is ours and unique, upstream_id is not. created_at_ms: UTC, since the epoch. stage: how far a
    failed request had come. input and output tokens are inclusive totals, the others parts of them;
    cache_write_1h_tokens is a part of cache_write_tokens. cost_reported: the upstream's text.
    latency_ms: to the first output; generation_ms: from there to the end.
    """

    id: str
    key_id: str
    created_at_ms: int
    dialect: str
    model_requested: str
    state: State
    streamed: bool
    http_status: int
    request_id: str | None = None
    model_served: str | None = None
    endpoint: str | None = None
    served_by: str | None = None
    upstream_id: str | None = None
    stage: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_basis: TokensBasis = "unknown"
    cost_nano: int | None = None
    cost_basis: CostBasis = "unpriced"
    cost_reported: str | None = None
    cost_computed_nano: int | None = None
    cost_differs: bool = False
    price_source: str | None = None
    latency_ms: int | None = None
    generation_ms: int | None = None
    attempts: int = 0
    error_kind: str | None = None
    error_code: str | None = None
    app_referer: str | None = None
    app_title: str | None = None
    user: str | None = None
    session_id: str | None = None
    losses: tuple[str, ...] = ()
    anomalies: tuple[str, ...] = ()


class ExchangeEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One upstream attempt of a generation; attempt counts from 1.

    first_byte_ms and duration_ms count from started_at_ms (UTC, since the epoch).
    """

    generation_id: str
    attempt: int
    endpoint: str
    model: str
    state: State
    started_at_ms: int
    duration_ms: int
    served_by: str | None = None
    upstream_id: str | None = None
    http_status: int | None = None
    error_kind: str | None = None
    retryable: bool | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_basis: TokensBasis = "unknown"
    cost_nano: int | None = None
    cost_basis: CostBasis = "unpriced"
    first_byte_ms: int | None = None


class LedgerRecord(msgspec.Struct, frozen=True):
    """What one request leaves in the ledger: its generation and the attempts made for it."""

    generation: GenerationEntry
    exchanges: tuple[ExchangeEntry, ...] = ()

    def __post_init__(self) -> None:
        for entry in self.exchanges:
            if entry.generation_id != self.generation.id:
                raise ValueError(f"an exchange of another generation: {entry.generation_id}")
        numbers = [entry.attempt for entry in self.exchanges]
        if len(numbers) > 1 and len(set(numbers)) != len(numbers):
            raise ValueError(f"two exchanges with one attempt number: {self.generation.id}")


class TokenFields(TypedDict):
    """The token fields that both kinds of entry have, ready to be passed with `**`."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    reasoning_tokens: int | None
    tokens_basis: TokensBasis


class CostFields(TypedDict):
    """The cost fields of a generation entry, ready to be passed with `**`."""

    cost_nano: int | None
    cost_basis: CostBasis
    cost_reported: str | None
    cost_computed_nano: int | None
    cost_differs: bool
    price_source: str | None


def token_fields(usage: Usage | None, *, estimated: bool = False) -> TokenFields:
    """The counts of a usage as an entry keeps them; a usage without totals is unknown."""
    known = usage is not None and (usage.input is not None or usage.output is not None)
    usage = usage or Usage()
    basis: TokensBasis = "estimated" if estimated else "reported"
    return TokenFields(
        input_tokens=usage.input,
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=_written(usage),
        cache_write_1h_tokens=usage.cache_write_1h,
        reasoning_tokens=usage.reasoning,
        tokens_basis=basis if known else "unknown",
    )


def _written(usage: Usage) -> int | None:
    short, long = usage.cache_write_5m, usage.cache_write_1h
    return long if short is None else short if long is None else short + long


def cost_fields(charge: Charge) -> CostFields:
    """A charge as a generation entry keeps it."""
    return CostFields(
        cost_nano=charge.nano,
        cost_basis=charge.basis,
        cost_reported=charge.reported,
        cost_computed_nano=charge.computed_nano,
        cost_differs=charge.differs,
        price_source=charge.price_source,
    )
