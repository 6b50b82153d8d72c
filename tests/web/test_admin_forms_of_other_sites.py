"""The forms of the administration, sent as another site could send them: not one of them changes anything.

What they do when a page of this registry sends them is held by test_admin_users, test_admin_packages and
test_admin_site. Every change is an event of the trail, so a trail that stays as it is says that nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser
from tests.support.server import Server
from tests.web.administrators import FORMS, administrator, signed_in, submit
from tests.web.other_sites import assert_changes_nothing

WHY = "Because."


@dataclass
class Scene:
    """An administrator for whom every form would be carried out at once, and what the forms are aimed at."""

    server: Server
    browser: Browser
    admin: Account
    guest: Account
    package: str
    invitation: str
    strangers: tuple[str, str]  # csrf tokens of another administrator's session, and of nobody's

    def csrf(self) -> str:
        """The token that this session's forms carry."""
        return dict(self.browser.get("/admin").form("/logout").fields)["csrf"]

    def address(self, path: str) -> str:
        """Where the form goes."""
        own = path.startswith("/settings/")
        return path.replace("{user:part}", "~" if own else self.guest.name).replace("{name:package}", self.package)

    def trail(self) -> str:
        """Everything that has happened."""
        answer = self.browser.send("GET", "/admin/audit/export")
        assert answer.status == 200, answer
        return answer.text


FIELDS: Mapping[str, Callable[[Scene], Mapping[str, str]]] = {
    "/admin/enter": lambda s: {"next": "/admin/users", "otp": s.admin.code()},
    "/admin/users/{user:part}/disable": lambda s: {},
    "/admin/users/{user:part}/enable": lambda s: {},
    "/admin/users/{user:part}/reset": lambda s: {"otp": s.admin.code()},
    "/admin/users/{user:part}/approve-reset": lambda s: {"otp": s.admin.code()},
    "/admin/users/{user:part}/cancel-reset": lambda s: {},
    "/admin/invitations": lambda s: {"email": "mallory@example.com"},
    "/admin/invitations/withdraw": lambda s: {"id": s.invitation},
    "/admin/settings": lambda s: dict(s.browser.get("/admin/settings").form("/admin/settings").fields)
    | {"signup": "closed", "csrf": ""},
    "/admin/packages/{name:package}/quarantine": lambda s: {"reason": WHY},
    "/admin/packages/{name:package}/release": lambda s: {},
    "/admin/packages/{name:package}/transfer": lambda s: {
        "owner": s.admin.name, "transfer_reason": WHY, "transfer_name": s.package,
    },
    "/admin/packages/{name:package}/take-down": lambda s: {"removal_reason": WHY, "removal_name": s.package},
    "/settings/{user:part}/close": lambda s: {"name": s.admin.name, "otp": s.admin.code()},
    "/settings/{user:part}/security/keep": lambda s: {},
}  # fmt: skip


@pytest.fixture(scope="module")
def scene(server: Server) -> Iterator[Scene]:
    """Resets of the guest and of the administrator wait, a package and an invitation are there."""
    with server.held():
        admin = administrator(server)
        guest = accounts.enrol(accounts.sign_up(server))
        package = accounts.fresh_name("core")
        assert accounts.publish(guest, package, otp=guest.fresh_code()).status == 201
        other, asker = signed_in(server)
        for name in (admin.name, guest.name):
            submit(other, asker, f"/admin/users/{name}", f"/admin/users/{name}/reset")
        page = submit(other, asker, "/admin/invitations", "/admin/invitations", email="")
        page = other.get("/admin/invitations")
        invitation = dict(page.form("/admin/invitations/withdraw").fields)["id"]
        strangers = (
            dict(other.get("/admin").form("/logout").fields)["csrf"],
            dict(Browser(server).get("/login").form("/login").fields)["csrf"],
        )
        browser, _ = signed_in(server, admin)
        admin.fresh_code()  # moves the clock past every code that was used
        yield Scene(server, browser, admin, guest, package, invitation, strangers)


def test_every_form_is_tried() -> None:
    assert sorted(FIELDS) == sorted(FORMS)


@pytest.mark.parametrize("path", FORMS)
def test_a_form_that_another_site_sends_changes_nothing(server: Server, scene: Scene, path: str) -> None:
    fields = dict(FIELDS[path](scene))
    fields.pop("csrf", None)
    assert_changes_nothing(
        server, scene.browser, scene.address(path), fields, scene.csrf(), scene.strangers, scene.trail
    )  # fmt: skip
