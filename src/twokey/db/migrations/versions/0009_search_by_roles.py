"""The search index knows teams, what is insecure, and when packages were made: each package is to be indexed anew."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empties the search index, so that the next start indexes every package."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_index")
        op.execute(
            "CREATE VIRTUAL TABLE search_index USING fts5(name, keywords, description, marks, tokenize='unicode61')"
        )
        op.execute("DELETE FROM search_documents")
    else:
        op.execute("TRUNCATE search_index, search_documents")


def downgrade() -> None:
    """The step before takes an index with more marks as well."""
