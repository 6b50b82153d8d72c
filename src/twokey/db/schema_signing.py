"""The tables of registry signatures: the keys that sign, and what they signed."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from twokey.db.schema import Id, Table


class SigningKey(Table):
    """A key pair that signs versions. The newest has no end; those before it stay, for what they signed."""

    __tablename__ = "signing_keys"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    keyid: Mapped[str] = mapped_column(Text, unique=True)  # "SHA256:" and the base64 digest of the public key
    public_key: Mapped[str] = mapped_column(Text)  # base64 of its DER
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)  # of the vault's key that it is sealed under
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)  # whatever it signed was published before


class VersionSignature(Table):
    """The registry's signature over a version."""

    __tablename__ = "version_signatures"

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    keyid: Mapped[str] = mapped_column(ForeignKey("signing_keys.keyid"), index=True)
    signature: Mapped[str] = mapped_column(Text)  # base64 of its DER
