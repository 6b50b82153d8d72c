"""Settings that an administrator changes at run time: they hold from the next question on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.domain.administrators import acts, administrator
from tests.domain.conftest import Open
from tests.domain.world import SECOND, World
from twokey.accounts import site_settings
from twokey.audit.events import Event
from twokey.authority.actions import Action
from twokey.authority.permit import Target
from twokey.authority.principal import CredentialKind, Mode, Principal
from twokey.db.schema import Token
from twokey.db.schema_site import SiteSetting
from twokey.errors import Invalid, Refused
from twokey.guard import site
from twokey.tokens.tokens import Wish

DAY = 86_400


@pytest.fixture
def admin(world: World) -> Principal:
    return administrator(world)


def change(world: World, admin: Principal, **wanted: str) -> None:
    now = site_settings.texts(world.registry.site())
    with acts(world, admin) as tx:
        site_settings.change(tx, site.default(world.registry.settings), {**now, **wanted})


def sign_up(world: World) -> None:
    world.registry.door.require(world.caller(), Action.SIGN_UP, Target(account="bob"))


def test_sign_up_follows_the_page_and_not_the_start(world: World, admin: Principal) -> None:
    sign_up(world)
    for signup, words in (("closed", "closed"), ("invite", "needs an invitation link")):
        change(world, admin, signup=signup)
        with world.nothing_changes(), pytest.raises(Refused, match=words):
            sign_up(world)
    change(world, admin, signup="open")
    sign_up(world)
    assert world.rows(SiteSetting) == [], "what the instance was started with is no row"
    assert len(world.events(Event.SETTINGS_CHANGE)) == 3


def test_another_process_on_the_same_database_follows_at_once(opened: Open, world: World, admin: Principal) -> None:
    other = opened()
    change(world, admin, signup="closed")
    with pytest.raises(Refused, match="closed"):
        sign_up(other)


def test_a_second_factor_is_required_from_the_day_that_was_said(world: World, admin: Principal) -> None:
    alice = world.account()
    login = world.token(alice)
    world.package("pkg", alice)
    day = datetime.fromtimestamp(world.clock.at // SECOND + 2 * DAY, UTC)
    change(world, admin, require_2fa="publishers", require_2fa_from=f"{day:%Y-%m-%d}")
    begins = int(day.replace(hour=0, minute=0, second=0).timestamp())
    world.publish(login, "pkg", "1.1.0")
    world.clock.at = begins * SECOND - 1
    world.publish(login, "pkg", "1.2.0")
    world.clock.at += 1
    with world.nothing_changes(), pytest.raises(Refused, match="asks for two-factor authentication"):
        world.publish(login, "pkg", "1.3.0")


def test_without_a_day_it_is_required_at_once_and_the_last_factor_stays(world: World, admin: Principal) -> None:
    bob = world.account("bob", Mode.AUTH_ONLY)
    change(world, admin, require_2fa="everyone")
    caller = world.caller(world.token(bob), otp=world.code(bob), password="violet tractor sings 42")
    with world.nothing_changes(), pytest.raises(Refused, match="last factor cannot be removed"):
        world.registry.door.require(
            caller, Action.CHANGE_SECOND_FACTOR, Target(account="bob"), removes_last_factor=True
        )


def test_new_tokens_live_as_long_as_the_page_says(world: World, admin: Principal) -> None:
    alice = world.account()
    change(world, admin, lifetime_automation="7", lifetime_read_only="90", lifetime_maximum="365")
    world.mint(alice, Wish(CredentialKind.AUTOMATION, "ci"))
    with world.nothing_changes(), pytest.raises(Invalid, match="at most 365 days"):
        world.mint(alice, Wish(CredentialKind.AUTOMATION, "longer", days=366))
    lives = {row["name"]: row["expires_at"] - row["created_at"] for row in world.rows(Token) if row["expires_at"]}
    assert lives == {"ci": 7 * DAY * SECOND}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"signup": "perhaps"}, "Sign-up is"),
        ({"require_2fa": "some"}, "required of"),
        ({"require_2fa": "everyone", "require_2fa_from": "tomorrow"}, "has the form"),
        ({"lifetime_login": "0"}, "number of days"),
        ({"lifetime_login": "١"}, "number of days"),
        ({"lifetime_publish": "36501"}, "number of days"),
        ({"lifetime_maximum": "30"}, "would live longer"),
        ({}, "Nothing was changed"),
    ],
)
def test_what_cannot_be_kept_is_refused(world: World, admin: Principal, wanted: dict[str, str], words: str) -> None:
    with world.nothing_changes(), pytest.raises(Invalid, match=words):
        change(world, admin, **wanted)


def test_a_start_with_longer_lives_than_the_maximum_of_the_page_keeps_to_the_maximum(opened: Open) -> None:
    world = opened(lifetime_read_only=30)
    change(world, administrator(world), lifetime_maximum="365")
    again = opened(lifetime_read_only=None, lifetime_publish=900)
    lifetimes = again.registry.site().lifetimes
    assert (lifetimes.read_only, lifetimes.publish, lifetimes.login) == (365, 365, 30)
