"""THE DOOR. Whether a caller may do a thing now, and what proof it needs, is decided here and nowhere else.

    permit = door.require(caller, Action.PUBLISH, target)    # judges what was shown; raises
    ...                                                      # slow work without effect
    with door.write(permit) as tx:                           # consumes the proof, asks again, audits
        packages.publish(tx, ...)

`write` asks the whole question again inside the transaction, with the rows locked: whatever changed since `require`
(a revoked token, a removed owner, a new policy) counts, and two publishes side by side do not disturb each other, as
comparing a revision would make them (docs/adr/0003-ask-twice.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from sqlalchemy import Connection

from twokey.accounts import users
from twokey.accounts.hand_offs import HandOffs
from twokey.accounts.passwords import Passwords, address_block
from twokey.audit.events import Event
from twokey.audit.trail import Trail
from twokey.audit.transaction import Transaction
from twokey.authority.actions import BY_LINK, OF_ONE_PACKAGE, READS, Action, Code, Column, rule
from twokey.authority.permit import JudgedProof, Permit, ProofKind, Target
from twokey.authority.principal import Caller, CredentialKind, KeyAnswer
from twokey.clock import Clock, hour_minute
from twokey.db.engine import Database
from twokey.errors import NotFound, PasswordRequired, ProofReason, ProofRequired, Refused, Throttled, Unauthenticated
from twokey.guard import facts as gathering
from twokey.guard import site
from twokey.guard.decide import Allow, Decision, ProofNeeded, Reason, Refuse, decide
from twokey.guard.facts import Facts
from twokey.guard.sentences import SIGNUP, refusal
from twokey.settings import Settings
from twokey.throttle import Bucket, Limit, full_until, record
from twokey.two_factor import factors
from twokey.two_factor.redeem import ASK, Redeemer
from twokey.upstream.upstream import Upstream

WRONG_PASSWORD = "Wrong password: this takes the password of your account."
UNKNOWN_OR_WRONG = "Unknown user or wrong password."
UNKNOWN_PASSKEY = "This passkey is not known here: sign in with your password."
ACCOUNT_CLOSED = "This account is closed: ask the operator of this registry."
ASK_WITHOUT_APP = (
    "You must provide a one-time password, and this account has security keys only: a client that can open a page for "
    "them gets one (npm 9 or later, without --otp), and a recovery code is a one-time pass too."
)
CLOSED = " Sign-up is closed on this registry: ask its operator for an account."


class Door:
    """The one door of a registry."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        redeemer: Redeemer,
        hand_offs: HandOffs,
        trail: Trail,
        settings: Settings,
        clock: Clock,
        upstream: Upstream | None = None,
    ) -> None:
        """Everything that a decision rests on."""
        self._upstream = upstream
        self._database = database
        self._passwords = passwords
        self._redeemer = redeemer
        self._hand_offs = hand_offs
        self._trail = trail
        self._settings = settings
        self._clock = clock

    def admit(self, caller: Caller, actions: Sequence[Action]) -> None:
        """Raises where a credential of this kind can carry none of the actions, whatever the target and the proof.

        Asked before the body of a request is taken; `require` asks everything again.
        """
        principal = caller.principal
        if principal.kind is not CredentialKind.ANONYMOUS:
            return
        if not any(rule(action, Column.ANONYMOUS).allowed for action in actions):
            raise self._refused(
                Refuse(Reason.NOT_SIGNED_IN), Facts(action=actions[0], kind=principal.kind), caller, Target()
            )

    def require(self, caller: Caller, action: Action, target: Target, *, removes_last_factor: bool = False) -> Permit:
        """A permit for the action on the target, where the caller may have one with what they showed.

        Raises Unauthenticated, PasswordRequired, ProofRequired, Refused, NotFound, Throttled, Busy.
        Wrong passwords and codes are counted and recorded before this raises; a right code stays unused until `write`.
        """
        facts = self._facts(caller, action, target, removes_last_factor=removes_last_factor)
        decision = decide(facts)
        principal = caller.principal
        user_id, password_proved, proof = principal.user_id, facts.password_proved, None
        if gathering.proves_login(caller, action, target):
            user_id = principal.login_user_id
        elif action in BY_LINK:
            user_id = facts.account_id
        if isinstance(decision, Refuse) and self._hides_account(action, target, decision):
            # Unknown, closed: the answer and its time are those of a wrong password.
            decision = ProofNeeded(password=True, code=Code.NEVER)
        if isinstance(decision, Refuse):
            raise self._refused(decision, facts, caller, target)
        if isinstance(decision, ProofNeeded) and decision.password:
            if _signs_in_with_passkey(caller, action):
                proof = self._judge_passkey(caller, action, target)
                user_id = proof.user_id
            else:
                user_id = self._check_password(caller, action, target)
            password_proved = True
        if isinstance(decision, ProofNeeded) and decision.code is not Code.NEVER and proof is None:
            assert user_id is not None
            proof = self._judge(caller, action, target, decision.code, user_id)
        self._check_rate(caller, action, target, facts)
        takes_name = action in (Action.SIGN_UP, Action.CREATE_ORGANISATION)
        creates = takes_name or (facts.package is not None and not facts.package.exists)
        return Permit(caller, action, target, user_id, proof, password_proved, creates, removes_last_factor)

    @contextmanager
    def write(self, permit: Permit) -> Iterator[Transaction]:
        """The write transaction that the permit allows.

        Its first statement consumes the proof; then the question is asked again with the rows locked. Commits at the
        end of the block with the events that were recorded, or not at all. Raises what `require` raises.
        """
        package = permit.target.package if permit.action in OF_ONE_PACKAGE else None
        with self._database.write(package=package) as connection:
            tx = Transaction(connection, permit, self._clock.now())
            if permit.proof is not None:
                self._redeemer.consume(tx, permit.proof)
            if permit.creates:
                # Names of users, scopes and packages bear on each other, and a row that is not there yet locks nothing.
                self._database.lock(connection, "new-names")
            facts = gathering.gather(
                connection, permit.caller, permit.action, permit.target, self._settings, tx.now,
                password_proved=permit.password_proved, code_proved=permit.proof is not None,
                removes_last_factor=permit.removes_last_factor, locked=True, upstream=self._upstream,
            )  # fmt: skip
            decision = decide(facts)
            if isinstance(decision, Refuse):
                raise refusal(decision.reason, facts, permit.caller.principal, permit.target)
            if not isinstance(decision, Allow):
                raise Refused("Something about this account has just changed: try again.")
            self._count(tx, permit, facts)
            yield tx
            if not tx.recorded:
                raise AssertionError(f"{permit.action} wrote without recording an event")
            tx.append_to(self._trail)

    def may_read(self, caller: Caller, package: str, scope: str | None) -> bool:
        """Whether the caller may know of the package, for lists that leave out what they may not."""
        target = Target(package=package, scope=scope)
        return isinstance(decide(self._facts(caller, Action.READ_PACKAGE, target)), Allow)

    def _facts(self, caller: Caller, action: Action, target: Target, *, removes_last_factor: bool = False) -> Facts:
        with self._reading(gathering.needs_database(caller, action, target)) as connection:
            return gathering.gather(
                connection, caller, action, target, self._settings, caller.received_at, password_proved=False,
                code_proved=False, removes_last_factor=removes_last_factor, upstream=self._upstream,
            )  # fmt: skip

    def _reading(self, needed: bool) -> AbstractContextManager[Connection | None]:
        return self._database.read() if needed else nullcontext()

    def _hides_account(self, action: Action, target: Target, decision: Decision) -> bool:
        return action is Action.LOG_IN and decision == Refuse(Reason.CREDENTIAL_ENDED)

    def _refused(self, decision: Refuse, facts: Facts, caller: Caller, target: Target) -> Exception:
        error = refusal(decision.reason, facts, caller.principal, target)
        if not (isinstance(error, NotFound) and (facts.action in READS or caller.principal.user_id is None)):
            self._record(Event.ACCESS_DENIED, caller, facts.action, target, decision.reason.value)
        return error

    def _record(self, event: Event, caller: Caller, action: Action, target: Target, reason: str) -> None:
        """A refusal leaves a trace: a row for somebody known, a count for a caller who proved nothing."""
        if caller.principal.kind is CredentialKind.ANONYMOUS:
            self._trail.count_anonymous(event, caller, address_block(caller.address), caller.received_at)
            return
        with self._database.write(quietly=True) as connection:
            self._trail.append(
                connection, event, caller, at=caller.received_at, account=caller.principal.user_name,
                resource=str(target), outcome="refused", reason=reason, details={"action": action.value},
            )  # fmt: skip

    def _check_password(self, caller: Caller, action: Action, target: Target) -> int:
        name = target.account if action is Action.LOG_IN else caller.principal.user_name
        assert name is not None
        password = caller.evidence.password
        if password is None:
            raise PasswordRequired("This takes the password of your account, and none was sent.")
        try:
            checked = self._passwords.check(name, password, caller)
        except Throttled:
            self._record(Event.PASSWORD_BLOCKED, caller, action, target, "throttled")
            raise
        wanted = caller.principal.user_id
        if checked.user_id is None or (wanted is not None and checked.user_id != wanted):
            event = Event.LOGIN_FAILED if action is Action.LOG_IN else Event.PASSWORD_WRONG
            self._record(event, caller, action, target, "wrong password")
            raise PasswordRequired(self._wrong_login() if action is Action.LOG_IN else WRONG_PASSWORD)
        if self._is_closed(caller, action, target):
            raise Unauthenticated(ACCOUNT_CLOSED)
        return checked.user_id

    def _wrong_login(self) -> str:
        """The same words for a wrong password and for an unknown name, whatever the sign-up setting."""
        with self._database.read() as connection:
            signup = site.current(connection, self._settings).signup
        return f"{UNKNOWN_OR_WRONG} {SIGNUP[signup]}".rstrip()

    def _is_closed(self, caller: Caller, action: Action, target: Target) -> bool:
        decision = decide(self._facts(caller, action, target))
        return decision == Refuse(Reason.CREDENTIAL_ENDED)

    def _judge(self, caller: Caller, action: Action, target: Target, code: Code, user_id: int) -> JudgedProof:
        name = target.account if action in (Action.LOG_IN, Action.RESET_PASSWORD) else caller.principal.user_name
        assert name is not None
        if code is Code.OWN:
            return self._redeemer.judge_enrolment(caller, user_id, name, target)
        try:
            return self._redeemer.judge(caller, user_id, name, action, target)
        except ProofRequired as error:
            if error.reason is not ProofReason.MISSING:
                raise
            raise self._asked_for(caller, action, target, user_id) from None

    def _asked_for(self, caller: Caller, action: Action, target: Target, user_id: int) -> ProofRequired:
        """Where the missing proof is to be shown: at the client's own prompt, or on a page in a browser.

        A page for whoever has no authenticator app, or chose so, where the client can wait for one
        (npm-protocol.md 3.5).
        """
        with self._database.read() as connection:
            found = factors.of(connection, user_id)
        if found.apps and not found.asks_in_browser:
            return ProofRequired(ASK, reason=ProofReason.MISSING)
        if not caller.wants_web_auth:
            return ProofRequired(ASK if found.apps else ASK_WITHOUT_APP, reason=ProofReason.MISSING)
        opened = self._hand_offs.begin_proof(caller, user_id, action, target)
        return ProofRequired(
            f"This needs a one-time password: a one-time pass from the page that opens. It shows {opened.code}.",
            reason=ProofReason.MISSING, notice=f"Approve this in the browser only if its page shows {opened.code}",
            page_id=opened.page_id, poll_id=opened.poll_id,
        )  # fmt: skip

    def _judge_passkey(self, caller: Caller, action: Action, target: Target) -> JudgedProof:
        """A passkey that verified its user stands for password and second factor at once (security.md 2.6)."""
        assert target.account is not None
        with self._database.read() as connection:
            account = users.find(connection, target.account)
        if account is None:
            raise Unauthenticated(UNKNOWN_PASSKEY)
        proof = self._redeemer.judge(caller, account.id, account.name, action, target)
        if proof.kind is not ProofKind.SECURITY_KEY or not proof.stands_alone:
            raise Unauthenticated("Without a password a passkey has to verify you, by its PIN, finger or face.")
        if self._is_closed(caller, action, target):
            raise Unauthenticated(ACCOUNT_CLOSED)
        return proof

    def _rate_buckets(self, caller: Caller, action: Action, facts: Facts) -> list[tuple[Bucket, str]]:
        """The hourly limits that the action counts against, with what they count."""
        if action is Action.SIGN_UP and caller.principal.kind is CredentialKind.ANONYMOUS:
            block = address_block(caller.address)
            limit = Limit(self._settings.limit_signup, 3600)
            return [(Bucket(f"signup:{block}", (limit,)), "new accounts from this address")]
        if action is not Action.PUBLISH:
            return []
        user = caller.principal.user_id
        limits = [(Bucket(f"publish:{user}", (Limit(self._settings.limit_publish, 3600),)), "publishes")]
        if facts.package is not None and not facts.package.exists:
            limits.append((Bucket(f"names:{user}", (Limit(self._settings.limit_names, 3600),)), "new package names"))
        return limits

    def _check_rate(self, caller: Caller, action: Action, target: Target, facts: Facts) -> None:
        buckets = self._rate_buckets(caller, action, facts)
        if not buckets:
            return
        with self._database.read() as connection:
            full = [
                (*each, until) for each in buckets if (until := full_until(connection, each[0], caller.received_at))
            ]
        for bucket, what, until in full:
            self._record(Event.ACCESS_DENIED, caller, action, target, f"too many {what}")
            raise _too_many(bucket, what, until, caller.received_at)

    def _count(self, tx: Transaction, permit: Permit, facts: Facts) -> None:
        for bucket, what in self._rate_buckets(permit.caller, permit.action, facts):
            self._database.lock(tx.connection, bucket.key)
            until = full_until(tx.connection, bucket, tx.now)
            if until is not None:
                raise _too_many(bucket, what, until, tx.now)
            record(tx.connection, bucket.key, tx.now)


def _signs_in_with_passkey(caller: Caller, action: Action) -> bool:
    shown = caller.evidence
    return action is Action.LOG_IN and shown.security_key is not None and shown.password is None


def _too_many(bucket: Bucket, what: str, until: int, now: int) -> Throttled:
    sentence = (
        f"Too many {what}: at most {bucket.limits[0].count} in an hour; the next is taken at {hour_minute(until)}"
    )
    return Throttled(sentence, retry_after=max(1, -(-(until - now) // 1_000_000)), notice=sentence)


def with_evidence(
    caller: Caller, *, password: str | None = None, otp: str | None = None, security_key: KeyAnswer | None = None
) -> Caller:
    """The caller with what a request's body showed beside its headers."""
    shown = caller.evidence
    evidence = replace(
        shown, password=password or shown.password, otp=otp or shown.otp,
        security_key=security_key or shown.security_key,
    )  # fmt: skip
    return replace(caller, evidence=evidence)
