"""Automation tokens and the other kinds (S36 to S43), as far as the command line goes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.npm.journey import ENTER_OTP, PASSWORD, TOKEN, assert_asked_for_a_code, assert_published, publish
from tests.support import accounts, packages
from tests.support.accounts import PROFILE, TOKENS, Account
from tests.support.npm import Npm
from tests.support.wire import request


def _listed(account: Account) -> dict[str, dict[str, object]]:
    """The account's tokens, by the prefix that is shown of them."""
    answer = account.ask("GET", TOKENS)
    assert answer.status == 200, answer
    return {token["token"]: token for token in answer.json["objects"]}


def _is_alive(account: Account, token: str) -> bool:
    return request(account.server, "GET", "/-/whoami", token=token).status == 200


def _create(npm: Npm, account: Account, *args: str) -> str:
    """`npm token create` in a terminal; asked for the password and then for the code. The token is returned."""
    terminal = npm.spawn("token", "create", *args)
    terminal.expect_text(PASSWORD)
    terminal.answer(account.password)
    terminal.expect_text(ENTER_OTP)
    terminal.answer(account.fresh_code())
    exit_code, text = terminal.finish()
    assert exit_code == 0, text
    assert account.password not in text
    found = TOKEN.search(text)
    assert found, text
    return found[0]


# -- making, listing, revoking -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [12, 11])
def test_an_automation_token(make_npm: MakeNpm, enrolled: Account, tmp_path: Path, version: int) -> None:
    """S38, S40: made with `--bypass-2fa`, listed, publishes without a code, revoked by its id, dead at once."""
    npm = make_npm(version)
    npm.sign_in(enrolled.token)
    name = accounts.fresh_name("core")
    token = _create(npm, enrolled, "--bypass-2fa", "--name", "ci")
    listing = npm.run("token", "list").stdout
    line = next(line for line in listing.splitlines() if token[:12] in line)
    assert token not in listing
    assert "name ci " in line
    npm.sign_in(token)
    assert_published(publish(npm, packages.write(tmp_path / "core", name)), name)
    npm.sign_in(enrolled.token)
    found = re.search(r"with id (\w+)", line)
    assert found, line
    result = npm.run("token", "revoke", found[1], f"--otp={enrolled.fresh_code()}")
    assert result.stdout == "Removed 1 token\n", result
    assert not _is_alive(enrolled, token)


