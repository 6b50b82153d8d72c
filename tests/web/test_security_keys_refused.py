"""What a security key's answer does not prove is refused, in a real browser, and leaves nobody signed in."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.accounts import Account
from tests.support.server import Server
from tests.web import people
from tests.web.conftest import NewPage
from tests.web.security_keys import PASSKEY, PLAIN, VirtualKey
from tests.web.test_security_keys import begin_sign_in, register_first, sign_out

ASK = """async (options) => {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey });
  return JSON.stringify(credential.toJSON());
}"""
CHALLENGE = """async () => {
  const csrf = document.querySelector("form[data-security-key] [name=csrf]").value;
  const answer = await fetch("/security-key/challenge", { method: "POST", body: new URLSearchParams({ csrf }) });
  return answer.json();
}"""
SEND = """(answer) => {
  const form = document.querySelector("form[data-security-key]");
  form.elements.security_key.value = answer;
  form.submit();
}"""


@pytest.fixture
def keyed(server: Server, new_page: NewPage, complaints: list[str]) -> tuple[Page, Account, VirtualKey]:
    """A browser with a plain key that is the account's only second factor; signed out, its password just shown."""
    page = new_page()
    key = VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    register_first(page, account)
    sign_out(page)
    begin_sign_in(page, account)
    return page, account, key


def refused(page: Page, answer: str, because: str, complaints: list[str]) -> None:
    """The answer is sent, refused for that reason, and nobody is signed in."""
    page.evaluate(SEND, answer)
    expect(page.get_by_role("alert")).to_contain_text(because)
    page.goto("/settings/~/profile")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    complaints[:] = [each for each in complaints if "401" not in each]


def test_an_answer_given_on_another_origin(
    server: Server, keyed: tuple[Page, Account, VirtualKey], complaints: list[str], tmp_path_factory: Any
) -> None:
    """The same host at another port is another site, though the key belongs to the host."""
    page, _, _ = keyed
    options = page.evaluate(CHALLENGE)
    with Server(tmp_path_factory.mktemp("other")) as other:
        page.goto(f"{other.url}guide")
        answer = page.evaluate(ASK, options)
    page.goto("/login")
    refused(page, answer, "does not fit what it was asked", complaints)


def test_the_key_of_another_user(
    server: Server, keyed: tuple[Page, Account, VirtualKey], new_page: NewPage, complaints: list[str]
) -> None:
    page, _, _ = keyed
    options = page.evaluate(CHALLENGE)
    theirs = new_page()
    their_key = VirtualKey(theirs, PLAIN)
    bob = people.sign_up(theirs, server)
    register_first(theirs, bob)
    credential = their_key.credentials()[0]
    wanted = {"type": "public-key", "id": as_base64url(credential["credentialId"])}
    answer = theirs.evaluate(ASK, {**options, "allowCredentials": [wanted]})
    refused(page, answer, "not one of this account", complaints)


def test_an_answer_that_was_used_before(keyed: tuple[Page, Account, VirtualKey], complaints: list[str]) -> None:
    page, account, _ = keyed
    answer = page.evaluate(ASK, page.evaluate(CHALLENGE))
    page.evaluate(SEND, answer)
    page.wait_for_url("**/settings/**")
    sign_out(page)
    begin_sign_in(page, account)
    refused(page, answer, "was used before", complaints)


def test_a_counter_that_shrinks(server: Server, keyed: tuple[Page, Account, VirtualKey], complaints: list[str]) -> None:
    """A copy of the key knows of fewer signatures than the registry has seen."""
    page, account, key = keyed
    page.get_by_role("button", name="Use security key").click()
    page.wait_for_url("**/settings/**")
    sign_out(page)
    key.set(key.credentials()[0], signCount=0)
    begin_sign_in(page, account)
    refused(page, page.evaluate(ASK, page.evaluate(CHALLENGE)), "its counter did not grow", complaints)
    trail = server.admin("audit", "list")
    assert "account:security-key:counter" in trail.stdout, trail


def test_a_passkey_that_did_not_verify_its_user(server: Server, new_page: NewPage, complaints: list[str]) -> None:
    """Without a password the key has to know who holds it: the browser refuses, and so does the registry."""
    page = new_page()
    key = VirtualKey(page, PASSKEY)
    account = people.sign_up(page, server)
    register_first(page, account)
    sign_out(page)
    page.goto("/login")
    options = page.evaluate(CHALLENGE)
    key.verifies(False)
    page.get_by_role("button", name="Use security key").click()
    expect(page.get_by_role("alert")).to_contain_text("did not answer")
    answer = page.evaluate(ASK, {**options, "userVerification": "discouraged"})
    refused(page, answer, "does not fit what it was asked", complaints)


def test_at_an_ip_address_the_page_says_why_there_are_no_keys(server: Server, new_page: NewPage) -> None:
    page = new_page(base_url=server.url.replace("localhost", "127.0.0.1"))
    people.sign_up(page, server)
    page.goto("/settings/~/2fa")
    expect(page.get_by_text("Security keys need a host name")).to_be_visible()
    assert page.get_by_role("button", name="Add security key").count() == 0


def as_base64url(text: str) -> str:
    """Base64 as the driver writes it, in WebAuthn's alphabet."""
    return text.replace("+", "-").replace("/", "_").rstrip("=")
