"""The tables of security advisories, as the operator imported them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Double, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from twokey.db.schema import Id, Table


class Advisory(Table):
    """One advisory: what clients show of it. Its number is what npm calls it by."""

    __tablename__ = "advisories"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    osv_id: Mapped[str] = mapped_column(Text, unique=True)
    aliases: Mapped[str] = mapped_column(Text, server_default="[]")  # JSON: a list of texts
    title: Mapped[str] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    cvss_vector: Mapped[str | None] = mapped_column(Text)
    cvss_score: Mapped[float | None] = mapped_column(Double)
    cwes: Mapped[str] = mapped_column(Text)  # JSON: a list of texts
    malicious: Mapped[bool] = mapped_column(index=True)  # the package itself is malware
    published: Mapped[str] = mapped_column(Text)  # as the file has it
    modified: Mapped[str] = mapped_column(Text)
    imported_at: Mapped[int] = mapped_column(BigInteger)


class AdvisoryPackage(Table):
    """A package that an advisory speaks of, with its affected versions as an npm range."""

    __tablename__ = "advisory_packages"

    advisory_id: Mapped[int] = mapped_column(ForeignKey("advisories.id", ondelete="CASCADE"), primary_key=True)
    package: Mapped[str] = mapped_column(Text, primary_key=True, index=True)
    vulnerable_versions: Mapped[str] = mapped_column(Text)
