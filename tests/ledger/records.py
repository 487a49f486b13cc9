"""Made-up ledger records for tests."""

from hypothesis import strategies as st

from arno.ledger.entry import ExchangeEntry, GenerationEntry, LedgerRecord


def record(number=0, key_id="key", exchanges=1, **fields):
    """A record whose id, time and upstream id follow from a number."""
    start = {
        "id": f"gen-{number}",
        "key_id": key_id,
        "created_at_ms": 1_773_323_480_000 + number,
        "dialect": "chat",
        "model_requested": "moonshotai/kimi-k2-0905",
        "state": "success",
        "streamed": True,
        "http_status": 200,
        "upstream_id": f"up-{number}",
        "input_tokens": 68,
        "output_tokens": 31,
        "cost_nano": 258_200 + number,
        "cost_basis": "reported",
        "attempts": exchanges,
    }
    generation = GenerationEntry(**(start | fields))
    attempts = tuple(
        ExchangeEntry(
            generation_id=generation.id,
            attempt=attempt,
            endpoint="openrouter",
            model="moonshotai/kimi-k2-0905",
            state="success" if attempt == exchanges else "error",
            started_at_ms=generation.created_at_ms,
            duration_ms=900,
            retryable=None if attempt == exchanges else True,
        )
        for attempt in range(1, exchanges + 1)
    )
    return LedgerRecord(generation, attempts)


ALL_TOKENS = {
    "input_tokens": 1,
    "output_tokens": 2,
    "cache_read_tokens": 3,
    "cache_write_tokens": 4,
    "cache_write_1h_tokens": 5,
    "reasoning_tokens": 6,
    "tokens_basis": "estimated",
}


def _full_generation():
    return GenerationEntry(
        id="gen-full",
        key_id="key \N{SNOWMAN} 'quoted' \"twice\"",
        created_at_ms=2**53,
        dialect="messages",
        model_requested="a/b",
        state="truncated",
        streamed=True,
        http_status=502,
        request_id="req",
        model_served="a/b-1",
        endpoint="e",
        served_by="Someone",
        upstream_id="up",
        stage="mid_stream",
        finish_reason="error",
        native_finish_reason="aborted\nby nobody",
        **ALL_TOKENS,
        cost_nano=2**63 - 1,
        cost_basis="estimated",
        cost_reported="9223372036.854775807",
        cost_computed_nano=7,
        cost_differs=True,
        price_source="a page",
        latency_ms=8,
        generation_ms=9,
        attempts=1,
        error_kind="timeout",
        error_code="idle",
        app_referer="https://example.org",
        app_title="An app",
        user="u",
        session_id="s",
        losses=("/tools/0 dropped", "b"),
        anomalies=("zero_usage",),
    )


def _full_exchange():
    return ExchangeEntry(
        generation_id="gen-full",
        attempt=1,
        endpoint="e",
        model="m",
        state="error",
        started_at_ms=10,
        duration_ms=11,
        served_by="Someone",
        upstream_id="up",
        http_status=529,
        error_kind="provider_overloaded",
        retryable=False,
        **ALL_TOKENS,
        cost_nano=12,
        cost_basis="priced",
        first_byte_ms=13,
    )


def full_record():
    """A record with every field set, to something that is not its default."""
    return LedgerRecord(_full_generation(), (_full_exchange(),))


STATES = ("success", "cancelled", "truncated", "error", "refused")

RECORD_LISTS = st.lists(
    st.builds(
        record,
        number=st.integers(0, 10**6),
        key_id=st.sampled_from(["a", "b"]),
        exchanges=st.integers(0, 3),
        state=st.sampled_from(STATES),
        cost_nano=st.none() | st.integers(0, 10**12),
        input_tokens=st.none() | st.integers(0, 10**9),
        output_tokens=st.none() | st.integers(0, 10**9),
    ),
    max_size=12,
    unique_by=lambda made: made.generation.id,
)
