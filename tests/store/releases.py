"""A release after this one, for tests of migrations."""

import shutil

from arno.store.migrate import MIGRATIONS

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.add_column("generation", sa.Column("region", sa.String))
    {then}
"""


def next_release(tmp_path, then="pass"):
    """The migrations of a release that adds a column (and then does something else)."""
    folder = tmp_path / "50% more migrations"
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "v0003_region.py").write_text(NEXT.format(then=then))
    return folder
