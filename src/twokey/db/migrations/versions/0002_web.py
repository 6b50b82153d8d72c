"""Sessions, rendered READMEs, search and downloads: what the web pages need."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables; the full text index is of each database's own kind."""
    op.add_column("authenticators", sa.Column("session_id", sa.BigInteger(), nullable=True))
    op.add_column("tokens", sa.Column("rotated_at", sa.BigInteger(), nullable=True))
    _sessions()
    _packages()
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE search_index USING fts5(name, keywords, description, tokenize='unicode61')")
    else:
        op.execute(
            "CREATE TABLE search_index (package_id BIGINT PRIMARY KEY REFERENCES packages (id), "
            "words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX ix_search_index_words ON search_index USING gin (words)")


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("stepped_up_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("key", name=op.f("uq_sessions_key")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sessions_secret_hash")),
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"], unique=False)
    op.create_index(op.f("ix_sessions_last_used_at"), "sessions", ["last_used_at"], unique=False)
    op.create_table(
        "interrupted_forms",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_interrupted_forms_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_interrupted_forms")),
    )
    op.create_index(op.f("ix_interrupted_forms_session_id"), "interrupted_forms", ["session_id"], unique=False)
    op.create_index(op.f("ix_interrupted_forms_created_at"), "interrupted_forms", ["created_at"], unique=False)


def _packages() -> None:
    op.create_table(
        "version_readmes",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_version_readmes_version_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_readmes")),
    )
    op.create_table(
        "search_documents",
        sa.Column("package_id", ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("publisher", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_search_documents_package_id")),
        sa.PrimaryKeyConstraint("package_id", name=op.f("pk_search_documents")),
    )
    op.create_index(op.f("ix_search_documents_published_at"), "search_documents", ["published_at"], unique=False)
    op.create_table(
        "downloads",
        sa.Column("package_id", ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_downloads_package_id")),
        sa.PrimaryKeyConstraint("package_id", "version", "day", name=op.f("pk_downloads")),
    )


def downgrade() -> None:
    """Takes everything of this step back."""
    op.drop_table("search_index")
    op.drop_table("downloads")
    op.drop_index(op.f("ix_search_documents_published_at"), table_name="search_documents")
    op.drop_table("search_documents")
    op.drop_table("version_readmes")
    op.drop_index(op.f("ix_interrupted_forms_created_at"), table_name="interrupted_forms")
    op.drop_index(op.f("ix_interrupted_forms_session_id"), table_name="interrupted_forms")
    op.drop_table("interrupted_forms")
    op.drop_index(op.f("ix_sessions_last_used_at"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_user_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_column("tokens", "rotated_at")
    op.drop_column("authenticators", "session_id")
