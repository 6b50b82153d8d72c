"""What the owner of an account does for good: closing it, and keeping a second factor that is about to be reset."""

from __future__ import annotations

from twokey.accounts import closing
from twokey.authority.actions import Action
from twokey.errors import Invalid, NotFound, Refused, TwokeyError
from twokey.http.answers import Answer
from twokey.two_factor import resets
from twokey.web import render
from twokey.web.visit import Visit, redirect


def close_page(visit: Visit, error: TwokeyError | None = None) -> Answer:
    """`GET /settings/USER/close`: what closing means, and what stands against it."""
    visit.own(Action.READ_PROFILE)
    with visit.registry.database.read() as connection:
        alone = closing.only_owned(connection, visit.user_id)
    return render.form_page(visit, "close.html", error, alone=alone)


def close_account(visit: Visit) -> Answer:
    """Closes the account, once its name was typed and a proof was shown in this very request."""
    visit.own(Action.READ_PROFILE)
    try:
        if visit.one("name") != visit.user:
            raise Invalid(f"Type your user name, {visit.user}, to say that you mean it.")
        permit = visit.ask(Action.CLOSE_ACCOUNT)
        with visit.registry.door.write(permit) as tx:
            closing.close(tx, visit.user_id, visit.registry.outbox)
    except (Invalid, Refused) as error:
        return close_page(visit, error)
    visit.new_secret = ""
    return redirect("/", done="account-closed")


def keep_second_factor(visit: Visit) -> Answer:
    """Stops the reset of one's own second factor."""
    visit.own(Action.READ_PROFILE)
    try:
        with visit.registry.door.write(visit.ask(Action.KEEP_SECOND_FACTOR)) as tx:
            resets.cancel(tx, visit.user)
    except NotFound as error:
        raise Invalid(error.message) from error
    return redirect("/settings/~/security", done="reset-cancelled")
