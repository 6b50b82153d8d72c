"""Stars; and a search index that answers within a bound, which the next start fills."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the table of stars, and the search index anew: empty, so that the next start indexes every package."""
    op.create_table(
        "stars",
        sa.Column("package_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("starred_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_stars_package_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_stars_user_id")),
        sa.PrimaryKeyConstraint("package_id", "user_id", name=op.f("pk_stars")),
    )
    op.create_index("ix_stars_package_id_starred_at", "stars", ["package_id", "starred_at"], unique=False)
    op.create_index("ix_stars_user_id_starred_at", "stars", ["user_id", "starred_at"], unique=False)
    op.create_table(
        "star_counts",
        sa.Column("package_id", ID, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_star_counts_package_id")),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_star_counts")),
    )
    _drop("ix_search_documents_published_at")
    _documents(
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("deprecated", sa.Text(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_index(
        "ix_search_documents_public_published_at", "search_documents", ["public", "published_at"], unique=False
    )
    _full_text("name, keywords, description, marks")


def downgrade() -> None:
    """Takes everything of this step back."""
    _drop("ix_search_documents_public_published_at")
    _documents()
    op.create_index(op.f("ix_search_documents_published_at"), "search_documents", ["published_at"], unique=False)
    _full_text("name, keywords, description")
    op.drop_table("star_counts")
    op.drop_table("stars")


def _drop(name: str) -> None:
    """Takes away the two tables of search."""
    op.drop_index(name, table_name="search_documents")
    op.drop_table("search_documents")
    op.drop_table("search_index")


def _documents(*more: sa.Column[object]) -> None:
    op.create_table(
        "search_documents",
        sa.Column("package_id", ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("publisher", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        *more,
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_search_documents_package_id")),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_search_documents")),
    )


def _full_text(columns: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE VIRTUAL TABLE search_index USING fts5({columns}, tokenize='unicode61')")
        return
    searched = "marks" if "marks" in columns else "words"
    marks = ", marks TSVECTOR NOT NULL" if searched == "marks" else ""
    op.execute(
        "CREATE TABLE search_index (package_id BIGINT PRIMARY KEY REFERENCES packages (id), "
        f"words TSVECTOR NOT NULL{marks})"
    )
    op.execute(f"CREATE INDEX ix_search_index_{searched} ON search_index USING gin ({searched})")
