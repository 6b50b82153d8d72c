"""Everything else that writes: asked for a code, and content with one for several requests (S28, S33)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import (
    ENTER_OTP,
    assert_asked_for_a_code,
    assert_owner_change_needs_a_code,
    assert_published,
    publish,
)
from tests.support import accounts, packages
from tests.support.accounts import Account
from tests.support.npm import Npm, Result
from tests.support.wire import request


@pytest.fixture
def package(enrolled: Account, package_name: str) -> str:
    """A package of the enrolled account with two versions, 1.0.0 and 2.0.0."""
    code = enrolled.fresh_code()
    for version in ("1.0.0", "2.0.0"):
        assert accounts.publish(enrolled, package_name, version, otp=code).status in (200, 201)
    enrolled.server.advance(200)  # past the continuation
    return package_name


@pytest.fixture
def signed_in(npm: Npm, enrolled: Account) -> Npm:
    """npm with the token of the enrolled account."""
    npm.sign_in(enrolled.token)
    return npm


def _ok(result: Result) -> str:
    assert result.returncode == 0, result
    return result.stdout


def _document(account: Account, name: str) -> dict[str, object]:
    answer = request(account.server, "GET", f"/{name}")
    assert answer.status == 200, answer
    document: dict[str, object] = answer.json
    return document


def _assert_asks(npm: Npm, account: Account, package: str, *command: str) -> None:
    """S33: with auth-and-writes the command is refused in a pipe for want of a code, and nothing changes."""
    account.server.advance(200)  # past the continuation of whatever the test has done
    before = _document(account, package)
    result = npm.run(*command)
    if command[0] == "owner":
        assert_owner_change_needs_a_code(result)
    else:
        assert_asked_for_a_code(result)
    assert _document(account, package) == before


def test_deprecate_and_undeprecate(signed_in: Npm, enrolled: Account, package: str) -> None:
    """A message on one version, and off again."""
    spec = f"{package}@1.0.0"
    _assert_asks(signed_in, enrolled, package, "deprecate", spec, "use 2")
    _ok(signed_in.run("deprecate", spec, "use 2", f"--otp={enrolled.fresh_code()}"))
    assert _ok(signed_in.run("view", spec, "deprecated")) == "use 2\n"
    assert _ok(signed_in.run("view", f"{package}@2.0.0", "deprecated")) == ""
    undo = ["undeprecate", spec] if signed_in.version >= 11 else ["deprecate", spec, ""]
    _assert_asks(signed_in, enrolled, package, *undo)
    _ok(signed_in.run(*undo, f"--otp={enrolled.fresh_code()}"))
    assert _ok(signed_in.run("view", spec, "deprecated")) == ""
    versions = _document(enrolled, package)["versions"]
    assert isinstance(versions, dict)
    assert "deprecated" not in versions["1.0.0"]


def test_dist_tags(signed_in: Npm, enrolled: Account, package: str) -> None:
    """Add, list, remove."""
    _assert_asks(signed_in, enrolled, package, "dist-tag", "add", f"{package}@1.0.0", "old")
    _ok(signed_in.run("dist-tag", "add", f"{package}@1.0.0", "old", f"--otp={enrolled.fresh_code()}"))
    assert set(_ok(signed_in.run("dist-tag", "ls", package)).splitlines()) == {"latest: 2.0.0", "old: 1.0.0"}
    assert _ok(signed_in.run("view", f"{package}@old", "version")) == "1.0.0\n"
    _assert_asks(signed_in, enrolled, package, "dist-tag", "rm", package, "old")
    _ok(signed_in.run("dist-tag", "rm", package, "old", f"--otp={enrolled.fresh_code()}"))
    assert _ok(signed_in.run("dist-tag", "ls", package)) == "latest: 2.0.0\n"


def test_owners(signed_in: Npm, enrolled: Account, alice: Account, package: str) -> None:
    """Add (asked for the code in the terminal), list, publish as the new one, remove; then publish no more."""
    _assert_asks(signed_in, enrolled, package, "owner", "add", alice.name, package)
    terminal = signed_in.spawn("owner", "add", alice.name, package)
    terminal.expect_text(ENTER_OTP)
    terminal.answer(enrolled.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"+ {alice.name} ({package})" in text
    listed = _ok(signed_in.run("owner", "ls", package)).splitlines()
    assert {line.split()[0] for line in listed} == {enrolled.name, alice.name}
    assert accounts.publish(alice, package, "3.0.0").status in (200, 201)
    _assert_asks(signed_in, enrolled, package, "owner", "rm", alice.name, package)
    _ok(signed_in.run("owner", "rm", alice.name, package, f"--otp={enrolled.fresh_code()}"))
    owners = _document(enrolled, package)["maintainers"]
    assert isinstance(owners, list)
    assert [owner["name"] for owner in owners] == [enrolled.name]
    assert accounts.publish(alice, package, "4.0.0").status == 403
    assert not accounts.is_published(enrolled.server, package, "4.0.0")


def test_unpublish_a_version(signed_in: Npm, enrolled: Account, package: str) -> None:
    """S28: two writes, one code. The version is gone, and its number is never taken again."""
    _assert_asks(signed_in, enrolled, package, "unpublish", f"{package}@2.0.0")
    result = signed_in.run("unpublish", f"{package}@2.0.0", f"--otp={enrolled.fresh_code()}")
    assert _ok(result) == f"- {package}@2.0.0\n"
    document = _document(enrolled, package)
    assert list(document["versions"]) == ["1.0.0"]  # type: ignore[call-overload]
    assert document["dist-tags"] == {"latest": "1.0.0"}
    assert request(enrolled.server, "GET", f"/{package}/-/{package}-2.0.0.tgz").status == 404
    again = accounts.publish(enrolled, package, "2.0.0", otp=enrolled.fresh_code())
    assert again.status == 403, again
    assert not accounts.is_published(enrolled.server, package, "2.0.0")


def test_unpublish_a_package(signed_in: Npm, enrolled: Account, package: str) -> None:
    """All of it, with --force."""
    _assert_asks(signed_in, enrolled, package, "unpublish", package, "--force")
    result = signed_in.run("unpublish", package, "--force", f"--otp={enrolled.fresh_code()}")
    assert _ok(result) == f"- {package}\n"
    assert request(enrolled.server, "GET", f"/{package}").status == 404
    assert request(enrolled.server, "GET", f"/{package}/-/{package}-1.0.0.tgz").status == 404


def test_publish_several_workspaces(signed_in: Npm, enrolled: Account, tmp_path: Path) -> None:
    """S28: `npm publish -w a -w b --otp=CODE`."""
    first, second = accounts.fresh_name("core"), accounts.fresh_name("core")
    root = packages.write_workspaces(tmp_path / "root", [first, second])
    result = publish(signed_in, root, "-w", first, "-w", second, f"--otp={enrolled.fresh_code()}")
    assert_published(result, first)
    assert_published(result, second)


def test_revoke_several_tokens(signed_in: Npm, enrolled: Account) -> None:
    """S28, S33, S38: `npm token revoke A B --otp=CODE`; without a code they stay alive."""
    tokens = [accounts.log_in(enrolled), accounts.log_in(enrolled)]
    assert_asked_for_a_code(signed_in.run("token", "revoke", *tokens))
    for token in tokens:
        assert request(enrolled.server, "GET", "/-/whoami", token=token).status == 200
    result = signed_in.run("token", "revoke", *tokens, f"--otp={enrolled.fresh_code()}")
    assert _ok(result) == "Removed 2 tokens\n"
    for token in tokens:
        assert request(enrolled.server, "GET", "/-/whoami", token=token).status == 401


def test_reading_asks_for_nothing(signed_in: Npm, enrolled: Account, package: str, tmp_path: Path) -> None:
    """S33: install, view, pack, whoami, ping, token list, profile get."""
    project = packages.write(tmp_path / "project", "project", private=True)
    _ok(signed_in.run("install", package, cwd=project))
    assert (project / "node_modules" / package / "package.json").is_file()
    packed = _ok(signed_in.run("pack", f"{package}@1.0.0", cwd=tmp_path))
    assert (tmp_path / packed.strip()).is_file()
    assert _ok(signed_in.run("view", package, "versions", "--json")).split() == ["[", '"1.0.0",', '"2.0.0"', "]"]
    assert _ok(signed_in.run("whoami")) == f"{enrolled.name}\n"
    assert "PONG" in signed_in.run("ping").stderr
    assert enrolled.token[:12] in _ok(signed_in.run("token", "list"))
    assert enrolled.name in _ok(signed_in.run("profile", "get", "name"))


def test_installing_needs_no_account(npm: Npm, package: str, tmp_path: Path) -> None:
    """A stranger reads what is public, and the lock's integrity holds."""
    project = packages.write(tmp_path / "project", "project", private=True)
    _ok(npm.run("install", f"{package}@1.0.0", cwd=project))
    lock = (project / "package-lock.json").read_text(encoding="utf-8")
    assert f"{npm.server.url}{package}/-/{package}-1.0.0.tgz" in lock
    assert "sha512-" in lock
    _ok(npm.run("ci", cwd=project))


