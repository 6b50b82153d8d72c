"""The way back without the phone (S23, S24): each recovery code once, wherever a code is asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import (
    ENTER_OTP,
    PASSWORD,
    asks_up_front,
    assert_asked_for_a_code,
    assert_published,
    log_in,
    publish,
)
from tests.support import accounts, packages
from tests.support.accounts import PROFILE, Account
from tests.support.npm import Npm


@pytest.mark.parametrize("form", ["{0} {1} {2}", "{0}{1}{2}"], ids=["with spaces", "digits"])
def test_typed_at_the_prompt(
    npm: Npm, changeable: Account, unused: str, package_name: str, tmp_path: Path, form: str
) -> None:
    """S23: npm's question takes digits and spaces only, so that is what the codes are made of."""
    npm.sign_in(changeable.token)
    terminal = npm.spawn("publish", cwd=packages.write(tmp_path / "core", package_name))
    terminal.expect_text(ENTER_OTP)
    terminal.answer(form.format(*unused.split("-")))
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"+ {package_name}@1.0.0" in text


def test_using_one_says_how_many_are_left(changeable: Account, unused: str, package_name: str) -> None:
    """S23: at once, where it was used; who is told nothing finds out when there is none."""
    answer = accounts.publish(changeable, package_name, otp=unused)
    assert answer.status in (200, 201), answer
    assert re.search(rf"\b{len(changeable.recovery_codes)}\b.* left", answer.notice), answer


def test_on_the_command_line(npm: Npm, changeable: Account, unused: str, tmp_path: Path) -> None:
    """S23: `--otp=1234-5678-9012`; the second time it is refused like any wrong code."""
    npm.sign_in(changeable.token)
    first, second = accounts.fresh_name("core"), accounts.fresh_name("core")
    assert_published(publish(npm, packages.write(tmp_path / "first", first), f"--otp={unused}"), first)
    npm.server.advance(200)  # the same token may go on publishing with it for two minutes
    again = publish(npm, packages.write(tmp_path / "second", second), f"--otp={unused}")
    assert_asked_for_a_code(again)
    assert "npm notice Invalid OTP: " in again.stderr
    assert not accounts.is_published(changeable.server, second)


def test_disabling_with_one(npm: Npm, fresh_alice: Account) -> None:
    """S24: `npm profile disable-2fa --otp=CODE`, for those who lost the phone; S54: as JSON."""
    npm.sign_in(fresh_alice.token)
    terminal = npm.spawn("profile", "disable-2fa", "--json", f"--otp={fresh_alice.recovery_codes[9]}")
    terminal.expect_text(PASSWORD)
    terminal.answer(fresh_alice.password)
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert json.loads(text.partition(PASSWORD)[2]) == {"tfa": False}
    assert fresh_alice.profile()["tfa"] in (None, False)


@pytest.mark.parametrize("version", [12, 10])
def test_disabling_asks_and_takes_one(make_npm: MakeNpm, fresh_alice: Account, version: int) -> None:
    """S24: typed where npm asks, before or after it has sent the password."""
    npm = make_npm(version)
    npm.sign_in(fresh_alice.token)
    terminal = npm.spawn("profile", "disable-2fa")
    terminal.expect_text(PASSWORD)
    terminal.answer(fresh_alice.password)
    terminal.expect_text("Enter one-time password:" if asks_up_front(npm) else ENTER_OTP)
    terminal.answer(fresh_alice.recovery_codes[0].replace("-", ""))
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert fresh_alice.profile()["tfa"] in (None, False)


def test_logging_in_with_one(make_npm: MakeNpm, changeable: Account, unused: str) -> None:
    """S23: at the login's question."""
    npm = make_npm(12)
    terminal = log_in(npm, changeable)
    terminal.expect_text(ENTER_OTP)
    terminal.answer(unused.replace("-", " "))
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert npm.run("whoami").stdout == f"{changeable.name}\n"


