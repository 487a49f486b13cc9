"""0002: answers that may be named as previous ones, and origins of reasoning artefacts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "answer",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("told_id", sa.String, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_index("answer_by_time", "answer", ["created_at_ms"])
    op.create_index("answer_by_told_id", "answer", ["key_id", "told_id"])
    op.create_table(
        "artefact",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("endpoint", sa.String, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("artefact_by_time", "artefact", ["created_at_ms"])
