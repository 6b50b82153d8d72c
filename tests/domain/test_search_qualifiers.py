"""What qualifiers demand of a search, as npm's documentation has them, and what is bounded where many packages fit."""

from __future__ import annotations

import pytest

from tests.domain.test_advisories import record, take
from tests.domain.test_search import ask, names, release
from tests.domain.world import Person, World
from twokey.errors import Invalid
from twokey.packages import advisories, indexing, packages, question, search
from twokey.packages.indexing import Facet, mark
from twokey.packages.names import PackageName
from twokey.publishing import moderation, withdraw


@pytest.fixture
def filled(world: World) -> World:
    """Four packages, of two people and in two scopes."""
    alice, bob = world.account(), world.account("bob")
    release(world, alice, "@alice/pad", "0.9.0", keywords=["Line", "left pad"], author="Ann Other <ann@example.org>")
    release(world, bob, "@bob/trim", keywords=["line", "text"], author={"name": "Bea", "email": "bea@example.org"})
    release(world, bob, "fold", "1.0.0-beta.1", keywords=["text", "wide"], description="folds a line")
    release(world, bob, "wrap", keywords=["wide"], license="MIT")
    with world.by_operator() as tx:
        withdraw.deprecate(tx, world.found("wrap"), {"1.0.0": "Use fold."}, None)
        packages.change_owners(tx, world.found("fold"), ["alice", "bob"], None)
    return world


EVERY = {"@alice/pad", "@bob/trim", "fold", "wrap"}
FOUND: dict[str, set[str]] = {
    "keywords:line": {"@alice/pad", "@bob/trim"},
    "keywords:LINE": {"@alice/pad", "@bob/trim"},
    "keywords:lin": set(),
    'keywords:"left pad"': {"@alice/pad"},
    "keywords:left": set(),
    "keywords:line,wide": EVERY,
    "keywords:text+wide": {"fold"},
    "keywords:line+text,wide": {"@bob/trim", "fold", "wrap"},
    "keywords:text,-wide": {"@bob/trim"},
    "keywords:-wide": {"@alice/pad", "@bob/trim"},
    "keywords:!wide,!text": {"@alice/pad"},
    "keywords:text keywords:wide": {"fold"},
    "keywords:line pad": {"@alice/pad"},
    "author:bea": {"@bob/trim"},
    "author:ann": {"@alice/pad"},
    'author:"Ann Other"': {"@alice/pad"},
    "author:bea@example.org": {"@bob/trim"},
    "author:alice": set(),
    "maintainer:alice": {"@alice/pad", "fold"},
    "maintainer:bob line": {"@bob/trim", "fold"},
    "scope:bob": {"@bob/trim"},
    "scope:@alice": {"@alice/pad"},
    "scope:unscoped": {"fold", "wrap"},
    "is:unstable": {"@alice/pad", "fold"},
    "not:unstable": {"@bob/trim", "wrap"},
    "is:deprecated": {"wrap"},
    "not:deprecated": EVERY - {"wrap"},
    "not:deprecated not:unstable": {"@bob/trim"},
    "IS:deprecated": {"wrap"},
    "boost-exact:false": EVERY,
    "boost-exact:false line": {"@alice/pad", "@bob/trim", "fold"},
    # Words, for they are no qualifiers, or have a value that means nothing.
    "publisher:bob": set(),
    "is:odd": set(),
    "boost-exact:maybe": set(),
    "keywords:": set(),
    "fold:li": {"fold"},
    'keywords:"line': set(),
    "xkeywords:line": set(),
}


def test_each_qualifier_finds_what_it_says(filled: World) -> None:
    found = {asked: set(names(filled, asked)) for asked in FOUND}
    assert found == FOUND


def test_each_qualifier_finds_the_same_for_who_is_signed_in(filled: World) -> None:
    carol = filled.account("carol")
    found = {asked: set(names(filled, asked, carol)) for asked in FOUND}
    assert found == FOUND


def test_what_is_insecure_cannot_be_asked_before_advisories_were_imported(filled: World) -> None:
    for asked in ("is:insecure", "line not:insecure"):
        with pytest.raises(Invalid, match="imported no advisories"):
            ask(filled, asked)


