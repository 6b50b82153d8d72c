"""The composition root: settings in, one registry out, with its engine, blobs, vault, trail and door."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute

import twokey
from twokey.accounts import devices, hand_offs, interrupted_forms, invitations, mail, mail_links, sessions
from twokey.accounts.hand_offs import HandOffs
from twokey.accounts.interrupted_forms import InterruptedForms
from twokey.accounts.mail import Outbox
from twokey.accounts.notices import Notices
from twokey.accounts.passwords import HashingGate, PasswordLimits, Passwords
from twokey.accounts.postman import Postman, SmtpServer
from twokey.accounts.sessions import Sessions
from twokey.accounts.site_settings import Site
from twokey.audit.checkpoints import Checkpoints
from twokey.audit.trail import Trail
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import Caller, CredentialKind, Evidence, Principal
from twokey.blobs.local import LocalBlobs
from twokey.blobs.store import Blobs
from twokey.clock import DAY, HOUR, MICROSECONDS, MINUTE, Clock
from twokey.db import migrate
from twokey.db.engine import Database
from twokey.db.generation import Generation
from twokey.db.schema import (
    AuditAddress,
    Authenticator,
    BurnedStep,
    Continuation,
    InstanceSecret,
    RecoverySet,
)
from twokey.db.schema_access import HandOff
from twokey.db.schema_mail import Mail
from twokey.db.schema_signing import SigningKey
from twokey.errors import ConfigurationError
from twokey.figures import Figures
from twokey.guard import site
from twokey.guard.authenticate import Authenticator as CallerAuthenticator
from twokey.guard.door import Door
from twokey.guard.grants import Grants
from twokey.packages import indexing, signing
from twokey.packages.downloads import DownloadCounter
from twokey.packages.rendered import RenderedDocuments
from twokey.packages.signing import Signer
from twokey.publishing.tarball import TarballLimits
from twokey.settings import Settings
from twokey.throttle import Throttle, forget
from twokey.tokens import expiry
from twokey.tokens.tokens import Lifetimes
from twokey.two_factor import enrolment, key_ceremony, recovery_codes, resets, totp
from twokey.two_factor.key_ceremony import Challenges
from twokey.two_factor.limits import RedeemLimits
from twokey.two_factor.redeem import Redeemer
from twokey.upstream.mirror import Freshness, Mirror
from twokey.upstream.storage import Storage
from twokey.upstream.upstream import Upstream
from twokey.vault import Vault, key_id_of

ADDRESS_KEY = "audit-address"
CHECKPOINT_KEY = "audit-checkpoint"
FORM_KEY = "web-forms"
GENERATION = "generation"
CHECKPOINTS = "audit-checkpoints.jsonl"
ADDRESSES_KEPT = 90 * DAY
MIB = 1024 * 1024
log = logging.getLogger("twokey")


class NothingDue(Exception):
    """Takes a transaction back in which there was nothing to do."""


@dataclass(frozen=True, slots=True)
class Registry:
    """One instance, ready to answer."""

    settings: Settings
    clock: Clock
    database: Database
    blobs: Blobs
    vault: Vault
    gate: HashingGate
    throttle: Throttle
    trail: Trail
    checkpoints: Checkpoints
    passwords: Passwords
    sessions: Sessions
    interrupted_forms: InterruptedForms
    redeemer: Redeemer
    challenges: Challenges
    hand_offs: HandOffs
    authenticator: CallerAuthenticator
    door: Door
    form_key: bytes  # keys the tokens that bind a form to its session
    grants: Grants
    figures: Figures
    documents: RenderedDocuments
    downloads: DownloadCounter
    signer: Signer
    outbox: Outbox
    postman: Postman | None  # None while no mail server is set
    upstream: Upstream | None  # None while no upstream is set

    def site(self) -> Site:
        """The settings that an administrator may change, as they are now."""
        with self.database.read() as connection:
            return site.current(connection, self.settings)

    @property
    def lifetimes(self) -> Lifetimes:
        """How long tokens of each kind live."""
        return self.site().lifetimes

    @property
    def tarball_limits(self) -> TarballLimits:
        """How large a tarball may be."""
        return TarballLimits(tarball_bytes=self.settings.limit_tarball * MIB)

    def close(self) -> None:
        """Writes the last downloads down and closes the database's connections."""
        try:
            self.downloads.flush()
        except SQLAlchemyError:  # a statistic stops no end
            log.exception("the last downloads were not counted")
        self.database.dispose()


def open_registry(settings: Settings, clock: Clock, figures: Figures | None = None) -> Registry:
    """Opens the registry that `settings` describe: makes the data folder, the vault key and the schema where missing.

    `figures`: those that it shares with other workers.

    Raises ConfigurationError, with a sentence, for what stops a start.
    """
    _make_data_folder(settings)
    database = Database(settings.database_url)
    try:
        return _opened(settings, clock, database, figures or Figures())
    except BaseException:
        database.dispose()
        raise


