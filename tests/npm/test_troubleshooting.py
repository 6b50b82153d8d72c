"""The guide's troubleshooting, as the client shows it (S44 to S47). The clock stands still, so that N is known."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.npm.journey import RECOVERY, assert_asked_for_a_code, assert_published, begin_enabling, publish
from tests.support import accounts, codes, packages
from tests.support.accounts import Account
from tests.support.npm import Npm
from tests.support.server import Server
from tests.support.wire import Answer, request

NOTICE = "npm notice Invalid OTP: "


def _refusal(account: Account, code: str) -> Answer:
    """Publish with a code that does not count; the answer, once it is sure that nothing was published."""
    name = accounts.fresh_name("core")
    answer = accounts.publish(account, name, otp=code)
    assert not accounts.is_published(account.server, name)
    return answer


def _seconds(pattern: str, text: str) -> int:
    found = re.search(pattern.replace("N s", r"(\d+) s"), text)
    assert found, text
    return int(found[1])


def test_an_expired_code(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S44: says since when, and that codes change; the next fresh one works."""
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    enrolled.fresh_code()
    with npm.server.held():
        refused = publish(npm, folder, f"--otp={enrolled.code(-3)}")
    assert_asked_for_a_code(refused)
    assert _seconds(NOTICE + "this code expired about N s ago; ", refused.stderr) in range(30, 91)
    assert "codes change every 30 seconds, use a fresh one" in refused.stderr
    assert not accounts.is_published(enrolled.server, package_name)
    assert_published(publish(npm, folder, f"--otp={enrolled.fresh_code()}"), package_name)


@pytest.mark.parametrize("offset", [-10, -6, -2])
def test_a_phone_that_is_behind(enrolled: Account, offset: int) -> None:
    """S46: an old code may be a fresh one of a slow clock; the notice says by how much."""
    enrolled.fresh_code()
    with enrolled.server.held():
        answer = _refusal(enrolled, enrolled.code(offset))
    assert answer.asks_for_a_code, answer
    assert "codes change every 30 seconds, use a fresh one" in answer.notice
    behind = _seconds(r"if it was fresh, your phone's clock is (?:about )?N s behind", answer.notice)
    assert abs(behind + offset * codes.STEP) <= codes.STEP


@pytest.mark.parametrize("offset", [2, 6, 10])
def test_a_phone_that_is_ahead(enrolled: Account, offset: int) -> None:
    """S46: the other way round; the code that was hinted at is burnt, so the hint helps no guesser."""
    enrolled.fresh_code()
    with enrolled.server.held():
        code = enrolled.code(offset)
        answer = _refusal(enrolled, code)
        assert answer.asks_for_a_code, answer
        ahead = _seconds(r"your phone's clock is about N s ahead", answer.notice)
        assert abs(ahead - offset * codes.STEP) <= codes.STEP
        enrolled.server.advance(offset * codes.STEP)
        assert _refusal(enrolled, code).asks_for_a_code, "its time has come, and it is not taken"
        name = accounts.fresh_name("core")
        assert accounts.publish(enrolled, name, otp=enrolled.code(1)).status in (200, 201)


@pytest.mark.parametrize("offset", [-20, -11, 11, 20])
def test_too_far_off_for_a_hint(enrolled: Account, offset: int) -> None:
    """S46: beyond ten steps a code is as wrong as any other."""
    enrolled.fresh_code()
    with enrolled.server.held():
        answer = _refusal(enrolled, enrolled.code(offset))
    assert answer.asks_for_a_code, answer
    assert answer.notice.startswith("Invalid OTP: use the code shown for ")
    assert "clock" not in answer.notice
    assert "expired" not in answer.notice


