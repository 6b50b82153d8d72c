"""`npm search` finds what was published, the best names first."""

from __future__ import annotations

import json

from tests.support import accounts
from tests.support.accounts import Account
from tests.support.npm import Npm


def test_search_finds_by_name_and_description_the_best_names_first(npm: Npm, alice: Account) -> None:
    word = accounts.fresh_name("quokka").replace("-", "")
    for name in (f"zz-{word}", word, f"{word}-tools"):
        assert accounts.publish(alice, name).status == 201
    found = json.loads(npm.run("search", word, "--json").stdout)
    assert [each["name"] for each in found] == [word, f"{word}-tools", f"zz-{word}"]
    assert found[0]["version"] == "1.0.0"
    assert f"{word}, for a test" in npm.run("search", word).stdout


def test_search_says_that_it_found_nothing(npm: Npm) -> None:
    done = npm.run("search", "nothing-is-called-like-this")
    assert done.returncode == 0, done.text
    assert "No matches found" in done.stdout
