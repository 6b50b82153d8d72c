"""The table of what the operator decided about names and upstream."""

from __future__ import annotations

from sqlalchemy import BigInteger, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from twokey.db.schema import Id, Table


class UpstreamRule(Table):
    """A name or pattern that is claimed for this registry, or versions of upstream's that are blocked or allowed."""

    __tablename__ = "upstream_rules"
    __table_args__ = (UniqueConstraint("kind", "pattern", "versions"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)  # claim, block, allow
    pattern: Mapped[str] = mapped_column(Text)
    versions: Mapped[str] = mapped_column(Text)  # a version, comparisons, or * for all
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
