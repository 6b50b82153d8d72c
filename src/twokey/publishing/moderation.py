"""What administrators do to packages: quarantine and release, take down, transfer. Each with a reason, each told.

The owners of a package are concerned, so each of them has an event of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from twokey.audit.events import Event
from twokey.audit.trail import Value
from twokey.audit.transaction import Transaction
from twokey.db.schema import Package
from twokey.errors import Invalid, Refused
from twokey.packages import packages
from twokey.packages.names import PackageName
from twokey.packages.packages import Found
from twokey.publishing import withdraw

LONGEST_REASON = 500


def quarantine(tx: Transaction, name: PackageName, reason: str) -> None:
    """Hides a package from installs, search and changes; its bytes are kept. Raises NotFound, Invalid, Refused."""
    found = _held(tx, name)
    if found.quarantined_at is not None:
        raise Refused(f"{name} is quarantined already.")
    packages.changed(tx, found.id, quarantined_at=tx.now, quarantine_reason=check_reason(reason))
    _tell(tx, Event.PACKAGE_QUARANTINE, name, packages.owner_names(tx.connection, found.id), {"reason": reason})


def release(tx: Transaction, name: PackageName) -> None:
    """Lifts a quarantine: the package is as it was. Raises NotFound, Refused."""
    found = _held(tx, name)
    if found.quarantined_at is None:
        raise Refused(f"{name} is not quarantined.")
    packages.changed(tx, found.id, quarantined_at=None, quarantine_reason=None)
    owners = packages.owner_names(tx.connection, found.id)
    _tell(tx, Event.PACKAGE_RELEASE, name, owners, {"reason": found.quarantine_reason})


def take_down(tx: Transaction, name: PackageName, reason: str) -> None:
    """Withdraws every version of a package; the tombstones stay. Raises NotFound, Invalid."""
    found = _held(tx, name)
    check_reason(reason)
    withdraw.remove_package(tx, found, None)
    packages.changed(tx, found.id, quarantined_at=None, quarantine_reason=None)
    _tell(tx, Event.PACKAGE_TAKE_DOWN, name, packages.owner_names(tx.connection, found.id), {"reason": reason})


def transfer(tx: Transaction, name: PackageName, owner: str, reason: str) -> None:
    """Makes one account the only owner of a package. Raises NotFound, Invalid."""
    found = _held(tx, name)
    check_reason(reason)
    before = packages.owner_names(tx.connection, found.id)
    packages.change_owners(tx, found, [owner], None)
    details = {"before": before, "after": owner, "reason": reason}
    _tell(tx, Event.PACKAGE_TRANSFER, name, sorted({*before, owner}), details)


def check_reason(reason: str) -> str:
    """The reason, if it is one: the owners, and whoever installs, read it. Raises Invalid."""
    if not reason.strip() or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise Invalid(f"Say why, in 1 to {LONGEST_REASON} characters on one line: it is shown to those concerned.")
    return reason.strip()


def _held(tx: Transaction, name: PackageName) -> Found:
    """The package, held as it is until the transaction ends: a publish comes before or after, never in between."""
    tx.connection.execute(select(Package.id).where(Package.name == str(name)).with_for_update(key_share=True))
    return packages.get(tx.connection, name)


def _tell(
    tx: Transaction, event: Event, name: PackageName, accounts: Sequence[str], details: Mapping[str, Value]
) -> None:
    for account in accounts or (None,):
        tx.record(event, account=account, resource=f"package:{name}", details=details)
