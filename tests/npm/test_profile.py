"""`npm profile`: status, mode, off again, and the fields of a person (S48 to S54)."""

from __future__ import annotations

import json

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import ENTER_OTP, PASSWORD, change_2fa
from tests.support import accounts
from tests.support.accounts import PROFILE, Account, user_document, user_path
from tests.support.npm import Npm
from tests.support.wire import request

ON = {"pending": False, "mode": "auth-and-writes"}
CHANGED = "Two factor authentication mode changed to: "


def _secret_still_works(account: Account) -> bool:
    """The authenticator of before is the one that counts: its code publishes."""
    name = accounts.fresh_name("core")
    accounts.publish(account, name, otp=account.fresh_code())
    return accounts.is_published(account.server, name)


def test_status(npm: Npm, enrolled: Account) -> None:
    """S50: `npm profile get` in its forms."""
    npm.sign_in(enrolled.token)
    lines = npm.run("profile", "get").stdout.splitlines()
    values = dict(line.partition(": ")[::2] for line in lines)
    assert values["name"] == enrolled.name
    assert values["email"].startswith(enrolled.email)
    assert values["two-factor auth"] == "auth-and-writes"
    known = {"name", "email", "two-factor auth", "fullname", "homepage", "github", "created", "updated"}
    # npm 12 knows these two no more, and prints whatever else the server sends.
    assert known <= set(values) <= known | {"freenode", "twitter"}, lines
    assert npm.run("profile", "get", "two-factor auth").stdout == "auth-and-writes\n"
    assert json.loads(npm.run("profile", "get", "--json").stdout)["tfa"] == ON
    assert "tfa\tauth-and-writes\n" in npm.run("profile", "get", "--parseable").stdout


def test_status_without_2fa(npm: Npm, alice: Account) -> None:
    """S50: `disabled`, and false (or nothing) in JSON."""
    npm.sign_in(alice.token)
    assert "two-factor auth: disabled\n" in npm.run("profile", "get").stdout
    assert json.loads(npm.run("profile", "get", "--json").stdout)["tfa"] in (None, False)


def test_status_with_every_token(make_npm: MakeNpm, enrolled: Account) -> None:
    """S50: read-only and automation tokens may ask too."""
    npm = make_npm(12)
    for token in (accounts.read_only_token(enrolled), accounts.automation_token(enrolled)):
        npm.sign_in(token)
        assert npm.run("profile", "get", "two-factor auth").stdout == "auth-and-writes\n"


def test_status_when_logged_out(npm: Npm) -> None:
    """Nobody's profile is nobody's."""
    npm.sign_in("npm_" + "0" * 36)
    result = npm.run("profile", "get")
    assert result.returncode == 1
    assert "401" in result.stderr


@pytest.mark.parametrize("version", [12, 11])
def test_already_enabled(make_npm: MakeNpm, enrolled: Account, version: int) -> None:
    """S48: the client sees that there is nothing to do."""
    npm = make_npm(version)
    npm.sign_in(enrolled.token)
    result = npm.run("profile", "enable-2fa", "auth-and-writes")
    assert result.returncode == 0, result
    assert result.stdout == "Two factor authentication is already enabled and set to auth-and-writes\n"
    assert _secret_still_works(enrolled)


def test_already_enabled_on_npm_10(make_npm: MakeNpm, enrolled: Account) -> None:
    """S48: it asks for password and code, and takes it for a change of mode."""
    npm = make_npm(10)
    npm.sign_in(enrolled.token)
    exit_code, text = change_2fa(npm, enrolled, enrolled.fresh_code(), "enable-2fa", "auth-and-writes")
    assert exit_code == 0, text
    assert CHANGED + "auth-and-writes" in text
    assert "Scan into" not in text
    assert enrolled.profile()["tfa"] == ON
    assert _secret_still_works(enrolled)


def test_npm_6_cannot_change_the_mode(make_npm: MakeNpm, enrolled: Account) -> None:
    """Its last release stumbles over itself (EBADKEY) once it sees that 2FA is on; nothing is left half done."""
    npm = make_npm(6)
    npm.sign_in(enrolled.token)
    terminal = npm.spawn("profile", "enable-2fa", "auth-only")
    terminal.expect_text(PASSWORD)
    terminal.answer(enrolled.password)
    exit_code, text = terminal.finish()
    assert exit_code == 1
    assert "code EBADKEY" in text
    assert enrolled.profile()["tfa"] == ON
    assert _secret_still_works(enrolled)


