"""Secrets at rest: bound to their row, opened by any key of the file, and no start with a file that is not right."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from twokey.errors import ConfigurationError, IntegrityFault
from twokey.vault import Vault, key_id_of, keyed_hash

ROW = "authenticators|a1|7|totp-secret"
SECRET = b"twenty bytes of seed"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.key"


def test_what_was_sealed_opens_for_the_same_row(path: Path) -> None:
    vault = Vault(path)
    sealed = vault.seal(SECRET, ROW)
    assert vault.open(sealed, ROW) == SECRET
    assert SECRET not in sealed
    assert key_id_of(sealed) == vault.newest_key_id
    assert vault.seal(SECRET, ROW) != sealed, "a fresh nonce each time"


@pytest.mark.parametrize(
    "other",
    [
        "authenticators|a2|7|totp-secret",
        "authenticators|a1|8|totp-secret",
        "recovery_sets|a1|7|totp-secret",
        "authenticators|a1|7|recovery-key",
        "",
    ],
)
def test_moved_to_another_row_it_does_not_open(path: Path, other: str) -> None:
    vault = Vault(path)
    with pytest.raises(IntegrityFault, match="does not belong to the row"):
        vault.open(vault.seal(SECRET, ROW), other)


def test_no_changed_byte_goes_unnoticed(path: Path) -> None:
    vault = Vault(path)
    sealed = vault.seal(SECRET, ROW)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(IntegrityFault):
            vault.open(bytes(changed), ROW)


def test_no_cut_goes_unnoticed(path: Path) -> None:
    vault = Vault(path)
    sealed = vault.seal(SECRET, ROW)
    for length in range(len(sealed)):
        with pytest.raises(IntegrityFault):
            vault.open(sealed[:length], ROW)


def test_a_secret_sealed_under_one_key_does_not_pass_for_another_keys(path: Path) -> None:
    vault = Vault(path)
    sealed = vault.seal(SECRET, ROW)
    vault.add_key()
    with pytest.raises(IntegrityFault):
        vault.open(vault.newest_key_id.encode() + sealed[8:], ROW)


def test_the_newest_key_seals_and_every_key_opens(path: Path) -> None:
    vault = Vault(path)
    old = vault.seal(SECRET, ROW)
    first, second = vault.newest_key_id, vault.add_key()
    new = vault.seal(SECRET, ROW)
    assert (key_id_of(old), key_id_of(new)) == (first, second)
    assert vault.key_ids == {first, second}
    assert Vault(path).open(old, ROW) == Vault(path).open(new, ROW) == SECRET


def test_a_rotation_is_seen_by_a_vault_that_was_open_before(path: Path) -> None:
    server, operator = Vault(path), Vault(path)
    old = server.seal(SECRET, ROW)
    added = operator.add_key()
    assert server.open(operator.seal(SECRET, ROW), ROW) == SECRET
    assert key_id_of(server.seal(SECRET, ROW)) == added
    operator.drop_keys(frozenset({key_id_of(old)}))
    assert server.key_ids == {added}
    with pytest.raises(IntegrityFault, match="not in the key file"):
        server.open(old, ROW)


def test_the_newest_key_is_never_dropped(path: Path) -> None:
    vault = Vault(path)
    vault.drop_keys(vault.key_ids)
    assert len(vault.key_ids) == 1


def test_the_file_is_its_owners_alone(path: Path) -> None:
    vault = Vault(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    vault.add_key()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["vault.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_stops_the_start(path: Path, mode: int) -> None:
    Vault(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=r"open to others: run chmod 600"):
        Vault(path)


GOOD = {"id": "0123abcd", "key": "A" * 43 + "="}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b'{"keys":',
        b"[]",
        b'{"keys":[]}',
        b'{"keys":[{"id":"0123abcd"}]}',
        b'{"keys":[{"id":"0123abcd","key":1}]}',
        json.dumps({"keys": [GOOD], "more": 1}).encode(),
        json.dumps({"keys": [{**GOOD, "key": "not base64!"}]}).encode(),
        json.dumps({"keys": [{**GOOD, "key": "AAAA"}]}).encode(),
        json.dumps({"keys": [{**GOOD, "key": ""}]}).encode(),
        json.dumps({"keys": [{**GOOD, "id": "short"}]}).encode(),
        json.dumps({"keys": [{**GOOD, "id": "much too long"}]}).encode(),
        json.dumps({"keys": [GOOD, {**GOOD, "key": "B" * 43 + "="}]}).encode(),
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_stops_the_start_with_a_sentence_and_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="restore it from its copy"):
        Vault(path)
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_stops_the_start_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        Vault(tmp_path / "missing" / "vault.key")


def test_a_file_that_is_gone_while_serving_is_said_in_a_sentence(path: Path) -> None:
    vault = Vault(path)
    sealed = vault.seal(SECRET, ROW)
    path.unlink()
    assert vault.open(sealed, ROW) == SECRET
    with pytest.raises(ConfigurationError):
        vault.seal(SECRET, ROW)


def test_a_keyed_hash_tells_equal_values_and_needs_the_key() -> None:
    assert keyed_hash(b"k", "192.0.2.1") == keyed_hash(b"k", "192.0.2.1")
    assert keyed_hash(b"k", "192.0.2.1") != keyed_hash(b"l", "192.0.2.1")
    assert keyed_hash(b"k", "192.0.2.1") != keyed_hash(b"k", "192.0.2.2")
