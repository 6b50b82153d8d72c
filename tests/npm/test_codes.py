"""What a code is worth, for how long, and for whom (S28; security.md 2.1). The clock stands still where it matters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.npm.journey import TOKEN
from tests.support import accounts
from tests.support.accounts import PROFILE, TOKENS, Account, user_document, user_path
from tests.support.wire import Answer, request

USED = "Invalid OTP: already used, wait for the next code"
ELSEWHERE = "127.0.0.2"


def _name() -> str:
    return accounts.fresh_name("core")


def _token_keys(account: Account) -> set[str]:
    return {token["key"] for token in account.ask("GET", TOKENS).json["objects"]}


def _password_is_right(account: Account) -> bool:
    """Known by the question for the code, which nobody meets with a wrong password."""
    document = user_document(account.name, account.password)
    return request(account.server, "PUT", user_path(account.name), body=document).asks_for_a_code


def _assert_refused_as_used(answer: Answer) -> None:
    assert answer.asks_for_a_code, answer
    assert answer.notice.startswith(USED), answer


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_the_steps_that_count(enrolled: Account, package_name: str, offset: int) -> None:
    """S28: the code of this step, of the one before and of the one after."""
    enrolled.fresh_code()
    with enrolled.server.held():
        answer = accounts.publish(enrolled, package_name, otp=enrolled.code(offset))
    assert answer.status in (200, 201), answer
    assert accounts.is_published(enrolled.server, package_name)


@pytest.mark.parametrize("offset", [-20, -3, -2, 2, 3, 20])
def test_the_steps_that_do_not_count(enrolled: Account, package_name: str, offset: int) -> None:
    """S28: two steps off is too far, either way."""
    enrolled.fresh_code()
    with enrolled.server.held():
        answer = accounts.publish(enrolled, package_name, otp=enrolled.code(offset))
    assert answer.asks_for_a_code, answer
    assert answer.notice.startswith("Invalid OTP: "), answer
    assert not accounts.is_published(enrolled.server, package_name)


@pytest.mark.parametrize("shown", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦".encode().decode("latin-1"), "9" * 65])
def test_what_is_no_code(enrolled: Account, package_name: str, shown: str) -> None:
    """Other lengths, letters, digits of other scripts: wrong, and never an error of the server."""
    answer = accounts.publish(enrolled, package_name, otp=shown)
    assert answer.asks_for_a_code, answer
    assert not accounts.is_published(enrolled.server, package_name)


@pytest.mark.parametrize("form", ["{0}{1} {2}{3} {4}{5}", "{0}{1}{2}-{3}{4}{5}", " {0}{1}{2}{3}{4}{5} "])
def test_spaces_and_dashes_do_not_matter(enrolled: Account, package_name: str, form: str) -> None:
    """S17: as people and apps write it; yarn 1 sends it as typed."""
    answer = accounts.publish(enrolled, package_name, otp=form.format(*enrolled.fresh_code()))
    assert answer.status in (200, 201), answer


def test_a_used_code_with_another_token(enrolled: Account) -> None:
    """S28: refused, for the same account too."""
    other = accounts.log_in(enrolled)
    code, first, second = enrolled.fresh_code(), _name(), _name()
    assert accounts.publish(enrolled, first, otp=code).status in (200, 201)
    _assert_refused_as_used(accounts.publish(enrolled, second, otp=code, token=other))
    assert not accounts.is_published(enrolled.server, second)


def test_a_used_code_from_another_address(enrolled: Account) -> None:
    """S28: refused, with the same token too; where it was used it goes on."""
    code, first, second, third = enrolled.fresh_code(), _name(), _name(), _name()
    assert accounts.publish(enrolled, first, otp=code).status in (200, 201)
    _assert_refused_as_used(accounts.publish(enrolled, second, otp=code, source=ELSEWHERE))
    assert not accounts.is_published(enrolled.server, second)
    assert accounts.publish(enrolled, third, otp=code).status in (200, 201)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (TOKENS, {"password": accounts.PASSWORD, "readonly": False, "cidr_whitelist": []}),
        (TOKENS, {"password": accounts.PASSWORD, "name": "ci", "bypass_2fa": True}),
        (PROFILE, {"fullname": "Bob"}),
        (PROFILE, {"email": "bob@example.com"}),
        (PROFILE, {"password": {"old": accounts.PASSWORD, "new": accounts.OTHER_PASSWORD}}),
        (PROFILE, {"tfa": {"mode": "auth-only", "password": accounts.PASSWORD}}),
        (PROFILE, {"tfa": {"mode": "disable", "password": accounts.PASSWORD}}),
    ],
    ids=["publish token", "automation token", "name", "mail", "password", "mode", "disable"],
)
def test_a_used_code_for_anything_but_publishing(
    enrolled: Account, package_name: str, path: str, body: dict[str, object]
) -> None:
    """S28: not for a token, the account or 2FA; and nothing of that is left behind."""
    code = enrolled.fresh_code()
    assert accounts.publish(enrolled, package_name, otp=code).status in (200, 201)
    before = enrolled.profile(), _token_keys(enrolled)
    answer = enrolled.ask("POST", path, otp=code, body=body)
    _assert_refused_as_used(answer)
    assert not TOKEN.search(answer.text)
    assert (enrolled.profile(), _token_keys(enrolled)) == before
    assert _password_is_right(enrolled)


def test_a_used_code_for_a_login(enrolled: Account, package_name: str) -> None:
    """S28, S60: not for a new token by name and password either."""
    code = enrolled.fresh_code()
    assert accounts.publish(enrolled, package_name, otp=code).status in (200, 201)
    before = _token_keys(enrolled)
    document = user_document(enrolled.name, enrolled.password)
    answer = request(enrolled.server, "PUT", user_path(enrolled.name), otp=code, body=document)
    _assert_refused_as_used(answer)
    assert _token_keys(enrolled) == before


def test_a_code_used_for_a_token_does_not_publish(enrolled: Account, package_name: str) -> None:
    """S28, the other way round: only publish-family actions open the continuation."""
    code = enrolled.fresh_code()
    made = enrolled.ask("POST", TOKENS, otp=code, body={"password": enrolled.password, "readonly": True})
    assert made.status in (200, 201), made
    _assert_refused_as_used(accounts.publish(enrolled, package_name, otp=code))
    assert not accounts.is_published(enrolled.server, package_name)


def test_the_continuation_lasts_two_minutes(enrolled: Account) -> None:
    """S28: the same code from the same place publishes on for 120 s, and no longer."""
    enrolled.fresh_code()
    first, second, third = _name(), _name(), _name()
    with enrolled.server.held():
        code = enrolled.code()
        assert accounts.publish(enrolled, first, otp=code).status in (200, 201)
        enrolled.server.advance(119)
        assert accounts.publish(enrolled, second, otp=code).status in (200, 201)
        enrolled.server.advance(2)
        assert accounts.publish(enrolled, third, otp=code).asks_for_a_code
    assert not accounts.is_published(enrolled.server, third)


def test_an_older_code_after_a_newer_one(enrolled: Account) -> None:
    """The steps only go up: what was passed over is worth nothing any more."""
    enrolled.fresh_code()
    first, second = _name(), _name()
    with enrolled.server.held():
        assert accounts.publish(enrolled, first, otp=enrolled.code(0)).status in (200, 201)
        _assert_refused_as_used(accounts.publish(enrolled, second, otp=enrolled.code(-1)))
    assert not accounts.is_published(enrolled.server, second)


def test_a_refused_write_burns_no_code(enrolled: Account) -> None:
    """A version that exists is refused for that; the code is still good for a token."""
    name = _name()
    assert accounts.publish(enrolled, name, otp=enrolled.fresh_code()).status in (200, 201)
    enrolled.server.advance(200)
    code = enrolled.code()
    document = accounts.publish_document(name, "1.0.0")
    document["versions"]["1.0.0"]["description"] = "changed"
    refused = enrolled.ask("PUT", f"/{name}", otp=code, body=document)
    assert refused.status == 403, refused
    assert "cannot publish over" in refused.error
    made = enrolled.ask("POST", TOKENS, otp=code, body={"password": enrolled.password, "readonly": True})
    assert made.status in (200, 201), made


def test_reading_burns_no_code(enrolled: Account, package_name: str) -> None:
    """npm sends `--otp` with every request of a command: reads neither judge nor use it."""
    code = enrolled.fresh_code()
    for path in ("/-/whoami", PROFILE, TOKENS, "/-/ping"):
        for shown in (code, enrolled.wrong_code()):
            assert enrolled.ask("GET", path, otp=shown).status == 200
    assert enrolled.ask("GET", f"/{package_name}", otp=code).status == 404
    assert accounts.publish(enrolled, package_name, otp=code).status in (200, 201)


def test_one_code_at_the_same_moment(enrolled: Account) -> None:
    """Two requests with one code: one of them makes a token, the other is told that the code is used."""
    code = enrolled.fresh_code()
    body = {"password": enrolled.password, "readonly": True}
    before = _token_keys(enrolled)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: enrolled.ask("POST", TOKENS, otp=code, body=body), range(4)))
    made = [answer for answer in answers if answer.status in (200, 201)]
    assert len(made) == 1, answers
    assert all(answer.asks_for_a_code for answer in answers if answer not in made), answers
    assert len(_token_keys(enrolled) - before) == 1


def test_a_used_code_stays_used_over_a_restart(enrolled: Account) -> None:
    """What was used is in the database, not in the process."""
    other = accounts.log_in(enrolled)
    code, first, second = enrolled.fresh_code(), _name(), _name()
    assert accounts.publish(enrolled, first, otp=code).status in (200, 201)
    enrolled.server.restart()
    _assert_refused_as_used(accounts.publish(enrolled, second, otp=code, token=other))
    assert accounts.is_published(enrolled.server, first)
    assert not accounts.is_published(enrolled.server, second)
