"""The tables of security keys and of what waits for an approval; see `schema.py` for how all of them are used."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from twokey.db.schema import Id, Table


class SecurityKey(Table):
    """A security key or passkey: its public key. `sign_count` only rises, unless the key has none (0 for ever)."""

    __tablename__ = "security_keys"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)  # COSE
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[str] = mapped_column(Text)  # JSON: a list of texts, for the browser
    backed_up: Mapped[bool] = mapped_column()
    created_at: Mapped[int] = mapped_column(BigInteger)
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)


class Challenge(Table):
    """What a security key is to sign: once, within minutes, by the browser that asked for it."""

    __tablename__ = "challenges"

    challenge: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    purpose: Mapped[str] = mapped_column(Text)  # register, prove or sign-in
    browser: Mapped[str] = mapped_column(Text)  # the session, the login under way or the visitor that it is for
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    key_name: Mapped[str | None] = mapped_column(Text)  # of a key that is being registered
    mode_wanted: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger, index=True)


class HandOff(Table):
    """A client that waits in a terminal for a person's word in a browser: for a login, or for a one-time proof.

    Of the ids in the two addresses only hashes are kept. `sealed_secret` is what the client gets once it is approved:
    a login token, or a one-time password, whose hash is `secret_hash`.
    """

    __tablename__ = "hand_offs"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)  # login or proof
    page_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    poll_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    code: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)  # waiting, approved or denied
    address: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"), index=True)
    action: Mapped[str | None] = mapped_column(Text)
    target: Mapped[str | None] = mapped_column(Text)
    proof: Mapped[str | None] = mapped_column(Text)  # what proved the approval, in words
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    sealed_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    key_id: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger, index=True)
    decided_at: Mapped[int | None] = mapped_column(BigInteger)
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)
