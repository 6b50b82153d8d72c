"""A token made on the page has the limits that were typed, keeps them when rotated, and its secret is shown nowhere."""

from __future__ import annotations

import pytest

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.pages import Browser, Page
from tests.support.server import Server
from tests.support.wire import Answer, request
from tests.web.token_pages import PAGE, generate, secret_of

DAY = 86400
PAGES = ("profile", "password", "sessions", "security", "packages", "2fa", "tokens", "tokens/new")
TYPED = {
    "type": "granular",
    "name": "release of core",
    "days": "30",
    "addresses": "127.0.0.0/8",
    "packages": "left-pad",
    "scopes": "@acme",
    "permission": "read-only",
    "bypass": "yes",
}


def listed(account: Account) -> dict[str, dict[str, object]]:
    """The tokens that are no login tokens, by key."""
    answer = account.ask("GET", accounts.TOKENS)
    assert answer.status == 200, answer
    return {each["key"]: each for each in answer.json["objects"] if each["kind"] != "login"}


def whoami(server: Server, token: str, source: str = "127.0.0.1") -> Answer:
    return request(server, "GET", "/-/whoami", token=token, source=source)


def rotate(browser: Browser, key: str, overlap: str) -> Page:
    browser.get(PAGE)
    return browser.submit(f"{PAGE}/rotate", key=key, overlap=overlap)


def test_npm_lists_a_token_with_the_limits_that_were_typed(alice: Account, browser: Browser) -> None:
    secret_of(generate(browser, **TYPED))
    (made,) = listed(alice).values()
    assert (made["kind"], made["name"], made["cidr_whitelist"]) == ("granular", "release of core", ["127.0.0.0/8"])
    words = browser.get(PAGE).words
    assert "read-only on left-pad, @acme." in words
    assert "Only from 127.0.0.0/8." in words
    assert "bypasses 2FA" in words


def test_a_granular_token_without_the_bypass_is_asked_for_a_code(alice: Account, browser: Browser) -> None:
    name = accounts.fresh_name("core")
    token = secret_of(generate(browser, type="granular", name="core", packages=name, permission="read-write"))
    assert accounts.publish(alice, name, token=token).asks_for_a_code
    assert not accounts.is_published(alice.server, name)
    assert accounts.publish(alice, name, token=token, otp=alice.fresh_code()).status == 201


def test_a_granular_token_that_only_reads_publishes_nothing(alice: Account, browser: Browser) -> None:
    name = accounts.fresh_name("core")
    limits = {"packages": name, "permission": "read-only", "bypass": "yes"}
    token = secret_of(generate(browser, type="granular", name="core", **limits))
    assert accounts.publish(alice, name, token=token, otp=alice.fresh_code()).status == 403
    assert not accounts.is_published(alice.server, name)


def test_a_token_is_refused_from_another_address_than_those_typed(server: Server, browser: Browser) -> None:
    token = secret_of(generate(browser, type="publish", name="laptop", addresses="127.0.0.1, 127.0.1.0/24"))
    sources = ("127.0.0.1", "127.0.1.9", "127.0.0.2")
    assert [whoami(server, token, source).status for source in sources] == [200, 200, 401]


def test_a_token_ends_after_the_days_typed(server: Server, browser: Browser) -> None:
    token = secret_of(generate(browser, type="publish", name="laptop", days="2"))
    server.advance(2 * DAY - 60)
    assert whoami(server, token).status == 200
    server.advance(60)
    assert whoami(server, token).status == 401


def test_a_secret_is_on_no_later_page_and_not_in_the_log(server: Server, browser: Browser) -> None:
    tokens = [secret_of(generate(browser, type=kind, name=kind)) for kind in ("automation", "publish")]
    for page in PAGES:
        found = browser.get(f"/settings/~/{page}")
        assert found.status == 200
        assert [token for token in tokens if token in found.html] == [], page
    assert [token for token in tokens if token in server.log] == []


@pytest.mark.parametrize("wrong", [{"days": "0"}, {"addresses": "everywhere"}, {"packages": "Not_A Package/.."}])
def test_everything_typed_is_kept_where_one_thing_is_wrong(
    alice: Account, browser: Browser, wrong: dict[str, str]
) -> None:
    typed = {**TYPED, **wrong}
    page = generate(browser, **typed)
    assert page.status == 400
    kept = dict(page.form(PAGE).fields)
    assert {name: kept.get(name) for name in typed} == typed
    assert listed(alice) == {}
    right = browser.submit(PAGE, **{name: TYPED[name] for name in wrong})
    secret_of(right)
    assert [each["name"] for each in listed(alice).values()] == ["release of core"]


@pytest.mark.parametrize(("overlap", "hours"), [("1", 1), ("24", 24), ("168", 168)])
def test_the_old_one_works_until_the_overlap_ends_and_its_successor_has_its_limits(
    server: Server, alice: Account, browser: Browser, overlap: str, hours: int
) -> None:
    old = secret_of(generate(browser, **TYPED))
    ((key, before),) = listed(alice).items()
    new = secret_of(rotate(browser, key, overlap))
    (successor,) = (each for other, each in listed(alice).items() if other != key)
    own = {"key", "token", "created", "updated", "expires", "expiry", "last_used", "accessed", "revoked", "rotated"}
    assert {name: value for name, value in successor.items() if name not in own} == {
        name: value for name, value in before.items() if name not in own
    }
    server.advance(hours * 3600 - 60)
    assert [whoami(server, each).status for each in (old, new)] == [200, 200]
    server.advance(60)
    assert [whoami(server, each).status for each in (old, new)] == [401, 200]


def test_an_overlap_makes_no_token_live_longer_than_it_was_made_for(
    server: Server, alice: Account, browser: Browser
) -> None:
    old = secret_of(generate(browser, type="publish", name="laptop", days="1"))
    (key,) = listed(alice)
    secret_of(rotate(browser, key, "168"))
    server.advance(DAY)
    assert whoami(server, old).status == 401


@pytest.mark.parametrize("overlap", ["2", "-1", "1000000", "x"])
def test_an_overlap_that_is_not_offered_rotates_nothing(
    server: Server, alice: Account, browser: Browser, overlap: str
) -> None:
    old = secret_of(generate(browser, type="publish", name="laptop"))
    (key,) = listed(alice)
    assert rotate(browser, key, overlap).status == 400
    assert list(listed(alice)) == [key]
    assert whoami(server, old).status == 200


def test_a_login_token_is_not_rotated(server: Server, alice: Account, browser: Browser) -> None:
    generate(browser, type="publish", name="laptop")
    found = alice.ask("GET", accounts.TOKENS).json["objects"]
    login = next(each["key"] for each in found if each["kind"] == "login")
    page = rotate(browser, login, "0")
    assert page.status == 400
    assert "npm login" in page.words
    assert len(alice.ask("GET", accounts.TOKENS).json["objects"]) == len(found)
