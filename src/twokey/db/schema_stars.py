"""The tables of stars; see `schema.py` for how all of them are used."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from twokey.db.schema import Table


class Star(Table):
    """A user's star on a package."""

    __tablename__ = "stars"
    __table_args__ = (
        Index("ix_stars_package_id_starred_at", "package_id", "starred_at"),
        Index("ix_stars_user_id_starred_at", "user_id", "starred_at"),
    )

    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    starred_at: Mapped[int] = mapped_column(BigInteger)


class StarCount(Table):
    """How many stars a package has; `revision` rises with every change of them."""

    __tablename__ = "star_counts"

    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger)
