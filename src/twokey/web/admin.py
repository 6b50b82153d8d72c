"""`/admin`: the frame of the administration, its front page, accounts and invitations.

Every page asks the door for an administrator who showed a second factor in the last ten minutes; where that is longer
ago, the page asks for it and then leads back to where it was asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, func, or_, select

from twokey.accounts import invitations, sessions, users
from twokey.accounts.users import Account
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.db.schema import Owner, Package, User, Version
from twokey.errors import Invalid, NotFound, ProofRequired, Refused, TwokeyError
from twokey.http.answers import Answer
from twokey.two_factor import recovery_codes, resets
from twokey.web import confirm, render
from twokey.web.visit import Visit, redirect, safe_path

ENTER = "/admin/enter"
PAGE_SIZE = 50
LAST_PAGE = 10_000
LONGEST_QUESTION = 256
INVITATIONS_SHOWN = 50

Page = Callable[[Visit], Answer]
PageOrProblem = Callable[..., Answer]


def page(show: PageOrProblem) -> Page:
    """A page of the administration: where the second factor was shown too long ago, it is asked for first."""

    def run(visit: Visit) -> Answer:
        try:
            visit.ask(Action.ADMIN_READ, Target())
        except ProofRequired as error:
            visit.ask(Action.READ_PROFILE)
            query = f"?{visit.query}" if str(visit.query) else ""
            return confirm.ask(visit, error, ENTER, [("next", visit.path + query)])
        return show(visit)

    return run


def form(act: Page, show: PageOrProblem) -> Page:
    """A form of the administration: what is wrong with what was sent is said on the page that it stands on."""

    def run(visit: Visit) -> Answer:
        try:
            return act(visit)
        except (Invalid, Refused, NotFound) as error:
            if not visit.permits:  # the door said no: the page is not there either
                raise
            return show(visit, error)

    return run


def enter(visit: Visit) -> Answer:
    """The second factor was shown: on to the page that asked for it."""
    permit = visit.ask(Action.ADMIN_READ, Target())
    if permit.proof is not None:
        with visit.registry.door.write(permit) as tx:
            tx.record(Event.ADMINISTRATION_ENTER)
    return redirect(safe_path(visit.one("next")) or "/admin")


def overview(visit: Visit) -> Answer:
    """`GET /admin`: how much there is, and what waits for somebody."""
    with visit.registry.database.read() as connection:
        counts = {
            "Accounts": _count(connection, User.closed_at.is_(None)),
            "with two-factor authentication": _count(connection, User.mode.is_not(None)),
            "Packages": _count(connection, Package.unpublished_at.is_(None)),
            "in quarantine": _count(connection, Package.unpublished_at.is_(None) & Package.quarantined_at.is_not(None)),
            "Versions": _count(connection, Version.removed_at.is_(None)),
        }
        waiting = resets.every_waiting(connection)
    return render.page(visit, "admin.html", counts=counts, waiting=waiting)


def users_page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /admin/users?q=&page=`."""
    text, number = asked(visit), page_number(visit)
    wanted = or_(User.name.contains(text, autoescape=True), User.email.contains(text, autoescape=True))
    query = (
        select(User.name, User.email, User.mode, User.administrator, User.disabled_at, User.closed_at, User.created_at)
        .where(wanted)
        .order_by(User.name)
        .limit(PAGE_SIZE)
        .offset((number - 1) * PAGE_SIZE)
    )
    with visit.registry.database.read() as connection:
        found = connection.execute(query).all()
        total = _count(connection, wanted)
    return render.form_page(
        visit, "admin_users.html", error, users=found, total=total, text=text, page=number, links=pages(visit, total)
    )


