"""The administration of packages: quarantine, release, transfer and take down, as npm and the pages then see them."""

from __future__ import annotations

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser
from tests.support.server import Server
from tests.support.wire import Answer, request
from tests.web.administrators import signed_in, submit

WHY = "It steals tokens."


@pytest.fixture
def bob(server: Server) -> Account:
    return accounts.sign_up(server)


@pytest.fixture
def name(bob: Account) -> str:
    found = accounts.fresh_name("core")
    assert accounts.publish(bob, found).status == 201
    return found


def installs(server: Server, name: str, token: str | None = None) -> Answer:
    short = {"accept": "application/vnd.npm.install-v1+json"}
    return request(server, "GET", f"/{name}", token=token, headers=short)


def test_what_is_in_quarantine_says_why_to_npm_and_to_browsers_and_is_found_by_nobody(
    server: Server, bob: Account, name: str
) -> None:
    installs(server, name)  # kept as rendered
    browser, admin = signed_in(server)
    on = f"/admin/packages/{name}"
    assert "quarantined: nobody can install it" in submit(browser, admin, on, f"{on}/quarantine", reason=WHY).words
    sentence = f"{name} is quarantined: {WHY} Ask the operator of this registry."
    paths = (f"/{name}", f"/{name}/1.0.0", f"/{name}/-/{name}-1.0.0.tgz", f"/-/package/{name}/dist-tags")
    for path in paths:
        for token in (None, bob.token, admin.token):
            answer = request(server, "GET", path, token=token)
            assert (answer.status, answer.error) == (403, sentence), answer
    assert accounts.publish(bob, name, "2.0.0").error == sentence
    assert request(server, "GET", f"/-/v1/search?text={name}").json["total"] == 0
    stranger, own = Browser(server), Browser(server)
    page = stranger.get(f"/package/{name}")
    assert (page.status, sentence in page.words) == (403, True)
    assert name not in stranger.get(f"/~{bob.name}").words
    own.sign_in(bob)
    assert "In quarantine since" in own.get("/settings/~/packages").words
    assert WHY in own.page.words
    assert name in browser.get("/admin/packages?state=quarantined").words
    assert "can be installed again" in submit(browser, admin, on, f"{on}/release").words
    for path in paths:
        assert request(server, "GET", path).status == 200, path
    assert accounts.publish(bob, name, "2.0.0").status == 201


def test_a_transfer_takes_the_name_typed_and_changes_the_owner(server: Server, bob: Account, name: str) -> None:
    browser, admin = signed_in(server)
    carol, on = accounts.sign_up(server), f"/admin/packages/{name}"
    asked = {"owner": carol.name, "transfer_reason": "bob cannot be reached"}
    refused = submit(browser, admin, on, f"{on}/transfer", **asked, transfer_name=f"{name}x")
    assert (refused.status, "Type the package's name" in refused.problem) == (400, True)
    assert accounts.publish(carol, name, "2.0.0").status == 403
    refused = submit(browser, admin, on, f"{on}/transfer", **(asked | {"owner": "nobody"}), transfer_name=name)
    assert (refused.status, "no account" in refused.problem) == (404, True)
    assert "has a new owner" in submit(browser, admin, on, f"{on}/transfer", **asked, transfer_name=name).words
    assert accounts.publish(carol, name, "2.0.0").status == 201
    assert accounts.publish(bob, name, "3.0.0").status == 403


def test_what_is_taken_down_is_gone_and_its_owner_reads_why(server: Server, bob: Account, name: str) -> None:
    browser, admin = signed_in(server)
    on = f"/admin/packages/{name}"
    refused = submit(browser, admin, on, f"{on}/take-down", removal_reason=WHY, removal_name="")
    assert (refused.status, WHY in refused.html) == (400, True), "what was typed is still there"
    assert accounts.is_published(server, name)
    page = submit(browser, admin, on, f"{on}/take-down", removal_reason=WHY, removal_name=name)
    assert "The package is taken down." in page.words
    assert not accounts.is_published(server, name)
    assert browser.get(on).status == 404
    assert name in browser.get(f"/admin/packages?state=gone&q={name}").words
    own = Browser(server)
    own.sign_in(bob)
    assert f"{name} was taken down by an administrator" in own.get("/settings/~/packages").words
    assert WHY in own.page.words


def test_a_package_of_a_scope_has_a_page_too(server: Server, bob: Account) -> None:
    name = f"@{bob.name}/core"
    assert accounts.publish(bob, name).status == 201
    browser, admin = signed_in(server)
    on = f"/admin/packages/{name}"
    assert submit(browser, admin, on, f"{on}/quarantine", reason=WHY).status == 200
    assert installs(server, name.replace("/", "%2f")).status == 403


def test_an_owner_who_is_no_administrator_does_none_of_it(server: Server, bob: Account, name: str) -> None:
    browser = Browser(server)
    browser.sign_in(accounts.enrol(bob))
    fields = dict(browser.get("/").form("/logout").fields)
    for verb in ("quarantine", "release", "transfer", "take-down"):
        answer = browser.send("POST", f"/admin/packages/{name}/{verb}", fields | {"reason": WHY})
        assert answer.status == 404
    assert accounts.is_published(server, name)


def test_lists_are_in_pages_and_take_no_nonsense(server: Server) -> None:
    browser, _ = signed_in(server)
    assert browser.get("/admin/packages?state=odd").status == 400
    assert browser.get("/admin/packages?page=x").status == 400
    for path in ("/admin/packages", "/admin/users"):
        for text in ("%00", "x" * 257, "%ED%A0%80", "%0A"):
            assert browser.get(f"{path}?q=a{text}b").status in (200, 400), (path, text)
        assert browser.get(f"{path}?q=a%00b").status == 400
    assert "No package is like that." in browser.get("/admin/packages?q=no-such-thing-at-all").words
