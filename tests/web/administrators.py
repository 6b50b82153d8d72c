"""Administrators in a browser over plain HTTP."""

from __future__ import annotations

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser, Page
from tests.support.server import Server
from twokey.web import routes

ACCOUNT = ("/settings/{user:part}/close", "/settings/{user:part}/security/keep")
FORMS = tuple(
    form.path for form in routes.FORMS if form.path.startswith("/admin/") or form.path in ACCOUNT
)  # those of the administration, and what it makes necessary


def administrator(server: Server) -> Account:
    """An account with two-factor authentication that the operator made an administrator."""
    account = accounts.enrol(accounts.sign_up(server, accounts.fresh_name("admin")))
    done = server.admin("user", "grant", account.name)
    assert done.returncode == 0, done
    return account


def signed_in(server: Server, account: Account | None = None) -> tuple[Browser, Account]:
    """An administrator's browser, who showed a code a moment ago."""
    account = account or administrator(server)
    browser = Browser(server)
    browser.sign_in(account)
    return browser, account


def submit(browser: Browser, account: Account, on: str, action: str, /, **values: str) -> Page:
    """Opens the page `on`, sends its form, and shows a code where it is asked for."""
    opened = browser.get(on)
    assert opened.status == 200, opened.answer
    page = browser.submit(action, **values)
    if any(form.action == "/confirm" for form in page.forms):
        page = browser.confirm(otp=account.fresh_code())
    return page


def events(server: Server, account: str, event: str) -> list[str]:
    """The events of an account, as the operator lists them."""
    done = server.admin("audit", "list", "--user", account, "--event", event)
    assert done.returncode == 0, done
    return done.stdout.splitlines()
