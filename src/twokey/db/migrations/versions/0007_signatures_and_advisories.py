"""Registry signatures with their keys, and security advisories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables. The versions that are there are signed when the registry is opened next."""
    op.create_table(
        "signing_keys",
        sa.Column("id", ID, nullable=False),
        sa.Column("keyid", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
        sa.UniqueConstraint("keyid", name=op.f("uq_signing_keys_keyid")),
    )
    op.create_table(
        "version_signatures",
        sa.Column("version_id", ID, nullable=False),
        sa.Column("keyid", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_version_signatures_version_id")),
        sa.ForeignKeyConstraint(["keyid"], ["signing_keys.keyid"], name=op.f("fk_version_signatures_keyid")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_signatures")),
    )
    op.create_index(op.f("ix_version_signatures_keyid"), "version_signatures", ["keyid"], unique=False)
    op.create_table(
        "advisories",
        sa.Column("id", ID, nullable=False),
        sa.Column("osv_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("cvss_vector", sa.Text(), nullable=True),
        sa.Column("cwes", sa.Text(), nullable=False),
        sa.Column("malicious", sa.Boolean(), nullable=False),
        sa.Column("published", sa.Text(), nullable=False),
        sa.Column("modified", sa.Text(), nullable=False),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advisories")),
        sa.UniqueConstraint("osv_id", name=op.f("uq_advisories_osv_id")),
    )
    op.create_index(op.f("ix_advisories_malicious"), "advisories", ["malicious"], unique=False)
    op.create_table(
        "advisory_packages",
        sa.Column("advisory_id", ID, nullable=False),
        sa.Column("package", sa.Text(), nullable=False),
        sa.Column("vulnerable_versions", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["advisory_id"], ["advisories.id"], name=op.f("fk_advisory_packages_advisory_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("advisory_id", "package", name=op.f("pk_advisory_packages")),
    )
    op.create_index(op.f("ix_advisory_packages_package"), "advisory_packages", ["package"], unique=False)


def downgrade() -> None:
    """Takes everything of this step back."""
    op.drop_table("advisory_packages")
    op.drop_table("advisories")
    op.drop_table("version_signatures")
    op.drop_table("signing_keys")
