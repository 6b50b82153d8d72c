"""The tokens page makes what it says, shows it once, rotates and revokes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import accounts
from tests.support.accounts import TOKENS, Account
from tests.support.pages import Browser
from tests.support.server import Server
from tests.support.wire import request
from tests.web.token_pages import NEW, PAGE, generate, secret_of

DAY = 86400


def listed(account: Account) -> list[dict[str, object]]:
    answer = account.ask("GET", TOKENS)
    return [each for each in answer.json["objects"] if each["kind"] != "login"]


def whoami(server: Server, token: str) -> int:
    return request(server, "GET", "/-/whoami", token=token).status


def test_each_kind_does_what_it_says(server: Server, alice: Account, browser: Browser) -> None:
    mine, other = accounts.fresh_name("core"), accounts.fresh_name("other")
    automation = secret_of(generate(browser, type="automation", name="ci"))
    assert accounts.publish(alice, mine, token=automation).status == 201
    assert accounts.publish(alice, other, token=automation).status == 201
    publish = secret_of(generate(browser, type="publish", name="laptop"))
    assert accounts.publish(alice, mine, "1.0.1", token=publish).asks_for_a_code
    assert accounts.publish(alice, mine, "1.0.1", token=publish, otp=alice.fresh_code()).status == 201
    reading = secret_of(generate(browser, type="read-only", name="installs"))
    assert accounts.publish(alice, mine, "1.0.2", token=reading).status == 403
    granular = secret_of(
        generate(browser, type="granular", name="core only", packages=mine, permission="read-write", bypass="yes")
    )
    assert accounts.publish(alice, mine, "1.0.3", token=granular).status == 201
    assert accounts.publish(alice, other, "1.0.3", token=granular).status == 403
    kinds = {each["name"]: each["kind"] for each in listed(alice)}
    assert kinds == {"ci": "automation", "laptop": "publish", "installs": "read-only", "core only": "granular"}


def test_the_secret_is_shown_once_with_the_line_that_sets_it(server: Server, browser: Browser) -> None:
    made = generate(browser, type="automation", name="ci")
    token = secret_of(made)
    assert f"npm set //{server.host}/:_authToken {token}" in made.words
    shown = browser.get(PAGE)
    assert token not in shown.html
    assert f"{token[:12]}…{token[-4:]}" in shown.words


def test_the_security_note_stands_on_the_form(browser: Browser) -> None:
    words = browser.get(NEW).words
    assert "bypass 2FA" in words
    assert "more convenient but less secure. Use them for CI/CD, not personal computers." in words


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Choose a kind"),
        ({"type": "root"}, "Choose a kind"),
        ({"type": "publish", "addresses": "everywhere"}, "address range"),
        ({"type": "publish", "days": "0"}, "number from 1"),
        ({"type": "publish", "days": "99999999"}, "number from 1"),
        ({"type": "publish", "days": "-1"}, "number from 1"),
        ({"type": "publish", "name": "x" * 65}, "name has 1 to 64"),
        ({"type": "granular", "packages": "Not_A Package/.."}, "package name"),
        ({"type": "granular", "packages": " ".join(f"p{n}" for n in range(60))}, "at most 50"),
        ({"type": "granular", "permission": "everything"}, "permission"),
    ],
)
def test_bad_input_is_told_and_kept_and_makes_nothing(
    browser: Browser, alice: Account, fields: dict[str, str], said: str
) -> None:
    page = generate(browser, **{"name": "what I typed", **fields})
    assert page.status == 400
    assert said in page.problem
    assert fields.get("name", "what I typed") in page.html
    assert listed(alice) == []


def test_a_life_longer_than_the_registry_allows_is_refused(tmp_path: Path) -> None:
    kinds = ("LOGIN", "PUBLISH", "AUTOMATION", "GRANULAR", "READ_ONLY", "MAXIMUM")
    with Server(tmp_path / "short", {f"TWOKEY_LIFETIME_{kind}": "30" for kind in kinds}) as server:
        account, browser = accounts.enrol(accounts.sign_up(server)), Browser(server)
        browser.sign_in(account)
        page = generate(browser, type="automation", name="ci", days="31")
        assert page.status == 400
        assert "at most 30 days" in page.problem
        assert listed(account) == []


def test_a_revoked_token_is_dead_on_the_next_request(server: Server, alice: Account, browser: Browser) -> None:
    token = secret_of(generate(browser, type="publish", name="laptop"))
    assert whoami(server, token) == 200
    key = str(listed(alice)[0]["key"])
    browser.get(PAGE)
    browser.submit(f"{PAGE}/revoke", key=key)
    assert whoami(server, token) == 401


@pytest.mark.parametrize(("hours", "after"), [("0", 401), ("1", 200)])
def test_a_rotated_token_ends_when_its_overlap_does(
    server: Server, alice: Account, browser: Browser, hours: str, after: int
) -> None:
    old = secret_of(generate(browser, type="automation", name="ci", addresses="127.0.0.0/8", days="90"))
    key = str(listed(alice)[0]["key"])
    browser.get(PAGE)
    new = secret_of(browser.submit(f"{PAGE}/rotate", key=key, overlap=hours))
    successor = next(each for each in listed(alice) if each["key"] != key)
    assert (successor["name"], successor["kind"], successor["cidr_whitelist"]) == ("ci", "automation", ["127.0.0.0/8"])
    assert (whoami(server, old), whoami(server, new)) == (after, 200)
    server.advance(3601)
    assert (whoami(server, old), whoami(server, new)) == (401, 200)


def test_a_token_is_rotated_once(alice: Account, browser: Browser) -> None:
    """A second time would count its days from the overlap."""
    generate(browser, type="automation", name="ci")
    key = str(listed(alice)[0]["key"])
    browser.get(PAGE)
    browser.submit(f"{PAGE}/rotate", key=key, overlap="24")
    browser.get(PAGE)
    again = browser.submit(f"{PAGE}/rotate", key=key, overlap="24")
    assert again.status == 400
    assert "rotated already" in again.words
    assert len(listed(alice)) == 2


@pytest.mark.parametrize("way", ["revoke", "rotate"])
def test_a_token_of_somebody_else_is_out_of_reach(server: Server, browser: Browser, way: str) -> None:
    bob = accounts.enrol(accounts.sign_up(server))
    token = accounts.automation_token(bob)
    key = str(listed(bob)[0]["key"])
    generate(browser, type="automation", name="mine")
    browser.get(PAGE)
    assert browser.submit(f"{PAGE}/{way}", key=key).status == 404
    assert whoami(server, token) == 200
    assert len(listed(bob)) == 1


def test_a_token_that_ends_soon_says_so_to_npm(server: Server, browser: Browser) -> None:
    token = secret_of(generate(browser, type="automation", name="ci", days="20"))
    assert request(server, "GET", "/-/whoami", token=token).notice == ""
    server.advance(6 * DAY)
    assert "ends in 14 days" in request(server, "GET", "/-/whoami", token=token).notice
    server.advance(13 * DAY)
    assert "ends in 1 day:" in request(server, "GET", "/-/whoami", token=token).notice
