"""All tables, for SQLite and PostgreSQL alike.

Declared as mapped classes so that mypy knows the columns, used through SQLAlchemy Core only. Time is an integer count
of microseconds since the epoch, UTC. JSON is stored as text, byte for byte as it was rendered.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts rowids up only for INTEGER PRIMARY KEY


class Table(DeclarativeBase):
    """The root of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class User(Table):
    """An account. `mode` is NULL while two-factor authentication is off."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    email: Mapped[str] = mapped_column(Text)
    email_verified_at: Mapped[int | None] = mapped_column(BigInteger)
    fullname: Mapped[str | None] = mapped_column(Text)
    homepage: Mapped[str | None] = mapped_column(Text)
    github: Mapped[str | None] = mapped_column(Text)
    twitter: Mapped[str | None] = mapped_column(Text)
    freenode: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    mode: Mapped[str | None] = mapped_column(Text)
    asks_in_browser: Mapped[bool] = mapped_column(
        default=False, server_default=false()
    )  # a waiting client is sent to a page
    key_handle: Mapped[bytes | None] = mapped_column(LargeBinary)  # 64 random bytes, for security keys
    administrator: Mapped[bool] = mapped_column(default=False)
    disabled_at: Mapped[int | None] = mapped_column(BigInteger)
    closed_at: Mapped[int | None] = mapped_column(BigInteger)  # by its owner, for ever
    wrong_codes_in_a_row: Mapped[int] = mapped_column(Integer, default=0)
    codes_suspended_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)


class Authenticator(Table):
    """One TOTP secret. Pending until its first right code, then active; `last_step` only rises."""

    __tablename__ = "authenticators"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    mode_wanted: Mapped[str] = mapped_column(Text)
    session_id: Mapped[int | None] = mapped_column(BigInteger)  # the session that may see a pending secret again
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[int] = mapped_column(BigInteger)
    confirmed_at: Mapped[int | None] = mapped_column(BigInteger)
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)


class BurnedStep(Table):
    """A future time step that a hint has named: its code is never accepted (security.md 2.2)."""

    __tablename__ = "burned_steps"

    authenticator_id: Mapped[str] = mapped_column(ForeignKey("authenticators.id", ondelete="CASCADE"), primary_key=True)
    step: Mapped[int] = mapped_column(BigInteger, primary_key=True)


class RecoverySet(Table):
    """The ten recovery codes made together: one salt and one sealed key, so that a try costs one hash."""

    __tablename__ = "recovery_sets"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_key: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)


class RecoveryCode(Table):
    """One recovery code, as argon2id over an HMAC under its set's key."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    set_id: Mapped[str] = mapped_column(ForeignKey("recovery_sets.id", ondelete="CASCADE"), index=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class Continuation(Table):
    """A consumed code that stays good for one credential, one address and one family of actions."""

    __tablename__ = "continuations"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"), index=True)
    address: Mapped[str] = mapped_column(Text)
    family: Mapped[str] = mapped_column(Text)
    proof: Mapped[str] = mapped_column(Text)  # "totp:AUTHENTICATOR:STEP" or "recovery:ID"
    opened_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class Token(Table):
    """A token; only its hash is kept. `key` is the public id that `npm token list` shows."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    prefix: Mapped[str] = mapped_column(Text)
    suffix: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    limits: Mapped[str] = mapped_column(Text)  # JSON: cidr, packages, scopes, all packages, permission, bypass
    created_at: Mapped[int] = mapped_column(BigInteger)
    created_address: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    idle_microseconds: Mapped[int | None] = mapped_column(BigInteger)
    last_used_at: Mapped[int | None] = mapped_column(BigInteger)
    last_used_address: Mapped[str | None] = mapped_column(Text)
    last_used_agent: Mapped[str | None] = mapped_column(Text)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)
    rotated_at: Mapped[int | None] = mapped_column(BigInteger)  # when it got a successor
    notified_days: Mapped[int | None] = mapped_column(Integer)  # the last warning of its end: 14, 7 or 1 days before


class Session(Table):
    """A session in a browser; only the hash of its secret is kept.

    `pending`: the password was right, the second factor is still to come. `stepped_up_at`: the last second factor.
    """

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    pending: Mapped[bool] = mapped_column(default=False)
    stepped_up_at: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    last_used_at: Mapped[int] = mapped_column(BigInteger, index=True)
    address: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)


class InterruptedForm(Table):
    """A form that was sent before a proof was asked for: carried out once, after the proof, with these values."""

    __tablename__ = "interrupted_forms"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    path: Mapped[str] = mapped_column(Text)
    fields: Mapped[str] = mapped_column(Text)  # JSON: pairs of name and value
    created_at: Mapped[int] = mapped_column(BigInteger, index=True)


class Organisation(Table):
    """The owner of a scope that is no user's. `new_packages`: what every member may do with those made from now on."""

    __tablename__ = "organisations"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    require_2fa: Mapped[bool] = mapped_column(default=False, server_default=false())
    new_packages: Mapped[str] = mapped_column(Text, default="read-write", server_default="read-write")
    created_at: Mapped[int] = mapped_column(BigInteger)


