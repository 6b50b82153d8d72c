"""Ten packages and one code, with each tool that publishes a monorepo: the continuation of security.md 2.1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.npm import monorepo
from tests.npm.monorepo import HEAVY_TOOLS, TOOLS, Tool
from tests.support import accounts, clients
from tests.support.accounts import Account
from tests.support.npm import Npm
from tests.support.server import Server

PARAMS = [
    *(pytest.param(tool, id=tool.name) for tool in TOOLS),
    *(pytest.param(tool, id=tool.name, marks=pytest.mark.long) for tool in HEAVY_TOOLS),
]
LATER = 180  # past the continuation, and near enough that the code is still known


@pytest.fixture
def tool(request: pytest.FixtureRequest) -> Tool:
    """The tool of this test, where it is installed."""
    found: Tool = request.param
    reason = clients.monorepo_missing() if found in HEAVY_TOOLS else None
    if reason is not None:
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes more than sixty new names in an hour: every test here makes ten."""
    with Server(tmp_path_factory.mktemp("roomy"), {"TWOKEY_LIMIT_NAMES": "1000"}) as server:
        yield server


@pytest.fixture(scope="module")
def author(roomy: Server) -> Account:
    """An account with two-factor authentication for auth-and-writes."""
    return accounts.enrol(accounts.sign_up(roomy))


@pytest.fixture
def names() -> list[str]:
    """Ten package names, in the order of the alphabet."""
    stem = accounts.fresh_name("many")
    return [f"{stem}-{letter}" for letter in "abcdefghij"]


@pytest.fixture
def npm(clients: None, tool: Tool, roomy: Server, author: Account, tmp_path: Path) -> Npm:
    """The npm that the tool calls, or is, signed in as the author."""
    found = Npm(tool.npm, roomy, tmp_path / "home")
    found.sign_in(author.token)
    return found


def _published(server: Server, names: list[str]) -> list[str]:
    return [name for name in names if accounts.is_published(server, name)]


@pytest.mark.parametrize("tool", PARAMS, indirect=True)
def test_one_code_publishes_ten_packages(
    tool: Tool, npm: Npm, author: Account, names: list[str], tmp_path: Path
) -> None:
    """Then it is spent: another credential of the same account does nothing with it."""
    other = accounts.log_in(author)
    monorepo.write(tmp_path / "root", names)
    code = author.fresh_code()
    result = tool.publish(npm, tmp_path / "root", [f"--otp={code}"])
    assert result.returncode == 0, result
    assert _published(author.server, names) == names
    again = accounts.publish(author, f"{names[0]}-again", token=other, otp=code)
    assert again.asks_for_a_code, again


@pytest.mark.parametrize("tool", PARAMS, indirect=True)
def test_without_a_code_nothing_is_published(
    tool: Tool, npm: Npm, author: Account, names: list[str], tmp_path: Path
) -> None:
    """The tool says what is missing, in its own words, and ends."""
    author.server.advance(LATER)
    monorepo.write(tmp_path / "root", names)
    result = tool.publish(npm, tmp_path / "root", [])
    assert result.returncode == 1, result
    assert tool.says_what_is_missing in result.text
    assert _published(author.server, names) == []


@pytest.mark.parametrize("tool", PARAMS, indirect=True)
def test_an_automation_token_publishes_ten_packages_without_a_code(
    tool: Tool, npm: Npm, author: Account, names: list[str], tmp_path: Path
) -> None:
    npm.sign_in(accounts.automation_token(author))
    monorepo.write(tmp_path / "root", names)
    result = tool.publish(npm, tmp_path / "root", [])
    assert result.returncode == 0, result
    assert _published(author.server, names) == names


BETWEEN = [param for param in PARAMS if param.values[0].between is not None]  # type: ignore[union-attr]


@pytest.mark.parametrize("tool", BETWEEN, indirect=True)
def test_a_code_that_goes_stale_midway_leaves_what_went_out(
    tool: Tool, npm: Npm, author: Account, names: list[str], tmp_path: Path
) -> None:
    """A script of the fifth or sixth package moves the clock past the continuation. The tool names the five that went
    out and why the sixth did not; with a fresh code the same command publishes the rest, where the tool can."""
    server, root = author.server, tmp_path / "root"
    code = author.fresh_code()
    assert tool.between is not None
    later = server.command_that_advances(LATER, tmp_path / "later")
    monorepo.write(root, names, script=(*tool.between, later))
    result = tool.publish(npm, root, [f"--otp={code}"])
    assert result.returncode == 1, result
    assert tool.says_what_is_missing in result.text
    if tool.name != "pnpm":  # it does not show what the server says
        assert "this code expired about" in result.text
    assert _published(server, names) == names[:5]
    said = [tool.says_published.format(name) for name in names]
    assert all(words in result.text for words in said[:5])
    server.advance(LATER)
    if tool.resume is None:
        return
    rest = tool.publish(npm, root, [*tool.resume, f"--otp={author.fresh_code()}"])
    assert rest.returncode == 0, rest
    assert _published(server, names) == names