def user_page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /admin/users/NAME`."""
    now = visit.registry.clock.now()
    with visit.registry.database.read() as connection:
        account = users.get(connection, visit.params["user"])
        owned = select(Package.name).join(Owner, Owner.package_id == Package.id)
        shown: dict[str, Any] = {
            "account": account,
            "codes_left": recovery_codes.left(connection, account.id),
            "tokens": users.live_tokens(connection, account.id),
            "sessions": len(sessions.listing(connection, account.id, now)),
            "packages": connection.execute(
                owned.where(Owner.user_id == account.id, Package.unpublished_at.is_(None)).order_by(Package.name)
            ).scalars().all(),
            "reset": resets.waiting(connection, account.id),
        }  # fmt: skip
    return render.form_page(visit, "admin_user.html", error, own=account.id == visit.user_id, **shown)


def disable(visit: Visit) -> Answer:
    """Closes an account to every credential, until it is enabled again."""
    return _switch(visit, disabled=True)


def enable(visit: Visit) -> Answer:
    """Opens it again, with the tokens that it had."""
    return _switch(visit, disabled=False)


def _switch(visit: Visit, *, disabled: bool) -> Answer:
    permit, account = visit.ask(Action.ADMIN_CHANGE, _target(visit)), _named(visit)
    if account.id == visit.user_id:
        raise Refused("This is your own account: another administrator can disable it, and you can close it.")
    if account.disabled == disabled:
        raise Refused(f"{account.name} is {'disabled' if disabled else 'enabled'} already.")
    with visit.registry.door.write(permit) as tx:
        users.set_disabled(tx, account.name, disabled)
    return _back(visit, "user-disabled" if disabled else "user-enabled")


def ask_reset(visit: Visit) -> Answer:
    """Begins the reset of an account's second factor: its owner is told, and has a day to stop it."""
    with visit.registry.door.write(visit.ask(Action.ADMIN_SECOND_FACTOR, _target(visit))) as tx:
        resets.ask(tx, visit.params["user"])
    return _back(visit, "reset-asked")


def approve_reset(visit: Visit) -> Answer:
    """Carries a reset out that another administrator asked for."""
    with visit.registry.door.write(visit.ask(Action.ADMIN_SECOND_FACTOR, _target(visit))) as tx:
        resets.approve(tx, visit.params["user"])
    return _back(visit, "reset-done")


def cancel_reset(visit: Visit) -> Answer:
    """Stops a reset."""
    with visit.registry.door.write(visit.ask(Action.ADMIN_CHANGE, _target(visit))) as tx:
        resets.cancel(tx, visit.params["user"])
    return _back(visit, "reset-cancelled")


def invitations_page(
    visit: Visit, error: TwokeyError | None = None, *, link: str | None = None, mailed_to: str | None = None
) -> Answer:
    """`GET /admin/invitations`: those that were made, and a form for another."""
    registry = visit.registry
    with registry.database.read() as connection:
        found = invitations.listing(connection, INVITATIONS_SHOWN)
    return render.form_page(
        visit, "admin_invitations.html", error, invitations=found, link=link, now=registry.clock.now(),
        email=visit.one("email"), mailed_to=mailed_to if registry.postman is not None else None,
    )  # fmt: skip


def invite(visit: Visit) -> Answer:
    """Makes an invitation, and shows its link this once."""
    permit, email = visit.ask(Action.ADMIN_CHANGE, Target()), visit.one("email")
    if email:
        users.check_email(email)
    if visit.registry.site().signup == "closed":
        raise Refused("Sign-up is closed, so an invitation would let nobody in: set sign-up to “by invitation” first.")
    with visit.registry.door.write(permit) as tx:
        secret = invitations.make(tx, email or None)
        if email:
            invitations.mail(tx, secret, email, visit.registry.outbox)
    visit.form = ()
    return invitations_page(visit, link=invitations.address(visit.base, secret), mailed_to=email or None)


def withdraw_invitation(visit: Visit) -> Answer:
    """Takes an unused invitation back."""
    permit, number = visit.ask(Action.ADMIN_CHANGE, Target()), visit.one("id")
    if not number.isascii() or not number.isdecimal() or len(number) > 18:
        raise Invalid("The number of the invitation is none.")
    with visit.registry.door.write(permit) as tx:
        invitations.withdraw(tx, int(number))
    return redirect("/admin/invitations", done="invitation-withdrawn")


def asked(visit: Visit) -> str:
    """The text that a list is searched for. Raises Invalid for what a database does not take."""
    text = visit.query.get("q", "").strip()
    if len(text) > LONGEST_QUESTION or not text.isprintable():
        raise Invalid(f"A search has at most {LONGEST_QUESTION} characters that can be shown.")
    return text


def page_number(visit: Visit) -> int:
    """The page of a list that is asked for. Raises Invalid."""
    text = visit.query.get("page", "1")
    if not text.isascii() or not text.isdecimal() or len(text) > 5 or not 1 <= int(text) <= LAST_PAGE:
        raise Invalid(f"The page is a number from 1 to {LAST_PAGE}.")
    return int(text)


def pages(visit: Visit, total: int) -> dict[str, str]:
    """The addresses of the pages before and after this one, under the words that lead there."""
    number, others = page_number(visit), {name: value for name, value in visit.query.items() if name != "page"}
    found = {}
    if number > 1:
        found["Previous page"] = f"{visit.path}?{urlencode({**others, 'page': number - 1})}"
    if number * PAGE_SIZE < total:
        found["Next page"] = f"{visit.path}?{urlencode({**others, 'page': number + 1})}"
    return found


def _count(connection: Connection, wanted: Any) -> int:
    return int(connection.execute(select(func.count()).where(wanted)).scalar_one())


def _named(visit: Visit) -> Account:
    with visit.registry.database.read() as connection:
        return users.get(connection, visit.params["user"])


def _target(visit: Visit) -> Target:
    return Target(account=visit.params["user"])


def _back(visit: Visit, done: str) -> Answer:
    return redirect(f"/admin/users/{visit.params['user']}", done=done)