def test_changing_the_mode(npm: Npm, changeable: Account, unused: str) -> None:
    """S49: password and code; secret and recovery codes stay."""
    npm.sign_in(changeable.token)
    exit_code, text = change_2fa(npm, changeable, changeable.fresh_code(), "enable-2fa", "auth-only")
    assert exit_code == 0, text
    assert CHANGED + "auth-only" in text
    assert changeable.profile()["tfa"] == {"pending": False, "mode": "auth-only"}
    back = {"tfa": {"mode": "auth-and-writes", "password": changeable.password}}
    assert changeable.ask("POST", PROFILE, otp=unused, body=back).status == 200
    assert changeable.profile()["tfa"] == ON
    assert _secret_still_works(changeable)


@pytest.mark.parametrize(
    ("client", "answer"),
    [
        ("npm/6.14.18 node/v10.0.0 linux x64", None),
        ("npm/10.9.9 node/v20.0.0 linux x64 workspaces/false", None),
        ("npm/11.0.0 node/v22.0.0 linux x64 workspaces/false", None),
        ("npm/11.3.0 node/v22.0.0 linux x64 workspaces/false", None),
        ("npm/11.4.0 node/v22.0.0 linux x64 workspaces/false", {"pending": False, "mode": "auth-only"}),
        ("npm/11.10.1 node/v22.0.0 linux x64 workspaces/false", {"pending": False, "mode": "auth-only"}),
        ("npm/12.2.0 node/v24.0.0 linux x64 workspaces/false", {"pending": False, "mode": "auth-only"}),
    ],
)
def test_the_answer_to_a_change_of_mode(changeable: Account, client: str, answer: object) -> None:
    """S48: what one client takes for success is an error to the other, so its name decides."""
    changed = request(
        changeable.server, "POST", PROFILE, token=changeable.token, otp=changeable.fresh_code(),
        body={"tfa": {"mode": "auth-only", "password": changeable.password}}, headers={"user-agent": client},
    )  # fmt: skip
    back = {"tfa": {"mode": "auth-and-writes", "password": changeable.password}}
    assert changeable.ask("POST", PROFILE, otp=changeable.fresh_code(), body=back).status == 200
    assert changed.status == 200, changed
    assert changed.json["tfa"] == answer


def test_changing_the_mode_takes_password_and_code(changeable: Account) -> None:
    """S49: each of them missing or wrong leaves the mode as it is; a wrong password burns no code."""
    code = changeable.fresh_code()
    wrong = {"tfa": {"mode": "auth-only", "password": accounts.OTHER_PASSWORD}}
    right = {"tfa": {"mode": "auth-only", "password": changeable.password}}
    refused = changeable.ask("POST", PROFILE, otp=code, body=wrong)
    assert refused.status == 401, refused
    assert not refused.asks_for_a_code
    assert changeable.ask("POST", PROFILE, body=right).asks_for_a_code
    assert changeable.ask("POST", PROFILE, otp=changeable.wrong_code(), body=right).asks_for_a_code
    assert changeable.profile()["tfa"] == ON
    assert changeable.ask("POST", PROFILE, otp=code, body=right).status == 200
    back = {"tfa": {"mode": "auth-and-writes", "password": changeable.password}}
    assert changeable.ask("POST", PROFILE, otp=changeable.fresh_code(), body=back).status == 200


@pytest.mark.parametrize("version", [12, 11, 10, 6], ids="npm{}".format)
def test_disabling(make_npm: MakeNpm, fresh_alice: Account, package_name: str, version: int) -> None:
    """S52, S53: password and code; nothing asks for a code afterwards, and once more is no error."""
    npm = make_npm(version)
    npm.sign_in(fresh_alice.token)
    exit_code, text = change_2fa(npm, fresh_alice, fresh_alice.fresh_code(), "disable-2fa")
    assert exit_code == 0, text
    assert "Two factor authentication disabled." in text
    assert fresh_alice.profile()["tfa"] in (None, False)
    assert accounts.publish(fresh_alice, package_name).status in (200, 201)
    again = npm.run("profile", "disable-2fa")
    assert again.returncode == 0, again
    assert again.stdout == "Two factor authentication not enabled.\n"


def test_disabling_with_a_wrong_code(npm: Npm, changeable: Account) -> None:
    """S53: still enabled."""
    npm.sign_in(changeable.token)
    exit_code, text = change_2fa(npm, changeable, changeable.wrong_code(), "disable-2fa")
    assert exit_code == 1
    assert "npm notice Invalid OTP: " in text
    assert "code EOTP" in text
    assert changeable.profile()["tfa"] == ON


