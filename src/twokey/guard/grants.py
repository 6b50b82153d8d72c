"""Permits to read that hold for a moment: given by the door, remembered for whoever repeats its question.

A grant ends with whatever was changed since (db/generation.py), with its token, and after a minute at the latest, when
a use of the token is to be noted again. Nothing is decided here: what is not remembered goes to the door.
"""

from __future__ import annotations

from dataclasses import dataclass

from twokey.authority.actions import Action
from twokey.authority.permit import Permit
from twokey.authority.principal import CredentialKind
from twokey.clock import MINUTE
from twokey.db.generation import place_of, stamp_in

MOST = 65536  # about 400 bytes each


@dataclass(frozen=True, slots=True)
class Grant:
    """That a credential may read a package. Times in µs; `address`: the only one it holds for, where it is limited."""

    stamp: bytes
    made_at: int
    until: int
    address: str | None
    actor: str | None


class Grants:
    """The grants of one process. For its event loop alone."""

    def __init__(self, most: int = MOST) -> None:
        """Remembers at most `most`, and forgets the oldest first."""
        self._most = most
        self._grants: dict[tuple[bytes, str], Grant] = {}

    def keep(self, permit: Permit, credential: bytes, snapshot: bytes) -> None:
        """Remembers a permit to read a package, given to whoever showed `credential` (a digest; empty for nobody).

        `snapshot` is the generation from before the permit was asked for. Only for nobody and for tokens: a session, or
        a password with each request, is looked at each time.
        """
        caller, package = permit.caller, permit.target.package
        principal = caller.principal
        until = caller.received_at + MINUTE if principal.kind is CredentialKind.ANONYMOUS else principal.known_until
        nobody = principal.kind is CredentialKind.ANONYMOUS and not credential
        known = principal.token_id is not None and credential
        if permit.action is not Action.READ_PACKAGE or package is None or until is None or not (nobody or known):
            return
        self._grants.pop((credential, package), None)
        while len(self._grants) >= self._most:
            del self._grants[next(iter(self._grants))]
        self._grants[credential, package] = Grant(
            stamp_in(snapshot, place_of(package)),
            caller.received_at,
            until,
            caller.address if principal.limits.cidr else None,
            principal.user_name,
        )

    def find(self, credential: bytes, package: str, stamp: bytes, address: str, at: int) -> Grant | None:
        """The grant of the credential for the package, if it holds at `at` (µs) while `stamp` is the generation's."""
        grant = self._grants.get((credential, package))
        if grant is None or grant.stamp != stamp or not grant.made_at <= at < grant.until:
            return None
        return grant if grant.address is None or grant.address == address else None
