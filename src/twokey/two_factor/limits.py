"""The guessing limits of second factors, as buckets of the throttle (security.md 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from twokey.accounts.passwords import address_block
from twokey.authority.principal import Caller
from twokey.throttle import Bucket, Limit


@dataclass(frozen=True, slots=True)
class RedeemLimits:
    """The guessing limits of security.md 2.2, and the two times."""

    otp: int = 5
    otp_hour: int = 20
    otp_day: int = 100
    address: int = 30
    address_hour: int = 200
    recovery: int = 5
    recovery_day: int = 20
    continuation_seconds: int = 120
    enrolment_minutes: int = 30

    def of_codes(self, user_id: int, user_name: str, caller: Caller) -> list[Bucket]:
        """What a code of an authenticator app counts against."""
        block = address_block(caller.address)
        return [
            Bucket(f"otp:{user_name}:{caller.principal.credential}:{block}", self._per_credential),
            self.of_account(user_id),
            self._of_address(block, "otp-address"),
        ]

    def of_recovery_codes(self, user_name: str, caller: Caller) -> list[Bucket]:
        """What a recovery code counts against: apart from authenticator codes, whose bucket never blocks it."""
        block = address_block(caller.address)
        per_address = (Limit(self.recovery, 300), Limit(self.recovery_day, 86400))
        return [Bucket(f"recovery:{user_name}:{block}", per_address), self._of_address(block, "recovery-address")]

    def of_security_keys(self, user_name: str, caller: Caller) -> list[Bucket]:
        """What the answer of a security key, or of a page that was approved with one, counts against.

        Nobody guesses those: the limit is for the work of checking them.
        """
        block = address_block(caller.address)
        return [
            Bucket(f"key:{user_name}:{caller.principal.credential}:{block}", self._per_credential),
            self._of_address(block, "key-address"),
        ]

    def of_account(self, user_id: int) -> Bucket:
        """The bucket that suspends the account's authenticator codes."""
        return Bucket(account_key(user_id), (Limit(self.otp_day, 86400),))

    @property
    def _per_credential(self) -> tuple[Limit, Limit]:
        return Limit(self.otp, 300), Limit(self.otp_hour, 3600)

    def _of_address(self, block: str, kind: str) -> Bucket:
        return Bucket(f"{kind}:{block}", (Limit(self.address, 300), Limit(self.address_hour, 3600)))


def account_key(user_id: int) -> str:
    """The bucket that counts an account's wrong authenticator codes, over all credentials and addresses."""
    return f"otp-account:{user_id}"
