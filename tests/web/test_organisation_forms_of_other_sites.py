"""The forms of organisations, teams and package settings, sent as another site could send them: none changes anything.

What they do when a page of this registry sends them is held by test_organisation_pages and test_package_settings; that
each would change something as it is filled in here is held below. Every change is an event of the trail, so a trail
that stays as it is says that nothing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.support import accounts
from tests.support.pages import Browser
from tests.support.server import Server
from tests.web.administrators import signed_in
from tests.web.members import FORMS, Member, name_of, published
from tests.web.other_sites import assert_changes_nothing, own


@dataclass
class Scene:
    """An owner for whom every form would be carried out at once, and what the forms are aimed at."""

    owner: Member
    guest: Member
    other: Member
    org: str
    empty: str  # an organisation that never had a package, which alone can be deleted
    package: str
    admin: Browser
    strangers: tuple[str, str]  # csrf tokens of another member's session, and of nobody's

    def address(self, path: str) -> str:
        """Where the form goes."""
        org = self.empty if path.endswith("organisation:part}/delete") else self.org
        made = path.replace("{organisation:part}", name_of(org)).replace("{team:part}", "core")
        return made.replace("{name:package}", self.package)

    def trail(self) -> str:
        """Everything that has happened."""
        answer = self.admin.send("GET", "/admin/audit/export")
        assert answer.status == 200, answer
        return answer.text


ORG, TEAM, SETTINGS = (
    "/org/{organisation:part}",
    "/org/{organisation:part}/team/{team:part}",
    "/package/{name:package}/access",
)
# In an order in which each can be carried out after those before it.
FIELDS: Mapping[str, Callable[[Scene], Mapping[str, str]]] = {
    "/orgs": lambda _: {"name": accounts.fresh_name("planted")},
    f"{ORG}/members": lambda s: {"user": s.other.name, "role": "owner"},
    f"{ORG}/settings": lambda _: {"new_packages": "none"},
    f"{ORG}/teams": lambda _: {"team": accounts.fresh_name("planted")},
    f"{ORG}/delete": lambda s: {"delete_name": name_of(s.empty)},
    f"{TEAM}/members": lambda s: {"user": s.owner.name},
    f"{TEAM}/members/remove": lambda s: {"user": s.guest.name},
    f"{TEAM}/packages": lambda s: {"package": s.package, "permission": "read-only"},
    f"{TEAM}/packages/revoke": lambda s: {"package": s.package},
    f"{TEAM}/description": lambda _: {"description": "planted"},
    f"{SETTINGS}/mfa": lambda _: {"mfa": "automation"},
    f"{SETTINGS}/visibility": lambda _: {"access": "restricted"},
    f"{SETTINGS}/owners": lambda s: {"owner": s.other.name},
    f"{SETTINGS}/owners/remove": lambda s: {"owner": s.guest.name},
    f"{SETTINGS}/teams": lambda s: {"team": f"{name_of(s.org)}:core", "permission": "read-only"},
    f"{SETTINGS}/teams/revoke": lambda s: {"team": f"{name_of(s.org)}:core"},
    f"{SETTINGS}/deprecate": lambda _: {"versions": "*", "message": "planted"},
    f"{SETTINGS}/undeprecate": lambda _: {"lift_versions": "*"},
    f"{SETTINGS}/delete-version": lambda s: {"version": "1.0.0", "version_name": s.package},
    f"{SETTINGS}/delete": lambda s: {"package_name": s.package},
    f"{TEAM}/delete": lambda _: {"delete_name": "core"},
    f"{ORG}/members/remove": lambda s: {"user": s.guest.name},
    f"{ORG}/leave": lambda _: {},
}


@pytest.fixture(scope="module")
def scene(server: Server) -> Iterator[Scene]:
    """An organisation with a team, a member, and a package of two versions with two owners; the clock is held."""
    with server.held():
        owner = Member(accounts.enrol(accounts.sign_up(server)))
        guest, other = (Member(accounts.sign_up(server)) for _ in range(2))
        org, empty = owner.make(), owner.make("empty")
        owner.send(org, f"{org}/members", user=guest.name, role="developer")
        owner.send(org, f"{org}/teams", team="core", description="")
        owner.send(f"{org}/team/core", f"{org}/team/core/members", user=guest.name)
        package = published(owner, f"@{name_of(org)}/core")
        answer = accounts.publish(owner.account, package, "2.0.0", otp=owner.account.fresh_code())
        assert answer.status == 201, answer
        on = f"/package/{package}/access"
        owner.send(on, f"{on}/owners", owner=guest.name)
        strangers = (guest.csrf(), dict(Browser(server).get("/login").form("/login").fields)["csrf"])
        admin, _ = signed_in(server)
        just_signed_in = Member(owner.account)
        yield Scene(just_signed_in, guest, other, org, empty, package, admin, strangers)


def test_every_form_is_tried() -> None:
    assert sorted(FIELDS) == sorted(FORMS)


@pytest.mark.parametrize("path", FIELDS)
def test_a_form_that_another_site_sends_changes_nothing(server: Server, scene: Scene, path: str) -> None:
    owner = scene.owner
    assert_changes_nothing(
        server, owner.browser, scene.address(path), FIELDS[path](scene), owner.csrf(), scene.strangers, scene.trail
    )  # fmt: skip


def test_as_it_is_filled_in_each_would_have_changed_something(server: Server, scene: Scene) -> None:
    owner = scene.owner
    for path, fields in FIELDS.items():
        before = scene.trail()
        answer = owner.browser.send("POST", scene.address(path), {**fields(scene), "csrf": owner.csrf()}, own(server))
        assert answer.status == 303, (path, answer)
        assert scene.trail() != before, path
