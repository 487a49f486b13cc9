"""The tables: one row per generation, one per exchange; kept answers, origins of artefacts.

Serves architecture 4.6. Columns carry the names of the entry fields; a test holds both, and the
migrations, equal. Amounts are integer nano-USD, times integer ms; lists are JSON text.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = "0002"
"""The revision of `migrations/` that this code needs; revisions are numbered and only add."""

METADATA = MetaData()

GENERATION = Table(
    "generation",
    METADATA,
    Column("id", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("dialect", String, nullable=False),
    Column("model_requested", String, nullable=False),
    Column("state", String, nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("http_status", BigInteger, nullable=False),
    Column("request_id", String),
    Column("model_served", String),
    Column("endpoint", String),
    Column("served_by", String),
    Column("upstream_id", String),
    Column("stage", String),
    Column("finish_reason", String),
    Column("native_finish_reason", String),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cache_read_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("cache_write_1h_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("tokens_basis", String, nullable=False),
    Column("cost_nano", BigInteger),
    Column("cost_basis", String, nullable=False),
    Column("cost_reported", String),
    Column("cost_computed_nano", BigInteger),
    Column("cost_differs", Boolean, nullable=False),
    Column("price_source", String),
    Column("latency_ms", BigInteger),
    Column("generation_ms", BigInteger),
    Column("attempts", BigInteger, nullable=False),
    Column("error_kind", String),
    Column("error_code", String),
    Column("app_referer", String),
    Column("app_title", String),
    Column("user", String),
    Column("session_id", String),
    Column("losses", Text, nullable=False),
    Column("anomalies", Text, nullable=False),
    Index("generation_by_key", "key_id", "created_at_ms"),
    Index("generation_by_upstream_id", "upstream_id"),
    Index("generation_by_time", "created_at_ms", "id"),
)

EXCHANGE = Table(
    "exchange",
    METADATA,
    Column("generation_id", String, primary_key=True),
    Column("attempt", BigInteger, primary_key=True, autoincrement=False),
    Column("endpoint", String, nullable=False),
    Column("model", String, nullable=False),
    Column("state", String, nullable=False),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("served_by", String),
    Column("upstream_id", String),
    Column("http_status", BigInteger),
    Column("error_kind", String),
    Column("retryable", Boolean),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cache_read_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("cache_write_1h_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("tokens_basis", String, nullable=False),
    Column("cost_nano", BigInteger),
    Column("cost_basis", String, nullable=False),
    Column("first_byte_ms", BigInteger),
)

ANSWER = Table(
    "answer",
    METADATA,
    Column("id", String, primary_key=True),
    Column("key_id", String, nullable=False),
    Column("told_id", String, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("items", Text, nullable=False),
    Column("document", Text, nullable=False),
    Index("answer_by_time", "created_at_ms"),
    Index("answer_by_told_id", "key_id", "told_id"),
)
"""Answers that a later request may name as its previous one: the whole conversation up to it as
JSON items, and the answer itself. Kept only where the operator has switched it on."""

ARTEFACT = Table(
    "artefact",
    METADATA,
    Column("digest", String, primary_key=True),
    Column("endpoint", String, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("artefact_by_time", "created_at_ms"),
)
"""Which endpoint made a reasoning artefact, by the SHA-256 of it (hex)."""

VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's own table, so that a current schema is recognised without loading Alembic."""
