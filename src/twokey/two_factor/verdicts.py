"""What is said of a code that is not accepted: why, for the trail, and in a sentence for the person."""

from __future__ import annotations

from dataclasses import dataclass

from twokey.audit.events import Event
from twokey.errors import ProofReason, ProofRequired
from twokey.two_factor import totp


@dataclass(frozen=True, slots=True)
class Verdict:
    """A code that is not accepted. `burn` is the authenticator and the future step that the hint names."""

    reason: ProofReason
    sentence: str
    burn: tuple[str, int] | None = None
    of_key: bool = False
    copied: str | None = None  # the name of a security key whose counter did not grow

    @property
    def event(self) -> Event:
        """What the trail says of it."""
        if self.of_key:
            return Event.KEY_COUNTER if self.copied else Event.KEY_WRONG
        return Event.OTP_REPLAY if self.reason is ProofReason.USED else Event.OTP_WRONG

    @property
    def details(self) -> dict[str, str]:
        """What the trail says besides."""
        return {"name": self.copied} if self.copied else {}

    def refusal(self) -> ProofRequired:
        """The error for the person who showed the code."""
        if self.of_key:
            return ProofRequired(f"The security key was not accepted: {self.sentence}.", reason=self.reason)
        return ProofRequired(
            f"Invalid one-time password: {self.sentence}.",
            reason=self.reason,
            notice=f"Invalid OTP: {self.sentence}",
        )


SUSPENDED = Verdict(
    ProofReason.SUSPENDED,
    "codes of authenticator apps are suspended for this account after too many wrong ones; "
    "use a security key or a recovery code, or ask the operator of this registry",
)
USED = Verdict(ProofReason.USED, "already used, wait for the next code")
RECOVERY_USED = Verdict(ProofReason.USED, "already used, take the next of your recovery codes")
NO_RECOVERY_CODE = Verdict(ProofReason.WRONG, "this is not one of your unused recovery codes")

NO_APPROVAL = Verdict(
    ProofReason.WRONG, "it was not given to this token for this, or two minutes have passed; repeat the command"
)
APPROVAL_USED = Verdict(ProofReason.USED, "already used; repeat the command and approve it again")


def security_key(sentence: str, *, copied: str | None) -> Verdict:
    """What a security key answered proves nothing, and why."""
    return Verdict(ProofReason.WRONG, sentence, of_key=True, copied=copied)


def wrong(issuer: str, user_name: str) -> Verdict:
    """A code that belongs to no moment near now: most likely another entry of the app."""
    return Verdict(ProofReason.WRONG, f'use the code shown for "{issuer}: {user_name}"')


def late_or_early(step: int, received_at: int, authenticator_id: str) -> Verdict | None:
    """The verdict on a code that belongs to the account but not to the moment `received_at` (µs).

    None within the tolerance. A future step is burned: the hint would else tell a thief when to come back.
    """
    offset = step - totp.step_at(received_at)
    if abs(offset) <= totp.TOLERANCE:
        return None
    if offset < 0:
        late = totp.seconds_since_step_ended(step, received_at)
        return Verdict(
            ProofReason.EXPIRED,
            f"this code expired about {late} s ago; codes change every 30 seconds, use a fresh one; "
            f"if it was fresh, your phone's clock is {late} s behind",
        )
    return Verdict(
        ProofReason.AHEAD,
        f"your phone's clock is about {offset * totp.STEP_SECONDS} s ahead of the server's; "
        "set it to automatic time and use a fresh code",
        burn=(authenticator_id, step),
    )
