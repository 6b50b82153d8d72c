"""Publishing with a code from the app (S25 to S32), with every client that can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import ASKED, ENTER_OTP, TOKEN, assert_asked_for_a_code, assert_published, publish
from tests.npm.publishers import PUBLISHERS
from tests.support import accounts, packages
from tests.support.accounts import Account
from tests.support.npm import Npm


def test_publish_with_otp(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S25: `cd packages/core && npm publish --otp=CODE`; it is there at once."""
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "packages" / "core", package_name)
    result = publish(npm, folder, f"--otp={enrolled.fresh_code()}")
    assert_published(result, package_name)
    assert f"npm notice Publishing to {npm.server.url} with tag latest and default access\n" in result.stderr
    assert npm.run("view", package_name, "version").stdout == "1.0.0\n"


def test_publish_a_scoped_package(npm: Npm, enrolled: Account, tmp_path: Path) -> None:
    """S26: the same with a scope."""
    name = f"@{enrolled.name}/{accounts.fresh_name('core')}"
    npm.sign_in(enrolled.token)
    result = publish(npm, packages.write(tmp_path / "core", name), f"--otp={enrolled.fresh_code()}")
    assert_published(result, name)
    assert npm.run("view", name, "version").stdout == "1.0.0\n"


def test_publish_without_a_code_in_a_pipe(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S30: the client says what is missing; nothing is published."""
    npm.sign_in(enrolled.token)
    assert_asked_for_a_code(publish(npm, packages.write(tmp_path / "core", package_name)))
    assert not accounts.is_published(enrolled.server, package_name)


def test_publish_without_a_code_in_a_terminal(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S31, S59: the client asks, on the terminal and not in a browser."""
    npm.sign_in(enrolled.token)
    terminal = npm.spawn("publish", cwd=packages.write(tmp_path / "core", package_name))
    terminal.expect_text(f"{ASKED}\n{ENTER_OTP}")
    assert not accounts.is_published(enrolled.server, package_name)
    terminal.answer(enrolled.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"+ {package_name}@1.0.0" in text


def test_a_wrong_code_in_a_terminal(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S32: the reason, and the question; the right code then publishes."""
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    terminal = npm.spawn("publish", f"--otp={enrolled.wrong_code()}", cwd=folder)
    terminal.expect_text("npm notice Invalid OTP: ")
    terminal.expect_text(ENTER_OTP)
    terminal.answer(enrolled.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"+ {package_name}@1.0.0" in text


def test_two_wrong_codes_in_a_terminal(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S32: the second wrong one ends it."""
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    terminal = npm.spawn("publish", f"--otp={enrolled.wrong_code()}", cwd=folder)
    terminal.expect_text(ENTER_OTP)
    terminal.answer(enrolled.wrong_code())
    exit_code, text = terminal.finish()
    assert exit_code == 1
    assert "code EOTP" in text
    assert not accounts.is_published(enrolled.server, package_name)


def test_the_code_from_the_environment(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S32, S25: `NPM_CONFIG_OTP=CODE npm publish`; in a terminal, without a question."""
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    terminal = npm.spawn("publish", cwd=folder, env={"NPM_CONFIG_OTP": enrolled.fresh_code()})
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert ENTER_OTP not in text
    assert f"+ {package_name}@1.0.0" in text


def test_the_code_of_another_account(npm: Npm, enrolled: Account, changeable: Account, tmp_path: Path) -> None:
    """S27, S45: only the code of one's own app, and the notice says which one that is."""
    name = accounts.fresh_name("core")
    npm.sign_in(enrolled.token)
    result = publish(npm, packages.write(tmp_path / "core", name), f"--otp={changeable.fresh_code()}")
    assert_asked_for_a_code(result)
    assert f'npm notice Invalid OTP: use the code shown for "npm-twokey: {enrolled.name}"' in result.stderr
    assert not accounts.is_published(enrolled.server, name)


def test_npm_6_asks_too(make_npm: MakeNpm, enrolled: Account, tmp_path: Path) -> None:
    """The oldest client of the list: with `--otp`, and asked on the terminal."""
    npm = make_npm(6)
    npm.sign_in(enrolled.token)
    given, asked = accounts.fresh_name("core"), accounts.fresh_name("core")
    result = publish(npm, packages.write(tmp_path / "given", given), f"--otp={enrolled.fresh_code()}")
    assert_published(result, given)
    terminal = npm.spawn("publish", cwd=packages.write(tmp_path / "asked", asked))
    terminal.expect_text(ENTER_OTP)
    terminal.answer(enrolled.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"+ {asked}@1.0.0" in text


# -- other clients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["pnpm", "bun", "yarn1", "yarn4"])
def test_other_clients(make_npm: MakeNpm, enrolled: Account, package_name: str, tmp_path: Path, client: str) -> None:
    """S32: `publish --otp` of the others; a wrong code publishes nothing."""
    version, publish_with = PUBLISHERS[client]
    npm = make_npm(version)
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    assert publish_with(npm, folder, [f"--otp={enrolled.wrong_code()}"]).returncode != 0
    assert not accounts.is_published(enrolled.server, package_name)
    result = publish_with(npm, folder, [f"--otp={enrolled.fresh_code()}"])
    assert result.returncode == 0, result
    assert accounts.is_published(enrolled.server, package_name)


# -- what the server keeps to itself -------------------------------------------------------------------------------


def test_nothing_secret_is_logged(fresh_alice: Account, package_name: str) -> None:
    """S61: after a sign-up, an enrolment, a right and a wrong code, none of what was secret is in the log."""
    code, wrong = fresh_alice.fresh_code(), fresh_alice.wrong_code()
    automation = accounts.automation_token(fresh_alice)
    assert accounts.publish(fresh_alice, package_name, otp=wrong).asks_for_a_code
    assert accounts.publish(fresh_alice, package_name, otp=fresh_alice.recovery_codes[0]).status in (200, 201)
    known = [fresh_alice.password, fresh_alice.secret, fresh_alice.token, automation, *fresh_alice.recovery_codes]
    log = fresh_alice.server.log
    assert not [secret for secret in known if secret in log]
    assert not TOKEN.search(log)
    # Six digits may stand in a log for other reasons (a fraction of a second); as a word of their own they may not.
    assert not re.search(rf"(?<![\d.])({code}|{wrong})(?!\d)", log)
