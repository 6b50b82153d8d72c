"""Clients that wait in a terminal while a person decides in a browser: a login, a publish with a security key.

pnpm takes nothing but a token for an answer: told no, it waits until its own five minutes are over.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.npm.conftest import MakeNpm
from tests.support import accounts, clients, packages
from tests.support.accounts import Account
from tests.support.npm import PATIENCE, Npm, Terminal
from tests.support.server import Server
from tests.web import people
from tests.web.conftest import NewPage
from tests.web.security_keys import PLAIN, VirtualKey
from tests.web.test_security_keys import register_first

PAGE = re.compile(r"http://\S+/(?:login|auth)/cli/[0-9A-Za-z]{43}")
CODE = re.compile(r"only if its page shows ([A-Z0-9]{4}-[A-Z0-9]{4})")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

Command = Callable[[Npm, list[str], Path], Terminal]


def npm_command(version: int) -> Command:
    """That npm."""
    return lambda npm, args, cwd: npm.spawn(*args, cwd=cwd)


def pnpm(npm: Npm, args: list[str], cwd: Path) -> Terminal:
    return npm.spawn_command([clients.pnpm_or_skip(), *args], cwd=cwd)


def bun(npm: Npm, args: list[str], cwd: Path) -> Terminal:
    return npm.spawn_command([clients.bun_or_skip(), *args], cwd=cwd)


CLIENTS = {"npm12": (12, None), "npm11": (11, None), "npm10": (10, None), "pnpm": (12, pnpm), "bun": (12, bun)}
PUBLISHERS = pytest.mark.parametrize("client", list(CLIENTS))
LOGINS = pytest.mark.parametrize("client", ["npm12", "npm11", "npm10", "pnpm"])
# npm 11 and 10 share the code that waits with npm 12: what does not end well is held with them in the long tests.
LONG = [pytest.param(each, marks=pytest.mark.long) for each in ("npm11", "npm10")]
SOME_PUBLISHERS = pytest.mark.parametrize("client", ["npm12", "bun", *LONG])
SOME_LOGINS = pytest.mark.parametrize("client", ["npm12", *LONG])


def begin(make_npm: MakeNpm, client: str, args: list[str], cwd: Path, token: str = "") -> tuple[Npm, Terminal]:
    """The command, in a terminal, of a client that has the login token already where one is given."""
    version, _ = CLIENTS[client]
    npm = make_npm(version)
    if token:
        npm.sign_in(token)
    return npm, begin_again(npm, client, args, cwd)


def begin_again(npm: Npm, client: str, args: list[str], cwd: Path) -> Terminal:
    """Another command of the same client in the same home."""
    version, other = CLIENTS[client]
    return (other or npm_command(version))(npm, args, cwd)


def asked_for(terminal: Terminal) -> tuple[str, str | None]:
    """The address that the client shows, and the code to compare, which pnpm keeps to itself where it publishes."""
    terminal.expect_text("/cli/")
    terminal.expect_text("\n")
    found = PAGE.search(terminal.text)
    assert found is not None, terminal.text
    assert not UUID.search(found[0]), "npm would mask it"
    code = CODE.search(terminal.text)
    return found[0], code[1] if code else None


@pytest.fixture
def keyed(server: Server, new_page: NewPage) -> tuple[Page, Account]:
    """A browser that is signed in, with the only second factor, a security key, plugged in; the account has a token."""
    page = new_page()
    VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    account.token = accounts.log_in(account)
    register_first(page, account)
    return page, account


@LOGINS
def test_login_through_the_browser(make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path, client: str) -> None:
    page, account = keyed
    npm, terminal = begin(make_npm, client, ["login"], tmp_path)
    address, code = asked_for(terminal)
    page.goto(address)
    assert code is not None
    expect(page.locator(".compare")).to_have_text(code)
    expect(page.get_by_text("the same as this browser's")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="Approved").wait_for()
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert "Logged in" in text or "logged in" in text, text
    whoami = begin_again(npm, client, ["whoami"], tmp_path)
    assert whoami.finish() == (0, f"{account.name}\n")


def publish(make_npm: MakeNpm, client: str, account: Account, folder: Path) -> Terminal:
    """That client's publish of `folder`, in a terminal, with the account's login token."""
    extra = ["--no-git-checks"] if client == "pnpm" else []
    return begin(make_npm, client, ["publish", *extra], folder, account.token)[1]


@PUBLISHERS
def test_publish_approved_with_a_security_key(
    make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path, client: str
) -> None:
    page, account = keyed
    name = accounts.fresh_name("core")
    terminal = publish(make_npm, client, account, packages.write(tmp_path / "core", name))
    address, code = asked_for(terminal)
    page.goto(address)
    expect(page.get_by_role("heading", name=f"Approve: publish {name}")).to_be_visible()
    assert code or client == "pnpm"
    if code:
        expect(page.locator(".compare")).to_have_text(code)
    assert not accounts.is_published(account.server, name)
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Use security key").click()
    page.get_by_role("heading", name="Approved").wait_for()
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert accounts.is_published(account.server, name)
    page.goto(f"/package/{name}")
    expect(page.get_by_text("security key")).to_be_visible()


@SOME_PUBLISHERS
def test_a_denied_publish_ends_with_the_reason(
    make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path, client: str
) -> None:
    page, account = keyed
    name = accounts.fresh_name("core")
    terminal = publish(make_npm, client, account, packages.write(tmp_path / "core", name))
    page.goto(asked_for(terminal)[0])
    page.get_by_role("button", name="Deny").click()
    page.get_by_role("heading", name="Denied").wait_for()
    exit_code, text = terminal.finish()
    assert exit_code != 0, text
    assert "denied in the browser" in text or client == "bun", text
    assert not accounts.is_published(account.server, name)


@SOME_LOGINS
def test_a_denied_login_ends_without_a_token(
    make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path, client: str
) -> None:
    page, _ = keyed
    npm, terminal = begin(make_npm, client, ["login"], tmp_path)
    page.goto(asked_for(terminal)[0])
    page.get_by_role("button", name="Deny").click()
    page.get_by_role("heading", name="Denied").wait_for()
    exit_code, text = terminal.finish()
    assert exit_code != 0, text
    assert "Username:" not in text, "npm must not go on and ask for the password"
    assert npm.token() is None
    assert "denied in the browser" in text, text


def test_pnpm_gets_nothing_where_it_was_denied(make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path) -> None:
    page, account = keyed
    name = accounts.fresh_name("core")
    terminal = publish(make_npm, "pnpm", account, packages.write(tmp_path / "core", name))
    page.goto(asked_for(terminal)[0])
    polled = account.server.log.count("/-/v1/done")
    page.get_by_role("button", name="Deny").click()
    page.get_by_role("heading", name="Denied").wait_for()
    deadline = time.monotonic() + PATIENCE
    while account.server.log.count("/-/v1/done") <= polled + 1 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert account.server.log.count("/-/v1/done") > polled + 1, "pnpm asks no more"
    assert not accounts.is_published(account.server, name)
    terminal.interrupt()
    assert terminal.finish()[0] != 0


@SOME_PUBLISHERS
def test_a_publish_that_nobody_approves_ends(
    make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path, client: str, complaints: list[str]
) -> None:
    page, account = keyed
    name = accounts.fresh_name("core")
    terminal = publish(make_npm, client, account, packages.write(tmp_path / "core", name))
    address, _ = asked_for(terminal)
    account.server.advance(5 * 60)
    exit_code, text = terminal.finish()
    assert exit_code != 0, text
    assert not accounts.is_published(account.server, name)
    page.goto(address)
    expect(page.get_by_text("repeat the command in the terminal")).to_be_visible()
    complaints[:] = [each for each in complaints if "400" not in each]


@SOME_LOGINS
def test_a_login_that_nobody_approves_ends(make_npm: MakeNpm, server: Server, tmp_path: Path, client: str) -> None:
    npm, terminal = begin(make_npm, client, ["login"], tmp_path)
    asked_for(terminal)
    server.advance(5 * 60)
    exit_code, text = terminal.finish()
    assert exit_code != 0, text
    assert "Username:" not in text
    assert npm.token() is None


def test_another_users_approval_yields_that_users_token(
    make_npm: MakeNpm, keyed: tuple[Page, Account], new_page: NewPage, tmp_path: Path
) -> None:
    _, account = keyed
    npm, terminal = begin(make_npm, "npm12", ["login"], tmp_path)
    address, _ = asked_for(terminal)
    other = new_page()
    bob = people.sign_up(other, account.server)
    other.goto(address)
    expect(other.get_by_role("heading", name=f"A terminal wants to log in as {bob.name}")).to_be_visible()
    other.get_by_role("button", name="Approve").click()
    expect(other.get_by_text(f"a login token of {bob.name}")).to_be_visible()
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert begin_again(npm, "npm12", ["whoami"], tmp_path).finish() == (0, f"{bob.name}\n")


def test_another_user_cannot_approve_a_publish(
    make_npm: MakeNpm, keyed: tuple[Page, Account], new_page: NewPage, tmp_path: Path,
    complaints: list[str],
) -> None:  # fmt: skip
    page, account = keyed
    name = accounts.fresh_name("core")
    terminal = publish(make_npm, "npm12", account, packages.write(tmp_path / "core", name))
    address, _ = asked_for(terminal)
    other = new_page()
    people.sign_up(other, account.server)
    other.goto(address)
    expect(other.get_by_text("This was asked of another account")).to_be_visible()
    assert other.get_by_role("button", name="Approve").count() == 0
    page.goto(address)
    page.get_by_role("button", name="Deny").click()
    assert terminal.finish()[0] != 0
    assert not accounts.is_published(account.server, name)
    complaints[:] = [each for each in complaints if "403" not in each]


def test_five_minutes_of_publishes_are_allowed_with_this_token_and_no_other(
    make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path
) -> None:
    page, account = keyed
    names = [accounts.fresh_name("core") for _ in range(3)]
    folders = [packages.write(tmp_path / name, name) for name in names]
    terminal = publish(make_npm, "npm12", account, folders[0])
    page.goto(asked_for(terminal)[0])
    page.get_by_label("Allow publishes with this token from this address for 5 minutes").check()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("button", name="Use security key").click()
    page.get_by_role("heading", name="Approved").wait_for()
    assert terminal.finish()[0] == 0
    account.server.advance(4 * 60)
    exit_code, text = publish(make_npm, "npm12", account, folders[1]).finish()
    assert exit_code == 0, text
    page.goto("/settings/~/security")
    expect(page.get_by_text("account:allowance:open")).to_be_visible()
    account.server.advance(61)
    result = make_npm(12)
    result.sign_in(account.token)
    refused = result.run("publish", cwd=folders[2])
    assert refused.returncode != 0
    assert not accounts.is_published(account.server, names[2])


def test_whoever_has_both_kinds_is_asked_at_the_prompt_until_they_choose_the_browser(
    make_npm: MakeNpm, keyed: tuple[Page, Account], tmp_path: Path
) -> None:
    page, account = keyed
    page.goto("/settings/~/2fa")
    page.get_by_role("button", name="Add authenticator app").click()
    page.get_by_role("button", name="Use security key").click()
    account.secret = page.locator("#key").inner_text().replace(" ", "").strip()
    page.get_by_label("One-time password").fill(account.code())
    page.get_by_role("button", name="Add this authenticator").click()
    page.get_by_text("The authenticator is added").wait_for()
    names = [accounts.fresh_name("core") for _ in range(2)]
    folders = [packages.write(tmp_path / name, name) for name in names]
    terminal = publish(make_npm, "npm12", account, folders[0])
    terminal.expect_text("Enter OTP:")
    terminal.answer(account.fresh_code())
    assert terminal.finish()[0] == 0
    page.goto("/settings/~/2fa")
    page.get_by_label("Ask in the browser").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Use security key").click()
    page.get_by_text("Clients that can will ask in the browser").wait_for()
    terminal = publish(make_npm, "npm12", account, folders[1])
    page.goto(asked_for(terminal)[0])
    page.get_by_role("button", name="Approve").click()
    page.get_by_label("One-time password").fill(account.fresh_code())
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Approved").wait_for()
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert accounts.is_published(account.server, names[1])


def test_a_client_that_cannot_wait_is_told_what_to_do(
    keyed: tuple[Page, Account], make_npm: MakeNpm, tmp_path: Path
) -> None:
    """npm 6 knows no page: a recovery code is typed at its prompt."""
    _, account = keyed
    name = accounts.fresh_name("core")
    npm = make_npm(6)
    npm.sign_in(account.token)
    folder = packages.write(tmp_path / "core", name)
    answer = account.ask("PUT", f"/{name}", body=accounts.publish_document(name, "1.0.0"))
    assert answer.status == 401
    assert "security keys only" in answer.json["error"]
    assert "authUrl" not in answer.json
    terminal = npm.spawn("publish", cwd=folder)
    terminal.expect_text("Enter OTP:")
    terminal.answer(account.recovery_codes[0].replace("-", " "))
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert accounts.is_published(account.server, name)
