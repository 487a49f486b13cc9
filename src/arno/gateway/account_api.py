"""`GET /generation?id=` and `GET /key` (also `/auth/key`): what a caller may know of its spending.

Serves openrouter-api 1.3 and 7.4, architecture 4.2 (an id of ours or the upstream's, within the
caller's key) and 4.6 (reads merge what is pending). The sink may wait for a database, so it is
asked in a thread. Unknown values are null, never 0; amounts are exact JSON numbers in USD.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from arno.canon.ext import Json
from arno.gateway.asgi import Inbound, Reply, parameters
from arno.gateway.core import Gateway
from arno.gateway.errors import Refusal
from arno.gateway.log import timestamp
from arno.ledger.entry import ExchangeEntry, GenerationEntry, LedgerRecord
from arno.ledger.money import format_usd
from arno.ledger.ports import Sink, StoreUnavailable, Totals

MAX_ID = 256


async def generation(gateway: Gateway, request: Inbound) -> Reply:
    """One generation of the caller's; 404 for others' as for unknown ones."""
    values = parameters(request).get("id", [])
    if len(values) != 1 or len(values[0]) > MAX_ID:
        raise Refusal(400, "Give one id: /generation?id=gen-...", "invalid_parameter")
    try:
        record = await asyncio.to_thread(gateway.sink.generation, values[0], request.key_id or "")
    except StoreUnavailable as error:
        raise _unavailable() from error
    if record is None:
        raise Refusal(404, "No such generation", "generation_not_found")
    return Reply(200, {"data": _record(record)})


async def key(gateway: Gateway, request: Inbound) -> Reply:
    """The caller's key: its name and what it has spent."""
    key_id = request.key_id or ""
    now = datetime.fromtimestamp(gateway.clock.wall_ns() / 1e9, UTC)
    try:
        spent = await asyncio.to_thread(_totals, gateway.sink, key_id, now)
    except StoreUnavailable as error:
        raise _unavailable() from error
    return Reply(200, {"data": _key(key_id, spent)})


def _unavailable() -> Refusal:
    text = "The ledger cannot be read now"
    return Refusal(503, text, "ledger_unavailable", (("retry-after", "5"),))


def _totals(sink: Sink, key_id: str, now: datetime) -> dict[str, Totals]:
    """Sums since ever, and since the start of the UTC day, week (Monday) and month."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    starts = {
        "usage_daily": day,
        "usage_weekly": day - timedelta(days=day.weekday()),
        "usage_monthly": day.replace(day=1),
    }
    since = {name: int(start.timestamp() * 1000) for name, start in starts.items()}
    return {name: sink.totals(key_id, ms) for name, ms in {"usage": 0, **since}.items()}


def _usd(nano: int | None) -> Decimal | None:
    return None if nano is None else Decimal(format_usd(nano))


def _key(key_id: str, spent: dict[str, Totals]) -> dict[str, Json]:
    whole = spent["usage"]
    return {
        "label": key_id,
        "limit": None,
        "limit_remaining": None,
        "limit_reset": None,
        "include_byok_in_limit": False,
        **{name: _usd(totals.cost_nano) for name, totals in spent.items()},
        "byok_usage": 0,
        "byok_usage_daily": 0,
        "byok_usage_weekly": 0,
        "byok_usage_monthly": 0,
        "is_free_tier": False,
        "is_management_key": False,
        "is_provisioning_key": False,
        "creator_user_id": None,
        "expires_at": None,
        "rate_limit": {"requests": -1, "interval": "10s", "note": "There is no rate limit."},
        "requests": whole.requests,
        "unpriced_requests": whole.unpriced_requests,
        "input_tokens": whole.input,
        "output_tokens": whole.output,
    }


def _record(record: LedgerRecord) -> dict[str, Json]:
    """The contract's record, then what only this ledger knows."""
    entry = record.generation
    return {**_contract(entry), **_measures(entry), **_own(record)}


def _contract(entry: GenerationEntry) -> dict[str, Json]:
    cost = _usd(entry.cost_nano)
    return {
        "id": entry.id,
        "request_id": entry.request_id,
        "upstream_id": entry.upstream_id,
        "model": entry.model_served or entry.model_requested,
        "provider_name": entry.served_by,
        "api_type": "completions",
        "router": None,
        "preset_id": None,
        "origin": entry.app_referer or "",
        "http_referer": entry.app_referer,
        "app_id": None,
        "user_agent": None,
        "external_user": entry.user,
        "session_id": entry.session_id,
        "created_at": timestamp(entry.created_at_ms * 1_000_000),
        "streamed": entry.streamed,
        "cancelled": entry.state == "cancelled",
        "finish_reason": entry.finish_reason,
        "native_finish_reason": entry.native_finish_reason,
        "total_cost": cost,
        "usage": cost,
        "upstream_inference_cost": None,
        "cache_discount": None,
        "is_byok": False,
        "service_tier": None,
        "data_region": None,
        "response_cache_source_id": None,
        "workspace_id": None,
    }


def _measures(entry: GenerationEntry) -> dict[str, Json]:
    return {
        "tokens_prompt": entry.input_tokens,
        "tokens_completion": entry.output_tokens,
        "native_tokens_prompt": entry.input_tokens,
        "native_tokens_completion": entry.output_tokens,
        "native_tokens_reasoning": entry.reasoning_tokens,
        "native_tokens_cached": entry.cache_read_tokens,
        "native_tokens_completion_images": None,
        "num_media_prompt": None,
        "num_media_completion": None,
        "num_input_audio_prompt": None,
        "num_search_results": None,
        "num_fetches": None,
        "web_search_engine": None,
        "latency": entry.latency_ms,
        "generation_time": entry.generation_ms,
        "moderation_latency": None,
    }


def _own(record: LedgerRecord) -> dict[str, Json]:
    entry = record.generation
    return {
        "provider_responses": [_attempt(exchange) for exchange in record.exchanges],
        "model_requested": entry.model_requested,
        "state": entry.state,
        "http_status": entry.http_status,
        "endpoint": entry.endpoint,
        "attempts": entry.attempts,
        "tokens_basis": entry.tokens_basis,
        "cost_basis": entry.cost_basis,
        "cost_reported": entry.cost_reported,
        "cost_computed": _usd(entry.cost_computed_nano),
        "cost_differs": entry.cost_differs,
        "price_source": entry.price_source,
        "error_kind": entry.error_kind,
        "losses": list(entry.losses),
        "anomalies": list(entry.anomalies),
    }


def _attempt(exchange: ExchangeEntry) -> dict[str, Json]:
    return {
        "provider_name": exchange.served_by or exchange.endpoint,
        "endpoint": exchange.endpoint,
        "status": exchange.http_status,
        "latency": exchange.first_byte_ms,
        "duration": exchange.duration_ms,
        "state": exchange.state,
        "error_kind": exchange.error_kind,
        "cost": _usd(exchange.cost_nano),
        "started_at": timestamp(exchange.started_at_ms * 1_000_000),
    }