def test_insecure_is_what_an_advisory_says_of_the_latest_version(filled: World) -> None:
    take(filled, record("GHSA-1", "wrap"), record("GHSA-2", "fold"), record("GHSA-3", "not-here"))
    assert set(names(filled, "is:insecure")) == {"wrap", "fold"}
    assert set(names(filled, "not:insecure")) == EVERY - {"wrap", "fold"}
    release(filled, Person(1, "alice"), "fold", "2.0.0")
    assert names(filled, "is:insecure") == ["wrap"]
    with filled.by_operator() as tx:
        packages.set_dist_tag(tx, filled.found("fold"), "latest", "1.0.0-beta.1")
    assert set(names(filled, "is:insecure")) == {"wrap", "fold"}
    take(filled, record("GHSA-2", "@bob/trim"), record("GHSA-1", "wrap", withdrawn="2026-02-01T00:00:00Z"))
    assert names(filled, "is:insecure") == ["@bob/trim"]
    take(filled, record("GHSA-4", "not-here"))
    with filled.by_operator() as tx:
        advisories.remove(tx, "GHSA-2")
    assert names(filled, "is:insecure") == []


def test_the_marks_of_the_index_are_no_words(filled: World) -> None:
    for asked in (mark(Facet.KEYWORD, "line"), indexing.beginnings("lin")[-1], "κ", "λ", "ν"):
        assert names(filled, asked) == []


def test_a_deprecated_package_is_marked_and_comes_last_but_for_its_very_name(world: World) -> None:
    alice = world.account()
    for name in ("pad", "padding", "a-pad"):
        release(world, alice, name)
    with world.by_operator() as tx:
        for name in ("pad", "padding"):
            withdraw.deprecate(tx, world.found(name), {"1.0.0": "Use a-pad."}, None)
    assert names(world, "pad") == ["pad", "a-pad", "padding"]
    assert names(world, "pad boost-exact:false")[0] == "a-pad"
    assert [hit.deprecated for hit in ask(world, "pad").hits] == ["Use a-pad.", None, "Use a-pad."]


def test_a_hit_tells_author_licence_and_links_that_are_web_addresses(world: World) -> None:
    release(
        world, world.account(), "pad", license={"type": "MIT"}, homepage="https://example.com/pad",
        author="Ann <ann@example.org> (https://example.org/ann)",
        repository={"url": "git+https://example.com/pad.git"}, bugs={"url": "javascript:alert(1)"},
    )  # fmt: skip
    (hit,) = ask(world, "pad").hits
    assert hit.links == {"homepage": "https://example.com/pad", "repository": "https://example.com/pad"}
    assert (hit.author, hit.license) == ({"name": "Ann", "email": "ann@example.org"}, "MIT")


def test_a_quarantined_package_is_not_found_by_its_owner_either(world: World) -> None:
    alice = world.account()
    release(world, alice, "pad")
    with world.by_operator() as tx:
        moderation.quarantine(tx, PackageName.parse("pad"), "Steals tokens.")
    assert names(world, "pad", alice) == names(world, "", alice) == []
    with world.by_operator() as tx:
        moderation.release(tx, PackageName.parse("pad"))
    assert names(world, "pad") == ["pad"]


def test_where_too_many_fit_names_and_the_newest_are_looked_at_and_the_answer_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 3)
    alice = world.account()
    for name in ("pad", "paddle", "first", "second", "third", "fourth"):
        release(world, alice, name, description="paddles")
    for asked in ("pad", "paddle"):  # a beginning that is a mark, and a longer one that is not
        found = ask(world, asked)
        assert found.hits[0].name == asked
        assert {hit.name for hit in found.hits} == {"pad", "paddle", "fourth", "third", "second"} - (
            {"pad"} if asked == "paddle" else set()
        )
        assert (found.total, found.more) == (len(found.hits), True)
    narrow = ask(world, "pad fir")
    assert ([hit.name for hit in narrow.hits], narrow.more) == (["first"], False)
    assert ask(world, "").total == 6, "without words all are counted"


def test_of_too_many_restricted_packages_ones_own_are_always_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 2)
    alice, bob = world.account(), world.account("bob")
    world.package("@bob/pad-own", bob, access="restricted")
    for number in range(3):
        world.package(f"@alice/pad-{number}", alice, access="restricted")
    for asked in ("pad", "", "maintainer:bob"):
        found = ask(world, asked, bob)
        assert [hit.name for hit in found.hits] == ["@bob/pad-own"]
        assert not found.more, "of other people's there may be thousands: none of them is bob's"
    assert names(world, "pad") == []


@pytest.mark.parametrize("asked", ["", "a", "keywords:x", "author:y a"])
def test_pages_beyond_the_last_are_empty(filled: World, asked: str) -> None:
    assert ask(filled, asked, offset=10_000).hits == []


def test_a_question_is_taken_apart_once(filled: World) -> None:
    taken = question.parse('  left  keywords:"a b",c  pad author:x ')
    assert taken.text == "left pad"
    assert taken.words == ("left", "pad")
    assert taken.demands == (
        ((mark(Facet.KEYWORD, "a b"),), (mark(Facet.KEYWORD, "c"),)),
        ((mark(Facet.AUTHOR, "x"),),),
    )