def test_a_publish_token(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S38, S41: `npm token create` without flags; it is asked for a code like its owner."""
    npm.sign_in(enrolled.token)
    token = _create(npm, enrolled)
    npm.sign_in(token)
    folder = packages.write(tmp_path / "core", package_name)
    assert_asked_for_a_code(publish(npm, folder))
    assert not accounts.is_published(enrolled.server, package_name)
    assert_published(publish(npm, folder, f"--otp={enrolled.fresh_code()}"), package_name)


def test_npm_6_makes_a_publish_token(make_npm: MakeNpm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """The same with the oldest client, which shows it in a table."""
    npm = make_npm(6)
    npm.sign_in(enrolled.token)
    token = _create(npm, enrolled)
    assert _is_alive(enrolled, token)
    npm.sign_in(token)
    assert publish(npm, packages.write(tmp_path / "core", package_name)).returncode == 1
    assert not accounts.is_published(enrolled.server, package_name)


def test_a_read_only_token_of_npm_10(make_npm: MakeNpm, enrolled: Account) -> None:
    """`--read-only`, which later clients take and do not send."""
    npm = make_npm(10)
    npm.sign_in(enrolled.token)
    token = _create(npm, enrolled, "--read-only")
    assert _listed(enrolled)[token[:12]]["readonly"] is True
    assert f"Read only token {token[:12]}" in npm.run("token", "list").stdout


def test_an_address_limit(npm: Npm, enrolled: Account) -> None:
    """`--cidr`: elsewhere the token is none, and npm says why."""
    npm.sign_in(enrolled.token)
    token = _create(npm, enrolled, "--cidr=192.0.2.0/24")
    refused = request(enrolled.server, "GET", "/-/whoami", token=token)
    assert refused.status == 401, refused
    assert refused.headers["www-authenticate"].lower() == "ipaddress"
    npm.sign_in(token)
    assert "your IP address" in npm.run("whoami").stderr


def test_listing_shows_no_secret(npm: Npm, enrolled: Account) -> None:
    """S37: the first characters only, in every form."""
    npm.sign_in(enrolled.token)
    for form in ("--json", "--parseable", "--no-json"):
        result = npm.run("token", "list", form)
        assert result.returncode == 0, result
        assert enrolled.token[:12] in result.stdout
        assert not TOKEN.search(result.stdout)
    keys = [token["key"] for token in json.loads(npm.run("token", "list", "--json").stdout)]
    assert all(len(key) >= 32 and not key.startswith("npm_") for key in keys)


def test_revoking_by_the_token_itself(npm: Npm, enrolled: Account) -> None:
    """What somebody who found it in a log would do: the value, not the id."""
    npm.sign_in(enrolled.token)
    token = accounts.publish_token(enrolled)
    result = npm.run("token", "revoke", token, f"--otp={enrolled.fresh_code()}")
    assert result.stdout == "Removed 1 token\n", result
    assert not _is_alive(enrolled, token)
    assert _is_alive(enrolled, enrolled.token)


def test_making_one_takes_password_and_code(enrolled: Account) -> None:
    """S36: each of them missing or wrong makes none; a wrong password burns no code."""
    before, code = _listed(enrolled).keys(), enrolled.fresh_code()
    wrong = {"password": accounts.OTHER_PASSWORD, "name": "ci", "bypass_2fa": True}
    right = {"password": enrolled.password, "name": "ci", "bypass_2fa": True}
    refused = enrolled.ask("POST", TOKENS, otp=code, body=wrong)
    assert refused.status == 401, refused
    assert not refused.asks_for_a_code
    assert enrolled.ask("POST", TOKENS, otp=code, body={"name": "ci", "bypass_2fa": True}).status == 401
    assert enrolled.ask("POST", TOKENS, body=right).asks_for_a_code
    assert enrolled.ask("POST", TOKENS, otp=enrolled.wrong_code(), body=right).asks_for_a_code
    assert _listed(enrolled).keys() == before
    assert enrolled.ask("POST", TOKENS, otp=code, body=right).status in (200, 201)


# -- using them ----------------------------------------------------------------------------------------------------


def test_one_time_setup(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S39, S40: `npm set //HOST/:_authToken TOKEN`, then `npm publish`: in a pipe, in a terminal, in CI."""
    token = accounts.automation_token(enrolled)
    result = npm.run("set", f"//{npm.server.host}/:_authToken", token)
    assert (result.returncode, result.text) == (0, "")
    assert f"//{npm.server.host}/:_authToken={token}\n" in npm.npmrc.read_text(encoding="utf-8")
    folder = tmp_path / "packages" / "core"
    assert_published(publish(npm, packages.write(folder, package_name)), package_name)
    packages.write(folder, package_name, "1.0.1")
    assert_published(publish(npm, folder, env={"CI": "true"}), package_name, "1.0.1")
    exit_code, text = npm.spawn("publish", cwd=packages.write(folder, package_name, "1.0.2")).finish()
    assert exit_code == 0, text
    assert ENTER_OTP not in text
    assert f"+ {package_name}@1.0.2" in text


def test_publishing_with_a_read_only_token(npm: Npm, enrolled: Account, package_name: str, tmp_path: Path) -> None:
    """S41: refused by the token's name, whatever code is shown."""
    npm.sign_in(accounts.read_only_token(enrolled))
    result = publish(npm, packages.write(tmp_path / "core", package_name), f"--otp={enrolled.fresh_code()}")
    assert result.returncode == 1
    assert "code E403" in result.stderr
    assert re.search(r"read-only", result.stderr, re.IGNORECASE), result
    assert not accounts.is_published(enrolled.server, package_name)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (PROFILE, {"fullname": "Bob"}),
        (PROFILE, {"email": "bob@example.com"}),
        (PROFILE, {"password": {"old": accounts.PASSWORD, "new": accounts.OTHER_PASSWORD}}),
        (PROFILE, {"tfa": {"mode": "auth-only", "password": accounts.PASSWORD}}),
        (PROFILE, {"tfa": {"mode": "disable", "password": accounts.PASSWORD}}),
        (TOKENS, {"password": accounts.PASSWORD, "readonly": False, "cidr_whitelist": []}),
        (TOKENS, {"password": accounts.PASSWORD, "name": "ci", "bypass_2fa": True}),
    ],
    ids=["name", "mail", "password", "mode", "disable", "publish token", "automation token"],
)
@pytest.mark.parametrize("kind", ["automation", "read-only"])
def test_what_no_machine_may(
    machine_tokens: dict[str, str], enrolled: Account, path: str, body: dict[str, object], kind: str
) -> None:
    """S42: the account, 2FA and tokens, even with a valid code; nothing changes, and the code is not used up."""
    before, code = (enrolled.profile(), _listed(enrolled).keys()), enrolled.fresh_code()
    answer = request(enrolled.server, "POST", path, token=machine_tokens[kind], otp=code, body=body)
    assert answer.status == 403, answer
    assert kind in answer.error.lower(), answer
    assert not TOKEN.search(answer.text)
    assert (enrolled.profile(), _listed(enrolled).keys()) == before
    name = accounts.fresh_name("core")
    assert accounts.publish(enrolled, name, otp=code).status in (200, 201)


