"""What else the fault of an advisory is called, and its CVSS score. The next import of its file fills both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns."""
    op.add_column("advisories", sa.Column("aliases", sa.Text(), server_default="[]", nullable=False))
    op.add_column("advisories", sa.Column("cvss_score", sa.Double(), nullable=True))


def downgrade() -> None:
    """Takes everything of this step back."""
    with op.batch_alter_table("advisories") as advisories:
        advisories.drop_column("cvss_score")
        advisories.drop_column("aliases")
