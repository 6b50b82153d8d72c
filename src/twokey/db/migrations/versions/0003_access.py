"""Security keys, their challenges, and clients that wait for an approval in a browser."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables, and what an account needs for them."""
    op.add_column("users", sa.Column("asks_in_browser", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Not unique: a unique column's change would lock out those that only refer to the account; it is 64 random bytes.
    op.add_column("users", sa.Column("key_handle", sa.LargeBinary(), nullable=True))
    op.create_table(
        "security_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.Text(), nullable=False),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_security_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_keys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_security_keys_credential_id")),
    )
    op.create_index(op.f("ix_security_keys_user_id"), "security_keys", ["user_id"], unique=False)
    op.create_table(
        "challenges",
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("key_name", sa.Text(), nullable=True),
        sa.Column("mode_wanted", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_challenges_user_id")),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_challenges")),
    )
    op.create_index(op.f("ix_challenges_user_id"), "challenges", ["user_id"], unique=False)
    op.create_index(op.f("ix_challenges_created_at"), "challenges", ["created_at"], unique=False)
    _hand_offs()


def _hand_offs() -> None:
    op.create_table(
        "hand_offs",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("page_hash", sa.LargeBinary(), nullable=False),
        sa.Column("poll_hash", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("token_id", ID, nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_hand_offs_user_id")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_hand_offs_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_offs")),
        sa.UniqueConstraint("page_hash", name=op.f("uq_hand_offs_page_hash")),
        sa.UniqueConstraint("poll_hash", name=op.f("uq_hand_offs_poll_hash")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_hand_offs_secret_hash")),
    )
    for column in ("user_id", "token_id", "created_at"):
        op.create_index(op.f(f"ix_hand_offs_{column}"), "hand_offs", [column], unique=False)


def downgrade() -> None:
    """Takes everything of this step back."""
    op.drop_table("hand_offs")
    op.drop_table("challenges")
    op.drop_table("security_keys")
    op.drop_column("users", "key_handle")
    op.drop_column("users", "asks_in_browser")
