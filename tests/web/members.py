"""Members of organisations and owners of packages, in browsers over plain HTTP."""

from __future__ import annotations

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser, Page
from tests.web.administrators import submit
from twokey.web import routes

FORMS = tuple(form.path for form in (*routes.ORGANISATION_FORMS, *routes.PACKAGE_FORMS))


class Member:
    """Somebody with a browser that is signed in."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.name = account.name
        self.browser = Browser(account.server)
        self.browser.sign_in(account)

    def send(self, on: str, action: str, /, **values: str) -> Page:
        """Sends a form of the page `on`, with a code where it is asked for."""
        return submit(self.browser, self.account, on, action, **values)

    def csrf(self) -> str:
        """The token that this session's forms carry."""
        return dict(self.browser.get("/").form("/logout").fields)["csrf"]

    def post(self, path: str, **fields: str) -> Page:
        """Sends a form that no page of theirs holds, with a code where it is asked for."""
        page = self.browser.post(path, {**fields, "csrf": self.csrf()})
        if any(form.action == "/confirm" for form in page.forms):
            page = self.browser.confirm(otp=self.account.fresh_code())
        return page

    def make(self, stem: str = "acme") -> str:
        """A new organisation of theirs; its address."""
        name = accounts.fresh_name(stem)
        assert self.send("/orgs", "/orgs", name=name).path == f"/org/{name}"
        return f"/org/{name}"


def name_of(org: str) -> str:
    return org.removeprefix("/org/")


def by_npm(who: Member, path: str) -> object:
    """What the npm API says."""
    answer = who.account.ask("GET", path)
    return answer.json if answer.status == 200 else answer.status


def published(who: Member, name: str) -> str:
    otp = who.account.fresh_code() if who.account.secret else None
    assert accounts.publish(who.account, name, otp=otp).status == 201
    return name
