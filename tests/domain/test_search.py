"""Search: what is found by which words, in which order, and what nobody finds who may not know of it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, text, update

from tests.domain.conftest import Open
from tests.domain.world import Person, World
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind
from twokey.db.schema import SearchDocument, Version
from twokey.errors import Invalid
from twokey.packages import indexing, packages, search
from twokey.packages.names import PackageName
from twokey.packages.search import Hit, Results
from twokey.publishing import publish, withdraw


def release(world: World, owner: Person, name: str, version: str = "1.0.0", **manifest: object) -> None:
    """Publishes a version with this manifest, a second after what came before."""
    world.clock.advance(1)
    target = Target(package=name, scope=PackageName.parse(name).scope, version=version)
    caller = world.caller(world.token(owner, CredentialKind.AUTOMATION))
    with world.registry.door.write(world.registry.door.require(caller, Action.PUBLISH, target)) as tx:
        publish.publish(tx, world.prepared(name, version, **manifest), world.registry.signer)


def ask(world: World, question: str, by: Person | None = None, size: int = 20, offset: int = 0) -> Results:
    with world.registry.database.read() as connection:
        user_id = None if by is None else by.id
        return search.find(connection, question, user_id=user_id, size=size, offset=offset)


def names(world: World, question: str, by: Person | None = None) -> list[str]:
    found = ask(world, question, by)
    assert found.total == len(found.hits)
    return [hit.name for hit in found.hits]


def test_a_hit_tells_what_the_latest_version_says(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    release(world, alice, "@alice/left-pad", description="Pads a line.", keywords=["pad", "line"])
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found("@alice/left-pad"), ["bob", "alice"], None)
    published_at = world.rows(Version)[0]["published_at"]
    (hit,) = ask(world, "left").hits
    assert hit == Hit(
        world.found("@alice/left-pad").id, "@alice/left-pad", "1.0.0", "Pads a line.", ("pad", "line"), "alice",
        "alice@example.com", published_at, None,
        (("alice", "alice@example.com"), ("bob", "bob@example.com")), {}, {}, "",
    )  # fmt: skip
    release(world, bob, "@alice/left-pad", "2.0.0", description="Pads two.")
    (hit,) = ask(world, "left").hits
    assert (hit.version, hit.description, hit.keywords, hit.publisher) == ("2.0.0", "Pads two.", (), "bob")
    assert names(world, "line") == []


@pytest.mark.parametrize(
    "question",
    [
        "left-pad", "LEFT", "pad", "leftpad", "leftp", "@acme/left-pad", "acme", "acm pad", "left, pad!", "caf", "CAFÉ",
        "cafe", "grö", "日本", "2nd", "keyw", "-- left --",
    ],
)  # fmt: skip
def test_every_word_that_begins_a_word_of_the_package_finds_it(world: World, question: str) -> None:
    release(world, world.account(), "@acme/left-pad", description="Größe, 2nd Café", keywords=["日本", "keyword"])
    assert names(world, question) == ["@acme/left-pad"]


@pytest.mark.parametrize(
    "question", ["eft", "left right", "!!!", "-", "left-pad2", "padleft", "本", "\0", "*", '"', "u00e9"]
)
def test_what_begins_no_word_finds_nothing(world: World, question: str) -> None:
    release(world, world.account(), "@acme/left-pad", description="Café", keywords=["日本"])
    assert names(world, question) == []


def test_the_best_name_comes_first_then_where_the_word_is_then_what_is_new(world: World) -> None:
    alice = world.account()
    release(world, alice, "in-words", description="All about pad and padding, at some length.")
    release(world, alice, "in-keywords", keywords=["pad"])
    release(world, alice, "right-pad")
    release(world, alice, "padding")
    release(world, alice, "pad")
    release(world, alice, "later-pad")
    found = names(world, "pad")
    assert found[:2] == ["pad", "padding"]
    assert sorted(found[2:4]) == ["later-pad", "right-pad"]
    assert found[4:] == ["in-keywords", "in-words"]
    assert found.index("later-pad") < found.index("right-pad"), "of two that are as good, the newer"


def test_without_words_the_newest_come_first(world: World) -> None:
    alice = world.account()
    for name in ("first", "second", "third"):
        release(world, alice, name)
    release(world, alice, "first", "1.0.1")
    assert names(world, "") == names(world, " \n") == ["first", "third", "second"]


def test_a_package_that_is_not_public_is_found_and_counted_for_its_owners_only(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    world.package("@alice/secret", alice, access="restricted")
    release(world, bob, "open-secret")
    for question in ("secret", ""):
        assert sorted(names(world, question, alice)) == ["@alice/secret", "open-secret"]
        assert names(world, question, bob) == names(world, question) == ["open-secret"]
    with world.by_operator() as tx:
        packages.change_owners(tx, world.found("@alice/secret"), ["bob"], None)
    assert names(world, "alice", bob) == ["@alice/secret"]
    assert names(world, "alice", alice) == []


def test_the_index_follows_dist_tags_and_what_is_withdrawn(world: World) -> None:
    alice = world.account()
    release(world, alice, "pkg", "1.0.0", description="old")
    release(world, alice, "pkg", "2.0.0", description="new")
    with world.by_operator() as tx:
        packages.set_dist_tag(tx, world.found("pkg"), "latest", "1.0.0")
    assert (names(world, "old"), names(world, "new")) == (["pkg"], [])
    with world.by_operator() as tx:
        withdraw.remove_versions(tx, world.found("pkg"), {"2.0.0"}, {}, None)
    assert (names(world, "old"), names(world, "new")) == ([], ["pkg"])
    with world.by_operator() as tx:
        withdraw.remove_package(tx, world.found("pkg"), None)
    assert names(world, "pkg") == names(world, "") == []
    assert world.rows(SearchDocument) == []
    with world.registry.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM search_index")).scalar_one() == 0


def test_pages_follow_one_another_and_the_total_stays(world: World) -> None:
    alice = world.account()
    for number in range(5):
        release(world, alice, f"pad-{number}")
    pages = [ask(world, "pad", size=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [page.total for page in pages] == [5, 5, 5, 5]
    assert [len(page.hits) for page in pages] == [2, 2, 1, 0]
    assert len({hit.name for page in pages for hit in page.hits}) == 5
    assert ask(world, "pad", size=0).hits == []
    assert len(ask(world, "pad", size=10**6).hits) == 5


def test_a_question_out_of_bounds_is_refused(world: World) -> None:
    ask(world, "x" * 500, offset=10_000)
    for question, offset in (("x" * 501, 0), ("x", 10_001), ("x", -1)):
        with pytest.raises(Invalid):
            ask(world, question, offset=offset)


HOSTILE_MANIFESTS: list[dict[str, Any]] = [
    {"keywords": "one, two three"},
    {"keywords": 7},
    {"keywords": {"one": "two"}},
    {"keywords": ["one", ["two", ["three"]], 4, None, {"five": 6}]},
    {"keywords": ["k" * 10_000] * 60},
    {"keywords": ["a"] * 1000, "description": "d" * 500_000},
    {"description": {"type": "text"}},
    {"description": ["one"]},
    {"description": "a\u001b[31mb\u202ec\u0085d\u2028e", "keywords": ["\u0007bell", "\u0001"]},
    {"description": "'one':1A & 'two' | !three:* <-> \\ \" ) ("},
    {"description": "\U00010348 \U0001f600 e\u0301 \u0130 \ufdfa ǆ " + "\u0301" * 400},
    {"description": "一" * 512, "keywords": ["Ａ１", "½", "²"]},
]


@pytest.mark.parametrize("manifest", HOSTILE_MANIFESTS, ids=lambda manifest: json.dumps(manifest)[:40])
def test_whatever_a_manifest_holds_is_indexed_within_bounds(world: World, manifest: dict[str, Any]) -> None:
    release(world, world.account(), "pkg", **manifest)
    (hit,) = ask(world, "pkg").hits
    assert len(hit.description) <= 512
    assert len(hit.keywords) <= 50
    assert all(0 < len(each) <= 64 for each in hit.keywords)
    for each in (hit.description, *hit.keywords):
        assert not set(each) & {chr(code) for code in (*range(32), *range(127, 160), 0x202E)}
    for word in indexing.words(" ".join((hit.description, *hit.keywords)))[:3]:
        assert word


def test_a_single_text_of_keywords_is_several(world: World) -> None:
    release(world, world.account(), "pkg", keywords="one, two three")
    assert ask(world, "two").hits[0].keywords == ("one", "two", "three")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=501),
        st.text(alphabet="ab \"'*:&|!()<->^\\{}+-.,_~%\0\n", max_size=60),
        st.lists(st.sampled_from(["AND", "OR", "NOT", "NEAR(", "left", "*", '"', "name:", "^", "<->", ":*"])).map(
            " ".join
        ),
        st.text(alphabet=st.characters(categories=["Cs", "Lo", "Mn", "Nd"]), max_size=20),
    )
)
def test_no_question_fails_but_one_that_is_too_long(world: World, question: str) -> None:
    if not world.rows(Version):
        release(world, world.account(), "left-pad", description="and or not near")
    try:
        found = ask(world, question)
    except Invalid:
        assert len(question) > 500
    else:
        assert found.total == len(found.hits) <= 1


def test_a_question_of_as_many_words_as_fit_is_answered(world: World) -> None:
    release(world, world.account(), "left-pad")
    many = " ".join(chr(0x4E00 + number) for number in range(250))
    assert names(world, many) == []
    release(world, world.account("bob"), "every-word", description=many)
    assert names(world, many) == ["every-word"]


def test_what_an_author_writes_is_found_by_its_own_words(world: World) -> None:
    alice = world.account()
    for number, manifest in enumerate(HOSTILE_MANIFESTS):
        release(world, alice, f"pkg-{number}", **manifest)
    for hit in ask(world, "").hits:
        for word in hit.description.split()[:5]:
            if indexing.words(word):
                assert hit.name in names(world, word[: indexing.LONGEST_WORD])


def test_packages_from_before_the_index_are_indexed_at_the_next_start(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "BATCH", 2)
    world = opened()
    alice = world.account()
    for name in ("one", "two", "three", "four", "five"):
        release(world, alice, name)
    with world.by_operator() as tx:
        withdraw.remove_package(tx, world.found("five"), None)
    with world.registry.database.write() as connection:
        connection.execute(delete(SearchDocument))
        connection.execute(text("DELETE FROM search_index"))
    assert names(world, "") == names(world, "one") == []
    again = opened()
    assert sorted(names(again, "")) == ["four", "one", "three", "two"]
    assert names(again, "one") == ["one"]
    assert indexing.index_missing(again.registry.database) == 0


def test_a_page_of_twenty_hits_takes_as_many_statements_as_a_page_of_one(world: World) -> None:
    alice = world.account()
    for number in range(6):
        release(world, alice, f"pad-{number}")
    taken: list[int] = []
    for size in (1, 20):
        statements: list[str] = []
        with world.registry.database.read() as connection:
            event.listen(connection, "before_cursor_execute", lambda *each, kept=statements: kept.append(each[2]))
            assert len(search.find(connection, "pad", user_id=alice.id, size=size, offset=0).hits) == min(size, 6)
        taken.append(len(statements))
    assert taken[0] == taken[1] <= 8


def test_a_manifest_of_megabytes_is_indexed_in_a_moment(world: World) -> None:
    release(world, world.account(), "pkg")
    huge = {"description": "word " * 1_000_000, "keywords": ["key, word " * 100] * 1000}
    with world.registry.database.write() as connection:
        connection.execute(update(Version).values(manifest=json.dumps(huge)))
        started = time.process_time()
        indexing.reindex(connection, world.found("pkg").id)
        assert time.process_time() - started < 1
