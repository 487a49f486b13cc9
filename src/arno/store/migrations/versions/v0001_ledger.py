"""0001: the tables of the ledger, one row per generation and one per exchange."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables and their indexes in an empty database."""
    _generation()
    _exchange()


def _generation() -> None:
    op.create_table(
        "generation",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("dialect", sa.String, nullable=False),
        sa.Column("model_requested", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("streamed", sa.Boolean, nullable=False),
        sa.Column("http_status", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String),
        sa.Column("model_served", sa.String),
        sa.Column("endpoint", sa.String),
        sa.Column("served_by", sa.String),
        sa.Column("upstream_id", sa.String),
        sa.Column("stage", sa.String),
        sa.Column("finish_reason", sa.String),
        sa.Column("native_finish_reason", sa.String),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("cache_write_1h_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("tokens_basis", sa.String, nullable=False),
        sa.Column("cost_nano", sa.BigInteger),
        sa.Column("cost_basis", sa.String, nullable=False),
        sa.Column("cost_reported", sa.String),
        sa.Column("cost_computed_nano", sa.BigInteger),
        sa.Column("cost_differs", sa.Boolean, nullable=False),
        sa.Column("price_source", sa.String),
        sa.Column("latency_ms", sa.BigInteger),
        sa.Column("generation_ms", sa.BigInteger),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("error_kind", sa.String),
        sa.Column("error_code", sa.String),
        sa.Column("app_referer", sa.String),
        sa.Column("app_title", sa.String),
        sa.Column("user", sa.String),
        sa.Column("session_id", sa.String),
        sa.Column("losses", sa.Text, nullable=False),
        sa.Column("anomalies", sa.Text, nullable=False),
    )
    op.create_index("generation_by_key", "generation", ["key_id", "created_at_ms"])
    op.create_index("generation_by_upstream_id", "generation", ["upstream_id"])
    op.create_index("generation_by_time", "generation", ["created_at_ms", "id"])


def _exchange() -> None:
    op.create_table(
        "exchange",
        sa.Column("generation_id", sa.String, primary_key=True),
        sa.Column("attempt", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("served_by", sa.String),
        sa.Column("upstream_id", sa.String),
        sa.Column("http_status", sa.BigInteger),
        sa.Column("error_kind", sa.String),
        sa.Column("retryable", sa.Boolean),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("cache_write_1h_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("tokens_basis", sa.String, nullable=False),
        sa.Column("cost_nano", sa.BigInteger),
        sa.Column("cost_basis", sa.String, nullable=False),
        sa.Column("first_byte_ms", sa.BigInteger),
    )
