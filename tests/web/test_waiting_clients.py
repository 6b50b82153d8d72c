"""Clients that wait in a terminal while a person decides in a browser: `npm login`, `npm publish` with a security key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.support import accounts, clients, packages
from tests.support.accounts import Account
from tests.support.npm import Npm, Terminal
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
    binary = clients.pnpm() or pytest.skip("the lock has no pnpm for this platform")
    return npm.spawn_command([str(binary), *args], cwd=cwd)


def bun(npm: Npm, args: list[str], cwd: Path) -> Terminal:
    binary = clients.bun() or pytest.skip("the lock has no bun for this platform")
    return npm.spawn_command([str(binary), *args], cwd=cwd)


CLIENTS = {"npm12": (12, None), "npm11": (11, None), "npm10": (10, None), "pnpm": (12, pnpm), "bun": (12, bun)}
PUBLISHERS = pytest.mark.parametrize("client", list(CLIENTS))
LOGINS = pytest.mark.parametrize("client", ["npm12", "npm11", "npm10", "pnpm"])


@pytest.fixture
def make_npm(clients: None, server: Server, tmp_path: Path) -> Iterator[Callable[[int], Npm]]:
    """Makes clients, each with a home of its own; what still runs at the end is ended."""
    made: list[Npm] = []

    def make(version: int) -> Npm:
        made.append(Npm(version, server, tmp_path / f"home-{len(made)}"))
        return made[-1]

    yield make
    for npm in made:
        npm.close()


def begin(
    make_npm: Callable[[int], Npm], client: str, args: list[str], cwd: Path, token: str = ""
) -> tuple[Npm, Terminal]:
    """The command, in a terminal, of a client that has the login token already where one is given."""
    version, other = CLIENTS[client]
    npm = make_npm(version)
    if token:
        npm.sign_in(token)
    return npm, (other or npm_command(version))(npm, args, cwd)


def asked_for(terminal: Terminal) -> tuple[str, str]:
    """The address that the client shows, and the code to compare."""
    while not (found := PAGE.search(terminal.text)) or not CODE.search(terminal.text):
        assert terminal._read(), terminal.text
    assert not UUID.search(found[0]), "npm would mask it"
    code = CODE.search(terminal.text)
    assert code is not None
    return found[0], code[1]


@pytest.fixture
def keyed(server: Server, new_page: NewPage) -> tuple[Page, Account]:
    """A browser that is signed in, with the only second factor, a security key, plugged in; the account has a token."""
    page = new_page()
    VirtualKey(page, PLAIN)
    account = people.sign_up(page, server)
    account.token = accounts.log_in(account)
    register_first(page, account)
    return page, account


def is_logged_in(npm: Npm) -> str:
    return npm.run("whoami").stdout.strip()


@LOGINS
def test_login_through_the_browser(
    make_npm: Callable[[int], Npm], keyed: tuple[Page, Account], tmp_path: Path, client: str
) -> None:
    page, account = keyed
    npm, terminal = begin(make_npm, client, ["login"], tmp_path)
    address, code = asked_for(terminal)
    page.goto(address)
    expect(page.locator(".compare")).to_have_text(code)
    expect(page.get_by_text("the same as this browser's")).to_be_visible()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("heading", name="Approved").wait_for()
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert "Logged in" in text or "logged in" in text, text
    assert is_logged_in(npm) == account.name


@PUBLISHERS
def test_publish_approved_with_a_security_key(
    make_npm: Callable[[int], Npm], keyed: tuple[Page, Account], tmp_path: Path, client: str
) -> None:
    page, account = keyed
    name = accounts.fresh_name("core")
    folder = packages.write(tmp_path / "core", name)
    npm, terminal = begin(
        make_npm, client, ["publish", *(["--no-git-checks"] if client == "pnpm" else [])], folder, account.token
    )
    address, code = asked_for(terminal)
    page.goto(address)
    expect(page.get_by_role("heading", name=f"Approve: publish {name}")).to_be_visible()
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