def test_disabling_with_a_wrong_password(npm: Npm, changeable: Account) -> None:
    """S53: still enabled, the password is named, and the code that was right is not burnt."""
    npm.sign_in(changeable.token)
    code = changeable.fresh_code()
    terminal = npm.spawn("profile", "disable-2fa", f"--otp={code}")
    terminal.expect_text(PASSWORD)
    terminal.answer(accounts.OTHER_PASSWORD)
    terminal.expect_text("npm error")
    exit_code, text = terminal.finish()
    assert exit_code == 1
    assert "EOTP" not in text
    assert changeable.profile()["tfa"] == ON
    same = {"tfa": {"mode": "auth-and-writes", "password": changeable.password}}
    assert changeable.ask("POST", PROFILE, otp=code, body=same).status == 200


def test_disabling_voids_the_recovery_codes(fresh_alice: Account) -> None:
    """S52: the codes of before are worth nothing, also when 2FA is on again."""
    old_codes, old_secret = fresh_alice.recovery_codes, fresh_alice.secret
    disable = {"tfa": {"mode": "disable", "password": fresh_alice.password}}
    assert fresh_alice.ask("POST", PROFILE, otp=fresh_alice.fresh_code(), body=disable).status == 200
    accounts.enrol(fresh_alice)
    assert fresh_alice.secret != old_secret
    assert not set(old_codes) & set(fresh_alice.recovery_codes)
    name = accounts.fresh_name("core")
    assert accounts.publish(fresh_alice, name, otp=old_codes[0]).asks_for_a_code
    assert not accounts.is_published(fresh_alice.server, name)


def test_setting_a_field(npm: Npm, alice: Account) -> None:
    """`npm profile set` without 2FA: the one field, and the others stay."""
    npm.sign_in(alice.token)
    result = npm.run("profile", "set", "fullname", "Alice")
    assert result.returncode == 0, result
    assert result.stdout == "Set fullname to Alice\n"
    profile = alice.profile()
    assert (profile["fullname"], profile["email"]) == ("Alice", alice.email)


def test_setting_a_field_with_2fa(npm: Npm, changeable: Account) -> None:
    """S33: it asks for a code, and nothing changes without one."""
    npm.sign_in(changeable.token)
    page = f"http://localhost/{accounts.fresh_name('page')}"
    terminal = npm.spawn("profile", "set", "homepage", page)
    terminal.expect_text(ENTER_OTP)
    assert changeable.profile()["homepage"] != page
    terminal.answer(changeable.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert f"Set homepage to {page}" in text
    assert changeable.profile()["homepage"] == page


def test_changing_the_password(make_npm: MakeNpm, fresh_alice: Account) -> None:
    """The old one, the new one twice, a code; then only the new one logs in."""
    npm = make_npm(12)
    npm.sign_in(fresh_alice.token)
    terminal = npm.spawn("profile", "set", "password")
    for question, answer in [
        ("Current password:", fresh_alice.password),
        ("New password:", accounts.OTHER_PASSWORD),
        ("Again:", accounts.OTHER_PASSWORD),
        (ENTER_OTP, fresh_alice.fresh_code()),
    ]:
        terminal.expect_text(question)
        terminal.answer(answer)
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert "Set password" in text
    assert fresh_alice.password not in text
    assert accounts.OTHER_PASSWORD not in text
    code = fresh_alice.fresh_code()
    for password, status in [(fresh_alice.password, 401), (accounts.OTHER_PASSWORD, 201)]:
        document = user_document(fresh_alice.name, password)
        login = request(fresh_alice.server, "PUT", user_path(fresh_alice.name), otp=code, body=document)
        assert login.status == status, login


def test_a_password_is_not_changed_without_old_one_and_code(fresh_alice: Account) -> None:
    """Each of them missing or wrong, or a new one that is too easy: the old one stays (ASVS 6.2.3)."""
    code = fresh_alice.fresh_code()
    right, new = fresh_alice.password, accounts.OTHER_PASSWORD
    for old, wanted, otp in [(new, new, code), (right, new, None), (right, "password1234", code)]:
        answer = fresh_alice.ask("POST", PROFILE, otp=otp, body={"password": {"old": old, "new": wanted}})
        assert 400 <= answer.status < 500, answer
    again = request(fresh_alice.server, "PUT", user_path(fresh_alice.name), body=user_document(fresh_alice.name, right))
    assert again.asks_for_a_code, "the old password is the right one"