def test_the_code_of_another_service(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S45: names the entry in the app."""
    npm.sign_in(enrolled.token)
    elsewhere = codes.code("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", npm.server.now())
    refused = publish(npm, packages.write(tmp_path / "core", package_name), f"--otp={elsewhere}")
    assert_asked_for_a_code(refused)
    assert f'{NOTICE}use the code shown for "npm-twokey: {enrolled.name}"' in refused.stderr
    assert not accounts.is_published(enrolled.server, package_name)


def test_a_used_code(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S47: `already used, wait for the next code`; that one then works."""
    code = enrolled.fresh_code()
    made = enrolled.ask("POST", accounts.TOKENS, otp=code, body={"password": enrolled.password, "readonly": True})
    assert made.status in (200, 201), made
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    refused = publish(npm, folder, f"--otp={code}")
    assert_asked_for_a_code(refused)
    assert f"{NOTICE}already used, wait for the next code" in refused.stderr
    assert not accounts.is_published(enrolled.server, package_name)
    npm.server.advance(codes.STEP)
    assert_published(publish(npm, folder, f"--otp={enrolled.code()}"), package_name)


def test_locked(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S47: after five wrong ones a right one is not heard; the client ends at once, with the time to wait."""
    npm.sign_in(enrolled.token)
    folder = packages.write(tmp_path / "core", package_name)
    with npm.server.held():
        for _ in range(5):
            assert _refusal(enrolled, enrolled.wrong_code()).asks_for_a_code
        code = enrolled.code()
        refused = publish(npm, folder, f"--otp={code}")
        assert refused.returncode == 1
        assert "code E403" in refused.stderr
        end = datetime.fromtimestamp(-(-(npm.server.now() + 300) // 60) * 60, UTC)
        words = f"Too many wrong codes; locked until {end:%H:%M} UTC"
        assert words in refused.stderr.partition("E403")[2]
        assert f"npm notice {words}" in refused.stderr
        assert not accounts.is_published(enrolled.server, package_name)
        npm.server.advance(299)
        blocked = _refusal(enrolled, enrolled.code())
        assert blocked.status == 403, blocked
        assert 0 < int(blocked.headers["retry-after"]) <= 2
        npm.server.advance(2)
        assert_published(publish(npm, folder, f"--otp={enrolled.code()}"), package_name)


def test_locked_is_by_token_and_address(fresh_alice: Account) -> None:
    """security.md 2.2: who guesses with one token, or from one place, does not lock the owner out elsewhere."""
    other = accounts.log_in(fresh_alice)
    for _ in range(5):
        assert _refusal(fresh_alice, fresh_alice.wrong_code()).asks_for_a_code
    assert _refusal(fresh_alice, fresh_alice.fresh_code()).status == 403
    first, second = accounts.fresh_name("core"), accounts.fresh_name("core")
    answer = accounts.publish(fresh_alice, first, otp=fresh_alice.fresh_code(), source="127.0.0.2")
    assert answer.status in (200, 201), answer
    answer = accounts.publish(fresh_alice, second, otp=fresh_alice.fresh_code(), token=other)
    assert answer.status in (200, 201), answer


def test_locked_over_a_restart(enrolled: Account) -> None:
    """The count is kept where the process cannot lose it."""
    with enrolled.server.held():
        for _ in range(5):
            assert _refusal(enrolled, enrolled.wrong_code()).asks_for_a_code
        enrolled.server.restart()
        assert _refusal(enrolled, enrolled.code()).status == 403


def test_twenty_wrong_codes_in_an_hour(enrolled: Account) -> None:
    """security.md 2.2: the longer window counts too."""
    with enrolled.server.held():
        for number in range(20):
            if number and number % 5 == 0:
                enrolled.server.advance(301)
            assert _refusal(enrolled, enrolled.wrong_code()).asks_for_a_code, number
        enrolled.server.advance(301)
        assert _refusal(enrolled, enrolled.code()).status == 403
        enrolled.server.advance(3600)
        name = accounts.fresh_name("core")
        assert accounts.publish(enrolled, name, otp=enrolled.code()).status in (200, 201)


def test_guessing_from_one_address(tmp_path: Path) -> None:
    """security.md 2.2: so many wrong codes in five minutes stop an address, whosever account they are for."""
    with Server(tmp_path, {"TWOKEY_LIMIT_OTP_ADDRESS": "6"}) as server, server.held():
        first, second, third = (accounts.enrol(accounts.sign_up(server)) for _ in range(3))
        for guessed in [first, second] * 3:
            assert _refusal(guessed, guessed.wrong_code()).asks_for_a_code
        assert _refusal(third, third.code()).status == 403
        name = accounts.fresh_name("core")
        answer = accounts.publish(third, name, otp=third.code(), source="127.0.0.2")
        assert answer.status in (200, 201), answer


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (-3, r"this code expired about \d+ s ago; codes change every 30 seconds, use a fresh one"),
        (3, r"your phone's clock is about \d+ s ahead"),
        (20, r'use the code shown for "npm-twokey: NAME"'),
    ],
)
def test_the_same_words_at_the_enrolment(alice: Account, offset: int, words: str) -> None:
    """S47: on the question for the first code, too; 2FA stays off."""
    enable = {"tfa": {"mode": "auth-and-writes", "password": alice.password}}
    begun = alice.ask("POST", accounts.PROFILE, body=enable)
    found = re.search(r"secret=(\w+)", begun.json["tfa"])
    assert found
    with alice.server.held():
        code = codes.code(found[1], alice.server.now(), offset)
        answer = alice.ask("POST", accounts.PROFILE, body={"tfa": [code]})
    assert answer.asks_for_a_code, answer
    assert re.match("Invalid OTP: " + words.replace("NAME", alice.name), answer.notice), answer
    assert alice.profile()["tfa"] == {"pending": True, "mode": "auth-and-writes"}


def test_guessing_at_the_enrolment_is_limited(npm: Npm, alice: Account) -> None:
    """S18, security.md 2.2: the first code goes through the same door as all the others."""
    npm.sign_in(alice.token)
    terminal, secret = begin_enabling(npm, alice)
    for _ in range(5):
        guess = codes.wrong(secret, alice.server.now())
        assert alice.ask("POST", accounts.PROFILE, body={"tfa": [guess]}).asks_for_a_code
    terminal.answer(codes.code(secret, alice.server.now()))
    exit_code, text = terminal.finish()
    assert exit_code == 1
    assert "Too many wrong codes; locked until" in text
    assert RECOVERY not in text
    assert alice.profile()["tfa"] == {"pending": True, "mode": "auth-and-writes"}


def test_the_server_tells_its_time(server: Server) -> None:
    """S46: in health, for who suspects a clock."""
    with server.held():
        said = request(server, "GET", "/-/health").text
        assert f"{datetime.fromtimestamp(server.now(), UTC):%Y-%m-%dT%H:%M:%S}" in said
