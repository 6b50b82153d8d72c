"""Tokens: their form, how long they live, what they are limited to, and that a revoked one is dead at once."""

from __future__ import annotations

import binascii
import re
import string

import pytest

from tests.domain.conftest import Open
from tests.domain.world import AWAY, HOME, SECOND, Person, World
from twokey.audit.events import Event
from twokey.authority.principal import CredentialKind, Principal, TokenLimits
from twokey.db.schema import Token
from twokey.errors import AddressRefused, Invalid, NotFound, Unauthenticated
from twokey.tokens import limits, secret, tokens
from twokey.tokens.tokens import Wish

DAY = 24 * 60 * 60
BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
ANY = TokenLimits()


def bearer(world: World, text: str, address: str = HOME) -> Principal:
    return world.registry.authenticator.principal([f"Bearer {text}"], world.caller(address=address))


def listed(world: World, person: Person) -> list[str]:
    with world.registry.database.read() as connection:
        return [each.name for each in tokens.listing(connection, person.id, world.clock.at)]


def test_a_token_is_npm_and_thirty_random_characters_and_the_checksum_of_them() -> None:
    made = {secret.new_secret() for _ in range(200)}
    assert len(made) == 200
    for text in made:
        assert re.fullmatch(r"npm_[0-9A-Za-z]{36}", text)  # what npm's own log redaction masks
        number = 0
        for character in text[-6:]:
            number = number * 62 + BASE62.index(character)
        assert number == binascii.crc32(text[4:-6].encode())
        assert secret.is_well_formed(text)


def test_a_token_with_one_character_changed_is_none() -> None:
    text = secret.new_secret()
    for position in range(len(text)):
        for character in BASE62.replace(text[position], ""):
            assert not secret.is_well_formed(text[:position] + character + text[position + 1 :])


@pytest.mark.parametrize("text", ["", "npm_", "npm_" + "0" * 36 + "\n", " npm_" + "0" * 36, "pat_" + "0" * 36])
def test_what_has_not_the_form_is_no_token(text: str) -> None:
    assert not secret.is_well_formed(text)


def test_only_a_hash_of_the_secret_is_stored(world: World) -> None:
    alice = world.account()
    text, _ = world.mint(alice, Wish(CredentialKind.PUBLISH, "ci"))
    (row,) = world.rows(Token)
    assert row["secret_hash"] == secret.hashed(text)
    assert row["prefix"] == text[:12]
    assert text not in str(world.stored())
    assert text not in str(world.events())


def test_a_token_is_its_accounts_and_of_its_kind(world: World) -> None:
    alice = world.account()
    for kind in (CredentialKind.LOGIN, CredentialKind.PUBLISH, CredentialKind.AUTOMATION, CredentialKind.READ_ONLY):
        text, expected = world.mint(alice, Wish(kind, kind.value))
        assert bearer(world, text) == expected


@pytest.mark.parametrize(
    ("kind", "days"),
    [(CredentialKind.PUBLISH, 365), (CredentialKind.AUTOMATION, 365), (CredentialKind.GRANULAR, 90)],
)
def test_a_token_ends_after_the_days_of_its_kind(world: World, kind: CredentialKind, days: int) -> None:
    alice = world.account()
    text, _ = world.mint(alice, Wish(kind, "short"))
    world.clock.advance(days * DAY - 1)
    assert bearer(world, text).user_name == "alice"
    assert listed(world, alice) == ["short"]
    world.clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired"):
        bearer(world, text)
    assert listed(world, alice) == []


def test_a_read_only_token_does_not_end(world: World) -> None:
    text, _ = world.mint(world.account(), Wish(CredentialKind.READ_ONLY, "mirror"))
    world.clock.advance(100 * 365 * DAY)
    assert bearer(world, text).kind is CredentialKind.READ_ONLY


def test_a_login_token_ends_after_thirty_days_without_use_and_lives_on_with_it(world: World) -> None:
    alice = world.account()
    text, _ = world.mint(alice, Wish(CredentialKind.LOGIN, "laptop"))
    for _ in range(5):
        world.clock.advance(30 * DAY - 1)
        assert bearer(world, text).user_name == "alice"
        assert listed(world, alice) == ["laptop"]
    world.clock.advance(30 * DAY)
    assert listed(world, alice) == []
    with pytest.raises(Unauthenticated):
        bearer(world, text)


def test_a_wish_shortens_a_life_and_the_settings_bound_it(opened: Open) -> None:
    world = opened(lifetime_maximum=400, lifetime_read_only=400)
    alice = world.account()
    text, _ = world.mint(alice, Wish(CredentialKind.AUTOMATION, "a day", days=1))
    world.clock.advance(DAY)
    with pytest.raises(Unauthenticated):
        bearer(world, text)
    with world.nothing_changes(), pytest.raises(Invalid, match="at most 400 days"):
        world.mint(alice, Wish(CredentialKind.AUTOMATION, "for long", days=401))