def _opened(settings: Settings, clock: Clock, database: Database, figures: Figures) -> Registry:
    migrate.upgrade(database)
    with database.read() as connection:
        named = named_keys(connection)
    vault = Vault(settings.data / "vault.key", may_create=not named)
    _check_keys(named, vault)
    # From here on the start is not refused for what is found. Whoever went before may have been killed before its mark.
    database.generation = Generation(settings.data / GENERATION)
    database.generation.mark()
    indexing.index_missing(database)
    signer = Signer(database, vault)
    signer.make_first(clock.now())
    signer.sign_missing()
    outbox = Outbox(database, vault, settings.issuer, settings.url or f"http://localhost:{settings.port}")
    trail = Trail(database, _instance_secret(database, vault, ADDRESS_KEY), Notices(outbox))
    throttle, gate = Throttle(database), HashingGate()
    passwords = Passwords(database, throttle, gate, _password_limits(settings))
    web_sessions = Sessions(database)
    waiting = HandOffs(database, vault)
    upstream = _upstream(settings, clock)
    redeemer = Redeemer(database, vault, throttle, trail, gate, _redeem_limits(settings), settings.issuer)
    return Registry(
        settings=settings,
        clock=clock,
        database=database,
        blobs=LocalBlobs(settings.data / "blobs", clock),
        vault=vault,
        gate=gate,
        throttle=throttle,
        trail=trail,
        checkpoints=Checkpoints(
            database, trail, settings.data / CHECKPOINTS, _instance_secret(database, vault, CHECKPOINT_KEY)
        ),
        passwords=passwords,
        sessions=web_sessions,
        interrupted_forms=InterruptedForms(database),
        redeemer=redeemer,
        challenges=Challenges(database),
        hand_offs=waiting,
        authenticator=CallerAuthenticator(database, passwords, web_sessions, trail),
        door=Door(database, passwords, redeemer, waiting, trail, settings, clock, upstream),
        form_key=_instance_secret(database, vault, FORM_KEY),
        grants=Grants(),
        figures=figures,
        documents=RenderedDocuments(settings.cache * MIB // 2),
        downloads=DownloadCounter(database),
        signer=signer,
        outbox=outbox,
        postman=_postman(settings, outbox, clock),
        upstream=upstream,
    )


def _upstream(settings: Settings, clock: Clock) -> Upstream | None:
    """The upstream of the settings. Its HTTP library is loaded where there is one. Raises ConfigurationError."""
    if settings.upstream is None:
        return None
    from twokey.upstream.client import Client
    from twokey.upstream.egress import Egress
    from twokey.upstream.npm_config import registry as of_npm

    address = of_npm() if settings.upstream == "npm" else settings.upstream
    if address in settings.own_addresses:
        raise ConfigurationError("TWOKEY_UPSTREAM is this registry itself: name the one behind it.")
    egress = Egress(address, settings.upstream_hosts, settings.upstream_proxy)
    client = Client(address, egress, f"twokey/{twokey.__version__}", settings.upstream_ca, settings.upstream_proxy)
    storage = Storage(settings.data / "upstream", clock, settings.upstream_cache * MIB)
    freshness = Freshness(settings.upstream_fresh * MICROSECONDS, settings.upstream_stale * HOUR)
    mirror = Mirror(client, storage, clock, freshness)
    return Upstream(client, storage, mirror, settings.upstream_minimum_age * HOUR, clock.now)


def _postman(settings: Settings, outbox: Outbox, clock: Clock) -> Postman | None:
    smtp = settings.smtp
    if smtp is None:
        return None
    server = SmtpServer(smtp.host, smtp.port, smtp.username, smtp.password, smtp.tls, smtp.starttls)
    return Postman(outbox, server, settings.sender, clock)


def keep_house(registry: Registry) -> None:
    """What a running server does every few minutes.

    Deletes rows that have run out, warns of tokens that are about to, writes a due checkpoint.
    """
    with registry.database.write() as connection:
        tidy(registry, connection, registry.clock.now())
    with registry.database.write() as connection:
        expiry.warn(connection, registry.outbox, registry.clock.now())
    reset_due_factors(registry)
    if registry.upstream is not None:
        registry.upstream.storage.keep_house()
    registry.checkpoints.write_if_due(registry.clock.now())


def reset_due_factors(registry: Registry) -> None:
    """Carries out the resets of second factors whose day has passed, in the operator's name."""
    now = registry.clock.now()
    with registry.database.read() as connection:
        names = resets.due(connection, now)
    for name in names:
        caller = Caller(
            Principal(CredentialKind.OPERATOR, user_name="housekeeping"), Evidence(), "local", "twokey",
            f"house-{os.getpid()}", now,
        )  # fmt: skip
        permit = registry.door.require(caller, Action.OPERATE, Target(account=name))
        with contextlib.suppress(NothingDue), registry.door.write(permit) as tx:
            if not resets.carry_out_due(tx, name):
                raise NothingDue  # its owner, or another node, was faster


def tidy(registry: Registry, connection: Connection, now: int) -> int:
    """Deletes rows that have run out: attempts, sessions, continuations, enrolments, addresses. Returns how many."""
    pending_before = now - registry.settings.enrolment_minutes * MINUTE
    count = forget(connection, now - 2 * DAY)
    count += sessions.forget(connection, now) + interrupted_forms.forget(connection, now)
    count += key_ceremony.forget(connection, now) + hand_offs.forget(connection, now)
    count += mail.forget(connection, now, sending=registry.postman is not None)
    count += mail_links.forget(connection, now) + devices.forget(connection, now)
    count += invitations.forget(connection, now)
    for statement in (
        delete(Continuation).where(Continuation.expires_at < now),
        delete(BurnedStep).where(BurnedStep.step < totp.step_at(now) - totp.HINT_REACH),
        delete(Authenticator).where(
            Authenticator.state == enrolment.PENDING, Authenticator.created_at < pending_before
        ),
        delete(AuditAddress).where(AuditAddress.at < now - ADDRESSES_KEPT),
    ):
        count += connection.execute(statement).rowcount
    return count


def instance_context(name: str) -> str:
    """What a sealed secret of the instance is bound to."""
    return f"instance_secrets|{name}|-|{name}"


class Sealed(NamedTuple):
    """A column of sealed secrets: what names its row (its primary key first), and what a secret there is bound to."""

    name: str
    secret: InstrumentedAttribute[Any]
    key_id: InstrumentedAttribute[Any]
    row: tuple[InstrumentedAttribute[Any], ...]
    context: Callable[..., str]


SEALED = (
    Sealed(
        "authenticators", Authenticator.sealed_secret, Authenticator.key_id,
        (Authenticator.id, Authenticator.user_id), enrolment.seal_context,
    ),
    Sealed(
        "recovery_sets", RecoverySet.sealed_key, RecoverySet.key_id, (RecoverySet.id, RecoverySet.user_id),
        recovery_codes.seal_context,
    ),
    Sealed("hand_offs", HandOff.sealed_secret, HandOff.key_id, (HandOff.id,), hand_offs.seal_context),
    Sealed("mails", Mail.sealed_body, Mail.key_id, (Mail.id,), mail.seal_context),
    Sealed("signing_keys", SigningKey.sealed_key, SigningKey.key_id, (SigningKey.keyid,), signing.seal_context),
    Sealed("instance_secrets", InstanceSecret.sealed, InstanceSecret.key_id, (InstanceSecret.name,), instance_context),
)  # fmt: skip


def _make_data_folder(settings: Settings) -> None:
    folder = settings.data
    try:
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {folder} cannot be written: {error.strerror}. Set TWOKEY_DATA to one that can."
        ) from error


