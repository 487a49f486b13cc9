"""`GET /models`, `/models/{id}` and `/models/{author}/{slug}/endpoints`, in the contract's shape.

Serves openrouter-api 1.2 and 6. Prices are decimal strings in USD per token; an unknown one is
null, never "0". `object` and `owned_by` are added for clients of OpenAI.

`/models` takes `q` (part of an id or name), `supported_parameters` (all must be taken), `offset`
and `limit` (paging only if one of them is given).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from arno.canon.ext import Json
from arno.gateway import gemini_api
from arno.gateway.asgi import Inbound, Reply, parameters
from arno.gateway.core import Gateway
from arno.gateway.errors import Refusal
from arno.gateway.log import timestamp
from arno.ledger.money import format_token_price, format_usd
from arno.ledger.price import PriceRow
from arno.providers import Endpoint, Model

DEFAULT_LIMIT = 500
MAX_LIMIT = 1000
_DIGITS = 9

Query = dict[str, list[str]]


async def listed(gateway: Gateway, request: Inbound) -> Reply:
    """All models, in the shape that the caller's SDK gives itself away to read."""
    if b"x-goog-api-client" in request.headers:
        return await gemini_api.models(gateway, request)
    if b"anthropic-version" in request.headers:
        return Reply(200, _as_messages_clients_list(gateway))
    return await models(gateway, request)


def _as_messages_clients_list(gateway: Gateway) -> dict[str, Json]:
    """One page that holds them all."""
    rows = sorted(gateway.catalogue.models.values(), key=lambda row: (-row.created, row.id))
    data = [
        {
            "type": "model",
            "id": row.id,
            "display_name": row.name,
            "created_at": timestamp(row.created * 1_000_000_000),
        }
        for row in rows
    ]
    ends = {"first_id": rows[0].id if rows else None, "last_id": rows[-1].id if rows else None}
    return {"data": data, "has_more": False, **ends}


async def models(gateway: Gateway, request: Inbound) -> Reply:
    """All models that can be asked for, newest first; see the module for the parameters."""
    query = parameters(request)
    rows = sorted(gateway.catalogue.models.values(), key=lambda row: (-row.created, row.id))
    found = [row for row in rows if _matches(gateway, row, query)]
    page, following = _page(request.path, query, found)
    document = {
        "object": "list",
        "data": [_model(gateway, row) for row in page],
        "total_count": len(found),
        "links": {"next": following},
    }
    return Reply(200, document)


async def model(gateway: Gateway, request: Inbound) -> Reply:
    """One model; its id may hold any number of slashes."""
    row = gateway.catalogue.models.get(request.params[0])
    if row is None:
        raise Refusal(404, "No such model", "model_not_found")
    return Reply(200, _model(gateway, row))


async def endpoints(gateway: Gateway, request: Inbound) -> Reply:
    """Who serves one model: an entry for each host that has a price, or for the endpoint."""
    model = gateway.catalogue.models.get("/".join(request.params))
    if model is None:
        raise Refusal(404, "No such model", "model_not_found")
    document = {
        "id": model.id,
        "name": model.name,
        "created": model.created,
        "description": model.description or "",
        "architecture": _architecture(model),
        "endpoints": [
            entry for row in _serving(gateway, model) for entry in _hosts(gateway, model, row)
        ],
    }
    return Reply(200, {"data": document})


def _matches(gateway: Gateway, model: Model, query: Query) -> bool:
    words = " ".join(query.get("q", [])).lower()
    if words and words not in model.id.lower() and words not in model.name.lower():
        return False
    wanted = {name for text in query.get("supported_parameters", []) for name in text.split(",")}
    return (wanted - {""}).issubset(_parameters(gateway, model))