def test_an_account_has_at_most_a_thousand_live_tokens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tokens.MOST_TOKENS == 1000
    monkeypatch.setattr(tokens, "MOST_TOKENS", 3)  # a thousand take too long here
    alice, bob = world.account(), world.account("bob")
    world.mint(alice, Wish(CredentialKind.PUBLISH, "ends", days=1))
    for number in range(2):
        world.mint(alice, Wish(CredentialKind.PUBLISH, str(number)))
    with world.nothing_changes(), pytest.raises(Invalid, match="revoke some first"):
        world.mint(alice, Wish(CredentialKind.PUBLISH, "one too many"))
    world.mint(bob, Wish(CredentialKind.PUBLISH, "of another account"))
    world.clock.advance(DAY)  # the first has ended, and no longer counts
    world.mint(alice, Wish(CredentialKind.PUBLISH, "in its place"))


def test_the_list_is_the_accounts_own_newest_first(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    for name in ("one", "two"):
        world.mint(alice, Wish(CredentialKind.PUBLISH, name))
        world.clock.advance(1)
    world.mint(bob, Wish(CredentialKind.PUBLISH, "bobs"))
    assert listed(world, alice) == ["two", "one"]


def test_a_revoked_token_is_dead_at_once_and_only_its_owner_may_revoke_it(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    text, principal = world.mint(alice, Wish(CredentialKind.PUBLISH, "stolen"))
    with world.nothing_changes(), pytest.raises(NotFound):
        world.revoke(bob, principal)
    world.revoke(alice, principal)
    with pytest.raises(Unauthenticated):
        bearer(world, text)
    assert listed(world, alice) == []
    assert world.events(Event.TOKEN_REVOKE)[0]["details"] == {"kind": "publish", "name": "stolen"}
    with world.nothing_changes(), pytest.raises(NotFound):
        world.revoke(alice, principal)


def test_all_tokens_but_one_are_revoked(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    kept = world.token(alice)
    world.token(alice, CredentialKind.AUTOMATION)
    world.mint(bob, Wish(CredentialKind.PUBLISH, "bobs"))
    with world.by_operator() as tx:
        assert tokens.revoke_all(tx, alice.id, but=kept.token_id) == 1
    assert listed(world, alice) == [kept.token_name]
    assert listed(world, bob) == ["bobs"]


def test_a_token_is_named_by_its_key_or_its_secret_and_by_its_owner_alone(world: World) -> None:
    alice, bob = world.account(), world.account("bob")
    text, principal = world.mint(alice, Wish(CredentialKind.PUBLISH, "ci"))
    with world.registry.database.read() as connection:
        assert tokens.key_of(connection, alice.id, text) == principal.token_key
        assert tokens.key_of(connection, alice.id, principal.token_key or "") == principal.token_key
        assert tokens.key_of(connection, bob.id, text) is None
        assert tokens.key_of(connection, alice.id, text[:12]) is None


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["192.0.2.0/24"], HOME, True),
        (["192.0.2.0/24"], AWAY, False),
        (["192.0.2.0/24"], "::ffff:192.0.2.1", True),
        (["192.0.2.0/24", "2001:db8::/32"], "2001:db8:1::7", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["192.0.2.1"], HOME, True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["192.0.2.0/24"], "", False),
    ],
)
def test_a_token_works_from_its_address_ranges_only(
    world: World, networks: list[str], address: str, allowed: bool
) -> None:
    within = TokenLimits(cidr=limits.networks(networks))
    text, _ = world.mint(world.account(), Wish(CredentialKind.PUBLISH, "office", within))
    if allowed:
        assert bearer(world, text, address).user_name == "alice"
        return
    with world.nothing_changes(), pytest.raises(AddressRefused):
        bearer(world, text, address)


def test_an_address_range_takes_its_plain_form_and_nonsense_is_refused() -> None:
    assert limits.networks(["192.0.2.77/24", "2001:DB8::/32"]) == ("192.0.2.0/24", "2001:db8::/32")
    for bad in (["here"], ["192.0.2.0/33"], ["192.0.2.0/24"] * 65):
        with pytest.raises(Invalid):
            limits.networks(bad)


def test_the_last_use_is_noted_at_most_once_a_minute_and_the_first_is_an_event(world: World) -> None:
    text, _ = world.mint(world.account(), Wish(CredentialKind.PUBLISH, "ci"))
    bearer(world, text)
    world.clock.advance(59)
    bearer(world, text, AWAY)
    (row,) = world.rows(Token)
    assert (row["last_used_at"], row["last_used_address"]) == (world.clock.at - 59 * SECOND, HOME)
    world.clock.advance(1)
    bearer(world, text, AWAY)
    (row,) = world.rows(Token)
    assert (row["last_used_at"], row["last_used_address"]) == (world.clock.at, AWAY)
    assert len(world.events(Event.TOKEN_FIRST_USE)) == 1


def test_a_closed_accounts_token_is_refused_and_good_again_when_it_is_opened(world: World) -> None:
    from twokey.accounts import users

    text, _ = world.mint(world.account(), Wish(CredentialKind.PUBLISH, "ci"))
    with world.by_operator() as tx:
        users.set_disabled(tx, "alice", True)
    with world.nothing_changes(), pytest.raises(Unauthenticated, match="closed"):
        bearer(world, text)
    with world.by_operator() as tx:
        users.set_disabled(tx, "alice", False)
    assert bearer(world, text).user_name == "alice"
