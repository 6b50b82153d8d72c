"""Organisations with policies, teams, and grants of packages to teams.

Organisations from before get what new ones begin with: the team of all members, which may write to every package.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes the tables and columns, and gives every organisation its team of all members."""
    with op.batch_alter_table("organisations") as organisations:
        organisations.add_column(sa.Column("require_2fa", sa.Boolean(), server_default=sa.false(), nullable=False))
        organisations.add_column(sa.Column("new_packages", sa.Text(), server_default="read-write", nullable=False))
    op.create_index(op.f("ix_members_user_id"), "members", ["user_id"], unique=False)
    with op.batch_alter_table("packages") as packages:
        packages.add_column(sa.Column("organisation_id", ID, nullable=True))
        packages.create_foreign_key(op.f("fk_packages_organisation_id"), "organisations", ["organisation_id"], ["id"])
        packages.create_index(op.f("ix_packages_organisation_id"), ["organisation_id"], unique=False)
    op.create_table(
        "teams",
        sa.Column("id", ID, nullable=False),
        sa.Column("organisation_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_teams_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_teams")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_teams_organisation_id_name")),
    )
    op.create_table(
        "team_members",
        sa.Column("team_id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_team_members_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_team_members_user_id")),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_team_members")),
    )
    op.create_index(op.f("ix_team_members_user_id"), "team_members", ["user_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("team_id", ID, nullable=False),
        sa.Column("package_id", ID, nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_grants_team_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["package_id"], ["packages.id"], name=op.f("fk_grants_package_id")),
        sa.PrimaryKeyConstraint("team_id", "package_id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_package_id"), "grants", ["package_id"], unique=False)
    _fill()


def _fill() -> None:
    op.execute(
        "UPDATE packages SET organisation_id = (SELECT o.id FROM organisations o "
        "WHERE substr(packages.name, 1, length(o.name) + 2) = '@' || o.name || '/')"
    )
    op.execute(
        "INSERT INTO teams (organisation_id, name, description, created_at) "
        "SELECT id, 'developers', 'Every member', created_at FROM organisations"
    )
    op.execute(
        "INSERT INTO team_members (team_id, user_id) "
        "SELECT t.id, m.user_id FROM teams t JOIN members m ON m.organisation_id = t.organisation_id"
    )
    op.execute(
        "INSERT INTO grants (team_id, package_id, permission) "
        "SELECT t.id, p.id, 'read-write' FROM teams t JOIN packages p ON p.organisation_id = t.organisation_id"
    )


def downgrade() -> None:
    """Takes everything of this step back."""
    op.drop_table("grants")
    op.drop_table("team_members")
    op.drop_table("teams")
    with op.batch_alter_table("packages") as packages:
        packages.drop_index(op.f("ix_packages_organisation_id"))
        packages.drop_constraint(op.f("fk_packages_organisation_id"), type_="foreignkey")
        packages.drop_column("organisation_id")
    op.drop_index(op.f("ix_members_user_id"), table_name="members")
    with op.batch_alter_table("organisations") as organisations:
        organisations.drop_column("new_packages")
        organisations.drop_column("require_2fa")