@pytest.fixture(scope="module")
def machine_tokens(enrolled: Account) -> dict[str, str]:
    """One token of each kind that no person uses."""
    return {"automation": accounts.automation_token(enrolled), "read-only": accounts.read_only_token(enrolled)}


def test_no_machine_revokes_a_token(machine_tokens: dict[str, str], enrolled: Account) -> None:
    """S42: not another's, even with a valid code; its own it may (logout)."""
    victim = accounts.publish_token(enrolled)
    key = _listed(enrolled)[victim[:12]]["key"]
    for token in machine_tokens.values():
        answer = request(enrolled.server, "DELETE", f"{TOKENS}/token/{key}", token=token, otp=enrolled.fresh_code())
        assert answer.status == 403, answer
        assert _is_alive(enrolled, victim)
    assert request(enrolled.server, "DELETE", f"/-/user/token/{victim}", token=victim).status == 200
    assert not _is_alive(enrolled, victim)


def test_no_machine_changes_owners(
    make_npm: MakeNpm, machine_tokens: dict[str, str], enrolled: Account, alice: Account, package_name: str
) -> None:
    """S42: a stolen token makes nobody an owner, and removes no version."""
    assert accounts.publish(enrolled, package_name, otp=enrolled.fresh_code()).status in (200, 201)
    npm = make_npm(12)
    for kind, token in machine_tokens.items():
        npm.sign_in(token)
        for command in (["owner", "add", alice.name, package_name], ["unpublish", f"{package_name}", "--force"]):
            result = npm.run(*command, f"--otp={enrolled.fresh_code()}")
            assert result.returncode == 1, (kind, result)
            assert re.search("E403|EOWNERMUTATE", result.stderr), (kind, result)
            assert "403 Forbidden" in result.stderr, (kind, result)
            assert kind in result.stderr, (kind, result)
    document = request(enrolled.server, "GET", f"/{package_name}").json
    assert [owner["name"] for owner in document["maintainers"]] == [enrolled.name]
    assert list(document["versions"]) == ["1.0.0"]


def test_what_an_automation_token_may(make_npm: MakeNpm, enrolled: Account, package_name: str) -> None:
    """S33, S40: publish, tag and deprecate without a code."""
    token = accounts.automation_token(enrolled)
    assert accounts.publish(enrolled, package_name, token=token).status in (200, 201)
    npm = make_npm(12)
    npm.sign_in(token)
    assert npm.run("dist-tag", "add", f"{package_name}@1.0.0", "stable").returncode == 0
    assert npm.run("deprecate", f"{package_name}@1.0.0", "old").returncode == 0
    document = request(enrolled.server, "GET", f"/{package_name}").json
    assert document["dist-tags"] == {"latest": "1.0.0", "stable": "1.0.0"}
    assert document["versions"]["1.0.0"]["deprecated"] == "old"


@pytest.mark.parametrize("token", ["npm_" + "0" * 36, "npm_", "x", "${NPM_TOKEN}", "a" * 5000])
def test_an_unknown_token(enrolled: Account, package_name: str, token: str) -> None:
    """401 wherever somebody has to be known, and never the question for a code."""
    for method, path in [("GET", "/-/whoami"), ("GET", PROFILE), ("GET", TOKENS)]:
        answer = request(enrolled.server, method, path, token=token)
        assert answer.status == 401, answer
        assert answer.headers.get("www-authenticate") != "OTP"
    refused = accounts.publish(enrolled, package_name, token=token)
    assert refused.status == 401, refused
    assert not refused.asks_for_a_code
    assert not accounts.is_published(enrolled.server, package_name)