def _page(path: str, query: Query, rows: list[Model]) -> tuple[list[Model], str | None]:
    """The rows asked for, and the path of the next ones; everything unless a page is asked for."""
    if "offset" not in query and "limit" not in query:
        return rows, None
    offset = _number(query, "offset", 0)
    limit = _number(query, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise Refusal(400, f"limit must be between 1 and {MAX_LIMIT}", "invalid_parameter")
    end = offset + limit
    if end >= len(rows):
        return rows[offset:end], None
    rest = {name: values for name, values in query.items() if name not in ("offset", "limit")}
    text = urlencode({**rest, "offset": end, "limit": limit}, doseq=True)
    return rows[offset:end], f"{path}?{text}"


def _number(query: Query, name: str, default: int) -> int:
    values = query.get(name)
    if values is None:
        return default
    if len(values) > 1 or not (values[0].isascii() and values[0].isdigit()):
        raise Refusal(400, f"{name} must be one number", "invalid_parameter")
    return int(values[0][:_DIGITS])


def _serving(gateway: Gateway, model: Model) -> list[Endpoint]:
    return [candidate.endpoint for candidate in gateway.catalogue.candidates_for(model.id)]


def _parameters(gateway: Gateway, model: Model) -> list[str]:
    """What any of the model's endpoints takes, in a stable order."""
    rows = _serving(gateway, model)
    return list(dict.fromkeys(name for row in rows for name in row.supported_parameters))


def _model(gateway: Gateway, model: Model) -> dict[str, Json]:
    author = model.id.partition("/")[0]
    return {
        "id": model.id,
        "object": "model",
        "owned_by": author,
        "canonical_slug": model.canonical_slug,
        "name": model.name,
        "created": model.created,
        "description": model.description or "",
        "context_length": model.context_length,
        "architecture": _architecture(model),
        "pricing": _pricing(_representative(gateway, model)),
        "top_provider": {
            "context_length": model.context_length,
            "max_completion_tokens": model.max_completion_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": _parameters(gateway, model),
        "default_parameters": None,
        "links": {"details": f"/api/v1/models/{model.id}/endpoints"},
    }


def _architecture(model: Model) -> dict[str, Json]:
    row = model.architecture
    return {
        "modality": row.modality,
        "input_modalities": list(row.input_modalities),
        "output_modalities": list(row.output_modalities),
        "tokenizer": row.tokenizer,
        "instruct_type": row.instruct_type,
    }


def _representative(gateway: Gateway, model: Model) -> PriceRow | None:
    """The price to show for a model: the cheapest one known in full, else the first one."""
    rows = [
        price
        for endpoint in _serving(gateway, model)
        for _, price in _priced_hosts(gateway, model, endpoint)
        if price is not None
    ]
    full = [row for row in rows if row.input is not None and row.output is not None]
    if not full:
        return rows[0] if rows else None
    return min(full, key=lambda row: (row.input or 0) + (row.output or 0))


def _priced_hosts(
    gateway: Gateway, model: Model, endpoint: Endpoint
) -> Iterator[tuple[str | None, PriceRow | None]]:
    """Each host with a price row at an endpoint, and the row that holds today."""
    rows = gateway.catalogue.prices_for(endpoint.slug, model.id)
    today = timestamp(gateway.clock.wall_ns())
    for host in dict.fromkeys(row.served_by for row in rows if not row.estimate):
        yield host, gateway.prices.lookup(endpoint.slug, host, model.id, today)


def _hosts(gateway: Gateway, model: Model, endpoint: Endpoint) -> Iterable[dict[str, Json]]:
    hosts = list(_priced_hosts(gateway, model, endpoint)) or [(None, None)]
    return [_entry(gateway, model, endpoint, host, price) for host, price in hosts]


def _entry(
    gateway: Gateway, model: Model, endpoint: Endpoint, host: str | None, price: PriceRow | None
) -> dict[str, Json]:
    provider = host or endpoint.name
    return {
        "name": f"{provider} | {model.id}",
        "model_id": model.id,
        "model_name": model.name,
        "provider_name": provider,
        "tag": endpoint.slug if host is None else gateway.catalogue.slug_of(host),
        "context_length": model.context_length,
        "max_prompt_tokens": None,
        "max_completion_tokens": model.max_completion_tokens,
        "quantization": None,
        "pricing": _pricing(price),
        "supported_parameters": list(endpoint.supported_parameters),
        "supports_implicit_caching": price is not None and price.cache_read is not None,
        "status": 0,
        "uptime_last_5m": None,
        "uptime_last_30m": None,
        "uptime_last_1d": None,
        "latency_last_30m": None,
        "throughput_last_30m": None,
    }


def _pricing(price: PriceRow | None) -> dict[str, Json]:
    """Rates as the contract names them; prompt and completion always stand there."""
    if price is None:
        return {"prompt": None, "completion": None}
    rates = {
        "prompt": price.input,
        "completion": price.output,
        "input_cache_read": price.cache_read,
        "input_cache_write": price.cache_write_5m,
        "input_cache_write_1h": price.cache_write_1h,
        "internal_reasoning": price.reasoning,
    }
    texts = {
        name: None if rate is None else format_token_price(rate) for name, rate in rates.items()
    }
    if price.request is not None:
        texts["request"] = format_usd(price.request)
    return {name: text for name, text in texts.items() if text or name in ("prompt", "completion")}
