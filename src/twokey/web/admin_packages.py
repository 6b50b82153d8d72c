"""`/admin/packages`: every package, and quarantine, release, take down and transfer of each."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import and_, func, select

from twokey.audit.transaction import Transaction
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.db.schema import Package, Version
from twokey.errors import Invalid, TwokeyError
from twokey.http.answers import Answer
from twokey.packages import packages
from twokey.publishing import moderation
from twokey.web import render
from twokey.web.admin import PAGE_SIZE, asked, page_number, pages
from twokey.web.visit import Visit, redirect

STATES = {
    "": "all",
    "quarantined": "in quarantine",
    "gone": "unpublished or taken down",
}


def packages_page(visit: Visit) -> Answer:
    """`GET /admin/packages?q=&state=&page=`."""
    text, state, number = asked(visit), visit.query.get("state", ""), page_number(visit)
    if state not in STATES:
        raise Invalid("There is no such state of packages: choose one on the page.")
    wanted = and_(
        Package.name.contains(text, autoescape=True),
        Package.unpublished_at.is_not(None) if state == "gone" else Package.unpublished_at.is_(None),
        *([Package.quarantined_at.is_not(None)] if state == "quarantined" else []),
    )
    query = (
        select(Package.name, Package.access, Package.quarantined_at, Package.unpublished_at, Package.modified_at)
        .where(wanted)
        .order_by(Package.name)
        .limit(PAGE_SIZE)
        .offset((number - 1) * PAGE_SIZE)
    )
    with visit.registry.database.read() as connection:
        found = connection.execute(query).all()
        total = connection.execute(select(func.count()).select_from(Package).where(wanted)).scalar_one()
    return render.page(
        visit, "admin_packages.html", packages=found, total=total, text=text, state=state, states=STATES, page=number,
        links=pages(visit, total),
    )  # fmt: skip


def package_page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /admin/packages/NAME`."""
    with visit.registry.database.read() as connection:
        found = packages.get(connection, visit.package)
        owners = packages.owner_names(connection, found.id)
        there = (Version.package_id == found.id, Version.removed_at.is_(None))
        count, size = connection.execute(
            select(func.count(), func.coalesce(func.sum(Version.size), 0)).where(*there)
        ).one()
    sent = {name: visit.one(name) for name in ("reason", "owner", "transfer_reason", "removal_reason")}
    return render.form_page(
        visit, "admin_package.html", error, found=found, owners=owners, count=count, size=int(size), sent=sent
    )


def quarantine(visit: Visit) -> Answer:
    """Hides the package from installs, search and changes; its bytes are kept."""
    reason = visit.one("reason")
    return _act(visit, "quarantined", lambda tx: moderation.quarantine(tx, visit.package, reason))


def release(visit: Visit) -> Answer:
    """Lifts the quarantine."""
    return _act(visit, "released", lambda tx: moderation.release(tx, visit.package))


def transfer(visit: Visit) -> Answer:
    """Makes one account the package's only owner."""
    owner, reason = visit.one("owner"), visit.one("transfer_reason")

    def act(tx: Transaction) -> None:
        _check_words(visit, "transfer_name")
        moderation.transfer(tx, visit.package, owner, reason)

    return _act(visit, "transferred", act)


def take_down(visit: Visit) -> Answer:
    """Withdraws every version. The tombstones stay."""
    reason = visit.one("removal_reason")

    def act(tx: Transaction) -> None:
        _check_words(visit, "removal_name")
        moderation.take_down(tx, visit.package, reason)

    _act(visit, "taken-down", act)
    return redirect("/admin/packages", done="taken-down")


def _act(visit: Visit, done: str, act: Callable[[Transaction], None]) -> Answer:
    with visit.registry.door.write(visit.ask(Action.ADMIN_CHANGE, Target())) as tx:
        act(tx)
    return redirect(f"/admin/packages/{visit.package}", done=done)


def _check_words(visit: Visit, field: str) -> None:
    if visit.one(field) != str(visit.package):
        raise Invalid(f"Type the package's name, {visit.package}, to say that it is this one.")


ACTS = {"quarantine": quarantine, "release": release, "transfer": transfer, "take-down": take_down}
