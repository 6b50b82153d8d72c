"""`npm star`, `unstar` and `stars` of every npm that has them, and pnpm's own."""

from __future__ import annotations

import pytest

from tests.npm.conftest import MakeNpm
from tests.support import accounts, clients
from tests.support.accounts import Account
from tests.support.wire import request


def users(alice: Account, name: str) -> dict[str, bool]:
    found: dict[str, bool] = alice.ask("GET", f"/{name}?write=true").json["users"]
    return found


@pytest.mark.parametrize("version", [11, 10, 6])
def test_npm_stars_lists_and_takes_back(make_npm: MakeNpm, alice: Account, package_name: str, version: int) -> None:
    bob = accounts.sign_up(alice.server)
    assert accounts.publish(alice, package_name).status == 201
    assert bob.ask("PUT", "/-/user/v1/star", body={"name": package_name, "package": package_name}).status == 200
    npm = make_npm(version)
    npm.sign_in(alice.token)
    before = alice.ask("GET", f"/{package_name}?write=true").json
    done = npm.run("star", package_name)
    assert done.returncode == 0, done.text
    assert users(alice, package_name) == {alice.name: True, bob.name: True}
    after = alice.ask("GET", f"/{package_name}?write=true").json
    assert (after["_rev"], after["time"]) == (before["_rev"], before["time"])
    assert package_name in npm.run("stars").stdout
    assert package_name in npm.run("stars", bob.name).stdout
    done = npm.run("unstar", package_name)
    assert done.returncode == 0, done.text
    assert users(alice, package_name) == {bob.name: True}, "nobody else's star was touched"
    assert package_name not in npm.run("stars").stdout


def test_pnpm_stars_lists_and_takes_back(make_npm: MakeNpm, alice: Account, package_name: str) -> None:
    pnpm = clients.pnpm()
    if pnpm is None:
        pytest.skip("there is no pnpm for this platform")
    scoped = f"@{alice.name}/{package_name}"
    npm = make_npm(12)
    npm.sign_in(alice.token)
    for name in (package_name, scoped):
        assert accounts.publish(alice, name).status == 201
        done = npm.run_command([str(pnpm), "star", name])
        assert done.returncode == 0, done.text
    for command in (["stars"], ["stars", alice.name]):
        assert npm.run_command([str(pnpm), *command]).stdout.split() == [scoped, package_name]
    done = npm.run_command([str(pnpm), "unstar", scoped])
    assert done.returncode == 0, done.text
    assert npm.run_command([str(pnpm), "stars"]).stdout.split() == [package_name]
    assert "not found" in npm.run_command([str(pnpm), "star", "nothing-is-called-so"]).text


def test_a_document_with_other_peoples_stars_changes_only_ones_own(alice: Account, package_name: str) -> None:
    bob = accounts.sign_up(alice.server)
    assert accounts.publish(alice, package_name).status == 201
    sent = {"_id": package_name, "_rev": "1-older", "users": {alice.name: False, bob.name: True, "carol": True}}
    assert bob.ask("PUT", f"/{package_name}", body=sent).status == 200
    assert alice.ask("PUT", f"/{package_name}", body=sent).status == 200
    assert users(alice, package_name) == {bob.name: True}


def test_a_cached_document_is_renewed_by_a_star_and_an_abbreviated_one_is_not(
    alice: Account, package_name: str
) -> None:
    assert accounts.publish(alice, package_name).status == 201
    short = {"accept": "application/vnd.npm.install-v1+json"}

    def asked(headers: dict[str, str], etag: str | None = None) -> tuple[int, str]:
        answer = request(
            alice.server, "GET", f"/{package_name}", headers={**headers, **({"if-none-match": etag} if etag else {})}
        )
        return answer.status, answer.headers["etag"]

    full_etag, short_etag = asked({})[1], asked(short)[1]
    assert alice.ask("PUT", f"/-/user/package/{package_name}/star").status == 200
    assert asked({}, full_etag)[0] == 200
    assert asked(short, short_etag)[0] == 304


def test_stars_of_restricted_packages_are_for_those_who_may_see_them(alice: Account, package_name: str) -> None:
    bob, scoped = accounts.sign_up(alice.server), f"@{alice.name}/{package_name}"
    document = {**accounts.publish_document(scoped, "1.0.0"), "access": "restricted"}
    assert alice.ask("PUT", f"/{scoped}", body=document).status == 201
    path = f"/-/user/package/{scoped}/star"
    assert alice.ask("PUT", path).status == 200
    assert [alice.ask("GET", f"/-/user/{alice.name}/stars").json, alice.ask("GET", "/-/user/v1/star").json] == [
        [scoped], [scoped],
    ]  # fmt: skip
    assert bob.ask("GET", f"/-/user/{alice.name}/stars").json == []
    view = f"/-/_view/starredByUser?key=%22{alice.name}%22"
    assert bob.ask("GET", view).json == {"rows": []}
    assert alice.ask("GET", view).json == {"rows": [{"value": scoped}]}
    hidden, missing = bob.ask("PUT", path), bob.ask("PUT", path.replace(scoped, f"{scoped}-nothing"))
    assert (hidden.status, hidden.json["error"]) == (missing.status, missing.json["error"])
    assert hidden.status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/-/_view/starredByUser", 400), ("/-/_view/starredByUser?key=alice", 400),
        ("/-/_view/starredByUser?key=7", 400), ("/-/_view/starredByUser?key=%22nobody-is-called-so%22", 404),
        ("/-/user/nobody-is-called-so/stars", 404), ("/-/user/v1/star", 401),
    ],
)  # fmt: skip
def test_what_is_no_question_about_stars_is_refused_with_a_sentence(alice: Account, path: str, status: int) -> None:
    answer = request(alice.server, "GET", path)
    assert answer.status == status
    assert answer.json["error"]