def test_a_stranger_writes_nothing(npm: Npm, alice: Account, package: str, tmp_path: Path) -> None:
    """Somebody else's package: refused, with or without an account."""
    folder = packages.write(tmp_path / "core", package, "3.0.0")
    assert publish(npm, folder).returncode == 1
    npm.sign_in(alice.token)
    result = publish(npm, folder)
    assert result.returncode == 1
    assert "403" in result.stderr
    assert not accounts.is_published(npm.server, package, "3.0.0")


def test_auth_only_writes_without_a_code(make_npm: MakeNpm, alice: Account, package_name: str, tmp_path: Path) -> None:
    """S33: with auth-only packages are written as without 2FA; the account and its tokens are not."""
    accounts.enrol(alice, "auth-only")
    npm = make_npm(12)
    npm.sign_in(alice.token)
    assert_published(publish(npm, packages.write(tmp_path / "core", package_name)), package_name)
    _ok(npm.run("deprecate", f"{package_name}@1.0.0", "old"))
    _ok(npm.run("dist-tag", "add", f"{package_name}@1.0.0", "old"))
    assert_asked_for_a_code(npm.run("profile", "set", "fullname", "Bob"))
    assert not alice.profile()["fullname"]
    assert_asked_for_a_code(npm.run("token", "create", f"--password={alice.password}"))
    document = accounts.user_document(alice.name, alice.password)
    assert request(alice.server, "PUT", accounts.user_path(alice.name), body=document).asks_for_a_code
