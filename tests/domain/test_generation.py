"""Marks tell of every change that readers may not go on without, and of nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.domain.world import World
from twokey.authority.principal import CredentialKind
from twokey.db.engine import Database
from twokey.db.generation import Generation, place_of, stamp_in
from twokey.guard.watch import Watch


def stamps(generation: Generation) -> tuple[bytes, bytes]:
    """What bears on two packages whose places differ."""
    assert place_of("one") != place_of("other")
    return generation.stamp(place_of("one")), generation.stamp(place_of("other"))


def test_a_mark_of_one_package_leaves_the_others_and_any_other_mark_leaves_none() -> None:
    generation = Generation()
    one, other = stamps(generation)
    generation.mark("one")
    assert stamps(generation)[0] != one
    assert stamps(generation)[1] == other
    one, other = stamps(generation)
    generation.mark()
    assert stamps(generation)[0] != one
    assert stamps(generation)[1] != other


def test_a_snapshot_has_the_stamp_of_every_package() -> None:
    generation = Generation()
    generation.mark()
    generation.mark("one")
    assert stamp_in(generation.snapshot(), place_of("one")) == generation.stamp(place_of("one"))


def test_another_process_sees_the_mark(tmp_path: Path) -> None:
    generation = Generation(tmp_path / "generation")
    before = stamps(generation)
    code = "import sys; from pathlib import Path; from twokey.db.generation import Generation; "
    code += "Generation(Path(sys.argv[1])).mark('one')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "generation")], check=True, timeout=60)
    assert stamps(generation)[0] != before[0]
    assert stamps(generation)[1] == before[1]


def test_a_write_marks_after_its_commit_unless_it_is_quiet_or_taken_back(world: World) -> None:
    database = world.registry.database

    def marked_by(**how: object) -> tuple[bool, bool]:
        before = stamps(database.generation)
        with database.write(**how):  # type: ignore[arg-type]
            assert stamps(database.generation) == before, "not before the commit"
        one, other = stamps(database.generation)
        return one != before[0], other != before[1]

    assert marked_by() == (True, True)
    assert marked_by(package="one") == (True, False)
    assert marked_by(quietly=True) == (False, False)
    before = stamps(database.generation)
    with pytest.raises(ValueError, match="taken back"), database.write():
        raise ValueError("taken back")
    assert stamps(database.generation) == before


def test_a_commit_that_fails_marks_too_as_it_may_have_come_through(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE a (id INTEGER PRIMARY KEY)"))
        connection.execute(text("CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)"))
    before = stamps(database.generation)
    with pytest.raises(SQLAlchemyError), database.write() as connection:
        connection.execute(text("INSERT INTO b VALUES (1)"))
    assert stamps(database.generation) != before
    database.dispose()


def test_what_the_trail_tells_of_is_marked_where_it_belongs(world: World) -> None:
    database, alice = world.registry.database, world.account()
    login = world.token(alice)
    watch = Watch(database)
    watch.look()

    def marked() -> tuple[bool, bool]:
        before = stamps(database.generation)
        watch.look()
        one, other = stamps(database.generation)
        return one != before[0], other != before[1]

    assert marked() == (False, False)
    world.publish(login, "one", "1.0.0")
    assert marked() == (True, False)
    token = world.token(alice, CredentialKind.PUBLISH)
    assert marked() == (False, False), "nobody remembers a token that is new"
    world.revoke(alice, token)
    assert marked() == (True, True)
    assert marked() == (False, False)


def test_while_the_database_does_not_answer_everything_is_marked(tmp_path: Path) -> None:
    gone = Database(f"sqlite:///{tmp_path}/gone/twokey.db")
    watch = Watch(gone)
    for _ in range(2):
        before = stamps(gone.generation)
        watch.look()
        assert stamps(gone.generation) != before
    gone.dispose()