def named_keys(connection: Connection) -> set[str]:
    """The vault keys that rows are sealed under."""
    rows = (row for each in SEALED for row in connection.execute(select(each.key_id).distinct()))
    return {key_id for (key_id,) in rows if key_id is not None}  # a hand-off that waits holds no secret yet


def _check_keys(named: set[str], vault: Vault) -> None:
    """Stops the start where a row names a key that the vault lost: its owner could not sign in."""
    for key_id in sorted(named - vault.key_ids):
        raise ConfigurationError(
            f"The database holds secrets under the vault key {key_id}, which vault.key does not have: "
            "restore the vault.key that belongs to this database."
        )


def _instance_secret(database: Database, vault: Vault, name: str) -> bytes:
    with database.write() as connection:
        database.lock(connection, "instance-secrets")
        sealed = _sealed_secret(connection, name)
        if sealed is None:
            sealed = vault.seal(os.urandom(32), instance_context(name))
            connection.execute(insert(InstanceSecret).values(name=name, sealed=sealed, key_id=key_id_of(sealed)))
    return vault.open(sealed, instance_context(name))


def _sealed_secret(connection: Connection, name: str) -> bytes | None:
    return connection.execute(select(InstanceSecret.sealed).where(InstanceSecret.name == name)).scalar_one_or_none()


def _password_limits(settings: Settings) -> PasswordLimits:
    return PasswordLimits(
        account_address=settings.limit_password,
        address=settings.limit_password_address,
        account=settings.limit_password_account,
    )


def _redeem_limits(settings: Settings) -> RedeemLimits:
    return RedeemLimits(
        otp=settings.limit_otp,
        otp_hour=settings.limit_otp_hour,
        otp_day=settings.limit_otp_day,
        address=settings.limit_otp_address,
        address_hour=settings.limit_otp_address_hour,
        recovery=settings.limit_recovery,
        recovery_day=settings.limit_recovery_day,
        continuation_seconds=settings.otp_continuation,
        enrolment_minutes=settings.enrolment_minutes,
    )