class Member(Table):
    """A user's role in an organisation."""

    __tablename__ = "members"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(Text)


class Package(Table):
    """A package. `revision` rises with every change; `canonical` decides collisions of names."""

    __tablename__ = "packages"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    canonical: Mapped[str] = mapped_column(Text, index=True)
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"), index=True)  # that of its scope
    revision: Mapped[int] = mapped_column(BigInteger)
    access: Mapped[str] = mapped_column(Text)
    mfa: Mapped[str] = mapped_column(Text)
    readme: Mapped[str] = mapped_column(Text)
    readme_filename: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    modified_at: Mapped[int] = mapped_column(BigInteger)
    unpublished_at: Mapped[int | None] = mapped_column(BigInteger)
    quarantined_at: Mapped[int | None] = mapped_column(BigInteger)  # hidden from installs, bytes kept
    quarantine_reason: Mapped[str | None] = mapped_column(Text)


class Version(Table):
    """One version for ever: `removed_at` makes it a tombstone, its name is never free again."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("package_id", "version"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"))
    version: Mapped[str] = mapped_column(Text)
    manifest: Mapped[str] = mapped_column(Text)
    abbreviated: Mapped[str] = mapped_column(Text)
    deprecated: Mapped[str | None] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text, index=True)  # sha512, hex: the blob's name
    size: Mapped[int] = mapped_column(BigInteger)
    published_at: Mapped[int] = mapped_column(BigInteger)
    publisher_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    publisher_token_id: Mapped[int | None] = mapped_column(ForeignKey("tokens.id"))
    proof: Mapped[str] = mapped_column(Text)
    removed_at: Mapped[int | None] = mapped_column(BigInteger)


class VersionReadme(Table):
    """The README of a version as HTML, rendered and sanitised at publish."""

    __tablename__ = "version_readmes"

    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id"), primary_key=True)
    html: Mapped[str] = mapped_column(Text)


class SearchDocument(Table):
    """What search results show of a package; the full text beside it is the database's own kind of index."""

    __tablename__ = "search_documents"
    __table_args__ = (Index("ix_search_documents_public_published_at", "public", "published_at"),)

    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    name: Mapped[str] = mapped_column(Text)  # this and `public` as the package's: its own row is long to read
    version: Mapped[str] = mapped_column(Text)
    publisher: Mapped[str] = mapped_column(Text)
    published_at: Mapped[int] = mapped_column(BigInteger)
    public: Mapped[bool] = mapped_column()
    deprecated: Mapped[str | None] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    keywords: Mapped[str] = mapped_column(Text)  # JSON: a list of texts
    details: Mapped[str] = mapped_column(Text)  # JSON: links, author and license, as far as the version names them


class Download(Table):
    """How often a version's tarball was fetched on a day (UTC, counted from 1970-01-01)."""

    __tablename__ = "downloads"

    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    version: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[int] = mapped_column(Integer, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class DistTag(Table):
    """A movable name for a version."""

    __tablename__ = "dist_tags"

    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text)


class Owner(Table):
    """A user who may write to a package (npm: maintainer)."""

    __tablename__ = "owners"

    package_id: Mapped[int] = mapped_column(ForeignKey("packages.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)


class Attempt(Table):
    """One counted attempt in a bucket of the throttle."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_bucket_at", "bucket", "at"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    bucket: Mapped[str] = mapped_column(Text)
    at: Mapped[int] = mapped_column(BigInteger, index=True)


class AuditEvent(Table):
    """One event of the trail: its canonical JSON and the hash that chains it to the one before."""

    __tablename__ = "audit_events"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger, index=True)
    event: Mapped[str] = mapped_column(Text, index=True)
    account: Mapped[str | None] = mapped_column(Text, index=True)
    resource: Mapped[str | None] = mapped_column(Text, index=True)
    document: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(Text)


class AuditAddress(Table):
    """The address behind an event's keyed hash, kept for 90 days."""

    __tablename__ = "audit_addresses"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    address: Mapped[str] = mapped_column(Text)
    at: Mapped[int] = mapped_column(BigInteger, index=True)


class AnonymousRefusal(Table):
    """Refusals of callers who proved nothing, counted: a flood must not fill the disk."""

    __tablename__ = "anonymous_refusals"

    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    block: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class InstanceSecret(Table):
    """A secret of this instance, sealed by the vault (the key of the address hashes, for one)."""

    __tablename__ = "instance_secrets"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)
