"""What a search looks at where many packages fit, and many words are asked."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from tests.domain.test_search import ask, names, release
from tests.domain.world import World
from twokey.packages import full_text, indexing, search


@pytest.fixture
def in_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest packages are looked through first two by two."""
    monkeypatch.setattr(indexing, "BLOCKS", (2, 4))
    monkeypatch.setattr(full_text, "BLOCKS", (2, 4))
    monkeypatch.setattr(full_text, "FIRST_LOOKED_THROUGH", 1)
    monkeypatch.setattr(full_text, "MOST_BLOCKS", 2)


@pytest.mark.usefixtures("in_small_blocks")
def test_the_newest_that_fit_are_found_wherever_they_are(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 3)
    alice = world.account()
    fitting = {"first": (1, 2), "spread": (2, 6, 11), "last": (18, 19, 20), "many": range(4, 21)}
    for number in range(1, 21):
        said = " ".join(word for word, numbers in fitting.items() if number in numbers)
        release(world, alice, f"pkg-{number}", description=f"{said} every")
    for word, numbers in fitting.items():
        found = ask(world, word)
        assert {hit.name for hit in found.hits} == {f"pkg-{number}" for number in sorted(numbers)[-3:]}
        assert found.more is (len(numbers) >= 3)
    assert {hit.name for hit in ask(world, "every").hits} == {"pkg-18", "pkg-19", "pkg-20"}
    assert names(world, "first spread") == ["pkg-2"]
    assert names(world, "first last") == []


@pytest.mark.usefixtures("in_small_blocks")
def test_a_common_word_is_looked_for_once_and_by_postgresql_among_new_packages_only(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LOOKED_AT", 1)
    alice = world.account()
    for number in range(1, 21):
        release(world, alice, f"pkg-{number}", description="every")
    asked: list[str] = []
    with world.registry.database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *each: asked.append(str(each[3])))
        search.find(connection, "every", user_id=None, size=1, offset=0)
    looked_for = [each for each in asked if "λevery" in each and search.PUBLIC in each and "κn" not in each]
    assert len(looked_for) == 1
    assert world.registry.database.is_sqlite or "τ2x10" in looked_for[0]


def test_of_many_words_each_counts(world: World) -> None:
    alice = world.account()
    words = [f"word{chr(97 + number)}" for number in range(full_text.MOST_WORDS_AT_ONCE + 6)]
    release(world, alice, "all", description=" ".join(words))
    release(world, alice, "but-one", keywords=words[:-1])
    release(world, alice, "first", keywords=words[:3])
    assert names(world, " ".join(words)) == ["all"]
    assert sorted(names(world, " ".join(words[:-1]))) == ["all", "but-one"]
    assert names(world, " ".join([*words, "none"])) == []
    assert names(world, " ".join([*words, "unheardof"])) == []