def test_each_works_once(fresh_alice: Account) -> None:
    """S23: all ten, for whatever asks; none of them a second time, for nothing."""
    mode = ["auth-only", "auth-and-writes"]
    for number, code in enumerate(fresh_alice.recovery_codes):
        body = {"tfa": {"mode": mode[number % 2], "password": fresh_alice.password}}
        fresh_alice.server.advance(400)
        assert fresh_alice.ask("POST", PROFILE, otp=code, body=body).status == 200, number
        again = fresh_alice.ask("POST", PROFILE, otp=code, body=body)
        assert again.asks_for_a_code, again
        assert again.notice.startswith("Invalid OTP: "), again
    assert fresh_alice.profile()["tfa"]["mode"] == "auth-and-writes"


def test_a_used_one_with_another_token(changeable: Account, unused: str) -> None:
    """S23, S28: the continuation is the token's that used it."""
    other = accounts.log_in(changeable)
    code, first, second = unused, accounts.fresh_name("core"), accounts.fresh_name("core")
    assert accounts.publish(changeable, first, otp=code).status in (200, 201)
    assert accounts.publish(changeable, second, otp=code, token=other).asks_for_a_code
    assert not accounts.is_published(changeable.server, second)


def test_somebody_elses(enrolled: Account, changeable: Account, unused: str, package_name: str) -> None:
    """A recovery code is its owner's; and what another tried with it did not use it up."""
    assert accounts.publish(enrolled, package_name, otp=unused).asks_for_a_code
    assert not accounts.is_published(enrolled.server, package_name)
    assert accounts.publish(changeable, package_name, otp=unused).status in (200, 201)


def test_while_codes_of_the_app_are_locked(changeable: Account, unused: str, package_name: str) -> None:
    """Five wrong codes lock the app's; a recovery code is the way in (security.md 2.2)."""
    for _ in range(5):
        assert accounts.publish(changeable, package_name, otp=changeable.wrong_code()).asks_for_a_code
    assert accounts.publish(changeable, package_name, otp=changeable.fresh_code()).status == 403
    assert not accounts.is_published(changeable.server, package_name)
    assert accounts.publish(changeable, package_name, otp=unused).status in (200, 201)


def test_guessing_is_limited(fresh_alice: Account, package_name: str) -> None:
    """Five wrong ones, then they are not judged any more, a right one neither; the app's codes still are."""
    for number in range(5):
        wrong = f"0000-0000-{number:04}"
        assert accounts.publish(fresh_alice, package_name, otp=wrong).asks_for_a_code
    blocked = accounts.publish(fresh_alice, package_name, otp=fresh_alice.recovery_codes[0])
    assert blocked.status == 403, blocked
    assert re.search(r"locked until \d\d:\d\d UTC", blocked.error), blocked
    assert not accounts.is_published(fresh_alice.server, package_name)
    assert accounts.publish(fresh_alice, package_name, otp=fresh_alice.fresh_code()).status in (200, 201)
    fresh_alice.server.advance(301)
    name = accounts.fresh_name("core")
    assert accounts.publish(fresh_alice, name, otp=fresh_alice.recovery_codes[0]).status in (200, 201)


def test_the_operator_resets_a_lost_factor(make_npm: MakeNpm, fresh_alice: Account, package_name: str) -> None:
    """`twokey admin second-factor reset`: 2FA is off, its codes are void, and one can enrol again."""
    done = fresh_alice.server.admin("second-factor", "reset", fresh_alice.name)
    assert done.returncode == 0, done
    npm = make_npm(12)
    terminal = log_in(npm, fresh_alice)
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert ENTER_OTP not in text
    fresh_alice.token = npm.token() or ""
    assert fresh_alice.profile()["tfa"] in (None, False)
    old = fresh_alice.recovery_codes
    accounts.enrol(fresh_alice)
    assert accounts.publish(fresh_alice, package_name, otp=old[0]).asks_for_a_code
    assert not accounts.is_published(fresh_alice.server, package_name)
