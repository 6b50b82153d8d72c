"""A one-time password is redeemed, never merely checked: judged at arrival, consumed at commit (security.md 2.1).

The only place, beside `enrolment.py`, that looks at codes. `judge` compares behind the throttle and writes nothing but
refusals; `consume` is the first statement of the transaction that the code allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from twokey.accounts import hand_offs
from twokey.accounts.passwords import HashingGate
from twokey.audit.events import Event
from twokey.audit.trail import Trail
from twokey.audit.transaction import Transaction
from twokey.authority.actions import CONTINUED, Action
from twokey.authority.permit import JudgedProof, ProofKind, Target
from twokey.authority.principal import Caller, KeyAnswer
from twokey.clock import MICROSECONDS, MINUTE, hour_minute
from twokey.db.engine import Database
from twokey.db.schema import Attempt, Authenticator, BurnedStep, Continuation, User
from twokey.errors import Invalid, ProofReason, ProofRequired, Throttled
from twokey.throttle import Blocked, Bucket, Throttle, full_until
from twokey.two_factor import enrolment, key_ceremony, recovery_codes, security_keys, totp, verdicts
from twokey.two_factor.key_ceremony import NotProved
from twokey.two_factor.limits import RedeemLimits, account_key
from twokey.two_factor.verdicts import Verdict
from twokey.vault import SECRET_LENGTH, Vault

LONGEST_HEADER = 64
_TOTP = re.compile(rb"[0-9]{6}")
_RECOVERY = re.compile(rb"[0-9]{12}")
_APPROVAL = re.compile(rf"[0-9A-Za-z]{{{SECRET_LENGTH}}}".encode())
ASK = "You must provide a one-time password: a one-time pass from your authenticator app, or a recovery code."


class Redeemer:
    """Judges and consumes one-time passwords for every door."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        throttle: Throttle,
        trail: Trail,
        gate: HashingGate,
        limits: RedeemLimits,
        issuer: str,
    ) -> None:
        """`issuer` is the name that authenticator apps show, for the hint to use the right code."""
        self._database = database
        self._vault = vault
        self._throttle = throttle
        self._trail = trail
        self._gate = gate
        self._limits = limits
        self._issuer = issuer

    def judge(self, caller: Caller, user_id: int, user_name: str, action: Action, target: Target) -> JudgedProof:
        """Judges the code that the caller showed, against the arrival of the request's headers.

        Raises ProofRequired (missing, wrong, expired, used), Throttled, Busy. A wrong code is counted and recorded;
        a right one is neither, and stays good until `consume`.
        """
        if caller.evidence.security_key is not None:
            return self._judge_key(caller, user_id, user_name, action, target, caller.evidence.security_key)
        if caller.evidence.otp is None:
            allowed = self._allowed(caller, user_id, action)
            if allowed is None:
                raise ProofRequired(ASK, reason=ProofReason.MISSING)
            return allowed
        code = _normalised(caller.evidence.otp)
        if _RECOVERY.fullmatch(code):
            buckets, compare = self._limits.of_recovery_codes(user_name, caller), self._compare_recovery
        elif _APPROVAL.fullmatch(code):
            buckets, compare = self._limits.of_security_keys(user_name, caller), self._compare_approval
        else:
            buckets, compare = self._limits.of_codes(user_id, user_name, caller), self._compare_totp
        return self._judged(
            caller, user_id, user_name, action, target, buckets,
            lambda: compare(caller, user_id, user_name, action, code),
        )  # fmt: skip

    def judge_enrolment(self, caller: Caller, user_id: int, user_name: str, target: Target) -> JudgedProof:
        """Judges the code, or the new security key, that confirms an enrolment.

        Raises as `judge` does; Invalid where no enrolment is pending.
        """
        if caller.evidence.security_key is not None:
            return self._judge_key(
                caller, user_id, user_name, Action.CONFIRM_ENROLMENT, target, caller.evidence.security_key, new=True
            )
        if caller.evidence.otp is None:
            raise ProofRequired(ASK, reason=ProofReason.MISSING)
        with self._database.read() as connection:
            under_way = enrolment.is_pending(connection, user_id, caller.received_at, self._limits.enrolment_minutes)
        if not under_way:
            raise Invalid(
                "No enrolment is under way, or it has expired: run npm profile enable-2fa and scan the new QR code."
            )
        code = _normalised(caller.evidence.otp)
        return self._judged(
            caller, user_id, user_name, Action.CONFIRM_ENROLMENT, target,
            self._limits.of_codes(user_id, user_name, caller),
            lambda: self._compare_pending(caller, user_id, user_name, code),
        )  # fmt: skip

    def _judged(
        self, caller: Caller, user_id: int, user_name: str, action: Action, target: Target,
        buckets: list[Bucket], compare: Callable[[], JudgedProof | Verdict],
    ) -> JudgedProof:  # fmt: skip
        try:
            reservation = self._throttle.reserve(buckets, caller.received_at)
        except Blocked as blocked:
            raise self._blocked(caller, user_id, user_name, target, blocked) from None
        try:
            outcome = compare()
        except BaseException:
            self._throttle.release(reservation)  # nothing was compared
            raise
        if isinstance(outcome, JudgedProof):
            self._throttle.release(reservation)
            return outcome
        self._throttle.keep(reservation)
        self._record_refusal(caller, user_id, user_name, action, target, outcome)
        raise outcome.refusal()

    def _compare_totp(
        self, caller: Caller, user_id: int, user_name: str, action: Action, code: bytes
    ) -> JudgedProof | Verdict:
        with self._database.read() as connection:
            suspended = connection.execute(select(User.codes_suspended_at).where(User.id == user_id)).scalar_one()
            if suspended is not None:
                return verdicts.SUSPENDED
            if not _TOTP.fullmatch(code):
                return verdicts.wrong(self._issuer, user_name)
            for authenticator in enrolment.secrets_of(connection, user_id, enrolment.ACTIVE, self._vault):
                step = totp.matching_step(authenticator.secret, code, caller.received_at)
                if step is None:
                    continue
                proof = JudgedProof(ProofKind.TOTP, user_id, authenticator.id, step)
                # A continuation outlives the code's own window.
                continued = self._continued(connection, caller, action, proof)
                verdict = verdicts.late_or_early(step, caller.received_at, authenticator.id)
                if continued is not None or verdict is not None:
                    return continued or verdict or verdicts.USED
                fresh = step > authenticator.last_step and not _is_burned(connection, proof)
                return proof if fresh else verdicts.USED
        return verdicts.wrong(self._issuer, user_name)

    def _compare_recovery(
        self, caller: Caller, user_id: int, user_name: str, action: Action, code: bytes
    ) -> JudgedProof | Verdict:
        with self._database.read() as connection:
            match = recovery_codes.find(connection, user_id, code.decode(), self._vault, self._gate)
            if match is None:
                return verdicts.NO_RECOVERY_CODE
            proof = JudgedProof(ProofKind.RECOVERY, user_id, str(match.id), words="recovery code")
            if not match.used:
                return proof
            return self._continued(connection, caller, action, proof) or verdicts.RECOVERY_USED

    def _compare_approval(
        self, caller: Caller, user_id: int, user_name: str, action: Action, code: bytes
    ) -> JudgedProof | Verdict:
        with self._database.read() as connection:
            match = hand_offs.match(connection, caller, user_id, action, code.decode())
            if match is None:
                return verdicts.NO_APPROVAL
            proof = JudgedProof(ProofKind.APPROVAL, user_id, str(match.id), words=match.words)
            if not match.used:
                return proof
            return self._continued(connection, caller, action, proof) or verdicts.APPROVAL_USED

    def _judge_key(
        self, caller: Caller, user_id: int, user_name: str, action: Action, target: Target, answer: KeyAnswer, *,
        new: bool = False,
    ) -> JudgedProof:  # fmt: skip
        def compare() -> JudgedProof | Verdict:
            verify = key_ceremony.verify_registration if new else key_ceremony.verify_answer
            try:
                with self._database.read() as connection:
                    return verify(connection, user_id, answer, caller.received_at)
            except NotProved as error:
                return verdicts.security_key(error.sentence, copied=error.copied)

        buckets = self._limits.of_security_keys(user_name, caller)
        return self._judged(caller, user_id, user_name, action, target, buckets, compare)

    def _compare_pending(self, caller: Caller, user_id: int, user_name: str, code: bytes) -> JudgedProof | Verdict:
        not_before = caller.received_at - self._limits.enrolment_minutes * MINUTE
        with self._database.read() as connection:
            pending = enrolment.secrets_of(connection, user_id, enrolment.PENDING, self._vault, not_before=not_before)
        for authenticator in pending:
            step = totp.matching_step(authenticator.secret, code, caller.received_at)
            if step is not None:
                proof = JudgedProof(ProofKind.ENROLMENT, user_id, authenticator.id, step)
                verdict = verdicts.late_or_early(step, caller.received_at, authenticator.id)
                return verdict or (verdicts.USED if self._was_burned(proof) else proof)
        return verdicts.wrong(self._issuer, user_name)

    def _was_burned(self, proof: JudgedProof) -> bool:
        with self._database.read() as connection:
            return _is_burned(connection, proof)

    def _continued(
        self, connection: Connection, caller: Caller, action: Action, proof: JudgedProof
    ) -> JudgedProof | None:
        found = _open_continuation(connection, caller, action, Continuation.proof == proof.reference)
        if found is None:
            return None
        return JudgedProof(ProofKind.CONTINUATION, proof.user_id, found, words=f"{proof.words} (continued)")

    def _allowed(self, caller: Caller, user_id: int, action: Action) -> JudgedProof | None:
        """The account's word, given on the page of an approval, that this token may go on for some minutes."""
        with self._database.read() as connection:
            is_allowance = Continuation.proof.startswith(hand_offs.ALLOWANCE_PREFIX)
            found = _open_continuation(connection, caller, action, is_allowance)
        if found is None:
            return None
        return JudgedProof(ProofKind.CONTINUATION, user_id, found, words="approval for some minutes")

    def _blocked(self, caller: Caller, user_id: int, user_name: str, target: Target, blocked: Blocked) -> Exception:
        if blocked.bucket.key.startswith("otp-account:"):
            return verdicts.SUSPENDED.refusal()
        with self._database.write(quietly=True) as connection:
            self._trail.append(
                connection, Event.OTP_BLOCKED, caller, at=caller.received_at, account=user_name,
                resource=str(target), outcome="refused", reason=blocked.bucket.key.partition(":")[0],
            )  # fmt: skip
        sentence = f"Too many wrong codes; locked until {hour_minute(blocked.until)}"
        wait = max(1, -(-(blocked.until - caller.received_at) // MICROSECONDS))
        return Throttled(sentence, retry_after=wait, notice=sentence)

    def _record_refusal(
        self, caller: Caller, user_id: int, user_name: str, action: Action, target: Target, verdict: Verdict
    ) -> None:
        with self._database.write(quietly=True) as connection:
            in_a_row = 0
            if verdict.burn is not None:
                self._database.lock(connection, f"burn:{verdict.burn[0]}")
                _burn(connection, *verdict.burn)
            if not verdict.of_key:  # nobody guesses a signature
                in_a_row = connection.execute(
                    update(User)
                    .where(User.id == user_id)
                    .values(wrong_codes_in_a_row=User.wrong_codes_in_a_row + 1)
                    .returning(User.wrong_codes_in_a_row)
                ).scalar_one()
            # The account's row before the chain's lock, as every write has it: two that wait for each other do not end.
            self._trail.append(
                connection, verdict.event, caller, at=caller.received_at, account=user_name, resource=str(target),
                outcome="refused", reason=verdict.reason.value, details={"action": action.value, **verdict.details},
            )  # fmt: skip
            if verdict.of_key:
                return
            day_is_full = full_until(connection, self._limits.of_account(user_id), caller.received_at) is not None
            if in_a_row >= self._limits.otp_day or day_is_full:
                self._suspend(connection, caller, user_id, user_name, in_a_row)

    def _suspend(self, connection: Connection, caller: Caller, user_id: int, user_name: str, in_a_row: int) -> None:
        changed = connection.execute(
            update(User)
            .where(User.id == user_id, User.codes_suspended_at.is_(None))
            .values(codes_suspended_at=caller.received_at)
        ).rowcount
        if changed:
            self._trail.append(
                connection, Event.OTP_SUSPEND, caller, at=caller.received_at, account=user_name,
                resource=f"user:{user_name}", reason=f"{in_a_row} wrong codes in a row",
            )  # fmt: skip

    def consume(self, tx: Transaction, proof: JudgedProof) -> None:
        """Uses the code up: the first statement of the transaction that it allows.

        Raises ProofRequired where another request was faster; that refusal is not counted, the code was right.
        """
        connection, caller = tx.connection, tx.permit.caller
        if proof.kind is ProofKind.CONTINUATION:
            if not _is_open(connection, proof, tx.permit.caller):
                raise verdicts.USED.refusal()
            return
        if proof.kind in (ProofKind.ENROLMENT, ProofKind.REGISTRATION):
            added = enrolment.activate if proof.kind is ProofKind.ENROLMENT else security_keys.register
            if not added(connection, proof, tx.now):
                raise verdicts.USED.refusal()
            # What was guessed before there was anything to guess does not count against the app.
            _lift_suspension(tx, proof.user_id)
            return
        if not _use_up(connection, proof, tx.now):
            if self._continued(connection, caller, tx.permit.action, proof) is None:
                raise verdicts.USED.refusal()
            return
        self._after_first_use(tx, proof)

    def _after_first_use(self, tx: Transaction, proof: JudgedProof) -> None:
        if proof.kind is ProofKind.SECURITY_KEY:
            _lift_suspension(tx, proof.user_id)
        if proof.kind is ProofKind.RECOVERY:
            _lift_suspension(tx, proof.user_id)
            left = recovery_codes.left(tx.connection, proof.user_id)
            tx.record(Event.RECOVERY_USE, details={"left": left})
            if left == 0:
                tx.record(Event.RECOVERY_EXHAUSTED)
        tx.connection.execute(update(User).where(User.id == proof.user_id).values(wrong_codes_in_a_row=0))
        family, token_id = CONTINUED.get(tx.permit.action), tx.permit.caller.principal.token_id
        if family is not None and token_id is not None and self._limits.continuation_seconds:
            tx.connection.execute(
                insert(Continuation).values(
                    user_id=proof.user_id, token_id=token_id, address=tx.permit.caller.address, family=family,
                    proof=proof.reference, opened_at=tx.now,
                    expires_at=tx.now + self._limits.continuation_seconds * MICROSECONDS,
                )
            )  # fmt: skip


def _normalised(shown: str) -> bytes:
    """The code without ASCII spaces and dashes; empty for a header that can be no code."""
    if len(shown) > LONGEST_HEADER:
        return b""
    return shown.encode("utf-8", "replace").replace(b" ", b"").replace(b"-", b"")


def _lift_suspension(tx: Transaction, user_id: int) -> None:
    connection = tx.connection
    suspended = select(User.codes_suspended_at).where(User.id == user_id)
    if connection.execute(suspended).scalar_one() is not None:
        tx.record(Event.OTP_RESUME)
    connection.execute(delete(Attempt).where(Attempt.bucket == account_key(user_id)))
    connection.execute(update(User).where(User.id == user_id).values(codes_suspended_at=None, wrong_codes_in_a_row=0))


def _is_burned(connection: Connection, proof: JudgedProof) -> bool:
    query = select(BurnedStep.step).where(BurnedStep.authenticator_id == proof.source, BurnedStep.step == proof.step)
    return connection.execute(query).one_or_none() is not None


def _burn(connection: Connection, authenticator_id: str, step: int) -> None:
    known = select(BurnedStep.step).where(BurnedStep.authenticator_id == authenticator_id, BurnedStep.step == step)
    if connection.execute(known).one_or_none() is None:
        connection.execute(insert(BurnedStep).values(authenticator_id=authenticator_id, step=step))


def _open_continuation(
    connection: Connection, caller: Caller, action: Action, which: ColumnElement[bool]
) -> str | None:
    """The id of a continuation of the credential, from its address, that covers the action."""
    family, token_id = CONTINUED.get(action), caller.principal.token_id
    if family is None or token_id is None:
        return None
    query = select(Continuation.id).where(
        which, Continuation.token_id == token_id, Continuation.address == caller.address,
        Continuation.family == family, Continuation.expires_at > caller.received_at,
    )  # fmt: skip
    found = connection.execute(query.limit(1)).scalar_one_or_none()
    return None if found is None else str(found)


def _is_open(connection: Connection, proof: JudgedProof, caller: Caller) -> bool:
    query = select(Continuation.id).where(
        Continuation.id == int(proof.source),
        Continuation.token_id == caller.principal.token_id,
        Continuation.address == caller.address,
        Continuation.expires_at > caller.received_at,
    )
    return connection.execute(query).one_or_none() is not None


def _use_up(connection: Connection, proof: JudgedProof, at: int) -> bool:
    """Uses a proof up, in the caller's transaction. False where another request was faster."""
    if proof.kind is ProofKind.RECOVERY:
        return recovery_codes.use(connection, int(proof.source), at)
    if proof.kind is ProofKind.SECURITY_KEY:
        return security_keys.use(connection, proof, at)
    if proof.kind is ProofKind.APPROVAL:
        return hand_offs.use(connection, int(proof.source), at)
    return _raise_step(connection, proof, at)


def _raise_step(connection: Connection, proof: JudgedProof, at: int) -> bool:
    result = connection.execute(
        update(Authenticator)
        .where(
            Authenticator.id == proof.source,
            Authenticator.state == enrolment.ACTIVE,
            Authenticator.last_step < proof.step,
        )
        .values(last_step=proof.step, last_used_at=at)
    )
    return result.rowcount == 1
