"""What stops a start: one sentence that says what to do, exit 2, nothing made."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.support import FREE_PORT, Serving, everything, run, sign_up
from tests.support.ports import free_port


def refused(cwd: Path, settings: Mapping[str, str], *args: str) -> str:
    """The sentence of a start that is refused; the folder is as it was."""
    before = everything(cwd)
    done = run(*(args or ("serve",)), cwd=cwd, settings={**FREE_PORT, **settings})
    assert done.returncode == 2, done
    assert done.stdout == "", done
    assert done.stderr.startswith("twokey: "), done
    assert done.stderr.endswith(".\n"), done
    assert done.stderr.count("\n") == 1, done
    assert everything(cwd) == before
    return done.stderr.removeprefix("twokey: ").removesuffix("\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_in_use_on_either_loopback_address(tmp_path: Path, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as other:
        try:
            other.bind((address, free_port()))
        except OSError:
            assert address == "::1"
            return  # the machine has no IPv6: there is nothing to be in use
        other.listen()
        port = str(other.getsockname()[1])
        sentence = refused(tmp_path, {"TWOKEY_PORT": port})
    expected = f"Port {port} on {address} is in use: stop what listens there, or set TWOKEY_PORT to another."
    assert sentence == expected


def test_a_second_server_of_the_same_folder_on_the_same_port(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        done = run("serve", cwd=tmp_path, settings={"TWOKEY_PORT": str(serving.port)})
        assert done.returncode == 2
        assert "is in use" in done.stderr
        assert serving.ask("GET", "/-/health")[0] == 200


@pytest.mark.parametrize("below", ["taken/data", "taken"])
def test_a_data_folder_that_cannot_be_written(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("a file")
    sentence = refused(tmp_path, {"TWOKEY_DATA": below})
    assert sentence == f"The data folder {below} cannot be written: Not a directory. Set TWOKEY_DATA to one that can."


@pytest.mark.parametrize("args", [("serve",), ("admin", "user", "list"), ("admin", "fsck")])
def test_an_unknown_setting_in_the_environment_stops_every_command(tmp_path: Path, args: tuple[str, ...]) -> None:
    sentence = refused(tmp_path, {"TWOKEY_PROT": "4873"}, *args)
    assert sentence == "TWOKEY_PROT is not a setting of twokey: see docs/operate.md, or unset it."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "twokey.toml: prot is not a setting of twokey: see docs/operate.md, or remove it."),
        ("PORT = 1", "twokey.toml: PORT is not a setting of twokey: see docs/operate.md, or remove it."),
        ("port = true", "twokey.toml: port must be text, a whole number or a list of texts."),
        ("[port]\nx = 1", "twokey.toml: port must be text, a whole number or a list of texts."),
        ("trusted_proxies = [1]", "twokey.toml: trusted_proxies must be text, a whole number or a list of texts."),
        ("port = ", "The settings file twokey.toml cannot be read: "),
        ('port = "8x"', "TWOKEY_PORT='8x' cannot be used: must be a whole number from 0 to 65535."),
    ],
)
def test_a_settings_file_with_a_fault(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "twokey.toml").write_text(text)
    environ = {"TWOKEY_CONFIG": "twokey.toml"}
    before = everything(tmp_path)
    done = run("serve", cwd=tmp_path, settings=environ)  # without a port: the environment would win over the file
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"twokey: {said}"), done
    assert everything(tmp_path) == before


def test_a_settings_file_that_is_named_and_missing(tmp_path: Path) -> None:
    sentence = refused(tmp_path, {"TWOKEY_CONFIG": "other.toml"})
    assert sentence.startswith("The settings file other.toml cannot be read: ")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TWOKEY_LIMIT_OTP": "9", "TWOKEY_LIMIT_OTP_HOUR": "8"}, "TWOKEY_LIMIT_OTP_HOUR must not be less"),
        ({"TWOKEY_LIMIT_OTP_ADDRESS_HOUR": "1"}, "TWOKEY_LIMIT_OTP_ADDRESS_HOUR must not be less"),
        ({"TWOKEY_LIMIT_RECOVERY_DAY": "1"}, "TWOKEY_LIMIT_RECOVERY_DAY must not be less"),
        ({"TWOKEY_LIFETIME_MAXIMUM": "30"}, "TWOKEY_LIFETIME_PUBLISH is longer than TWOKEY_LIFETIME_MAXIMUM=30"),
    ],
)
def test_settings_that_contradict_each_other(tmp_path: Path, settings: dict[str, str], said: str) -> None:
    assert refused(tmp_path, settings).startswith(said)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "npm.example.com"])
def test_a_listener_that_others_reach_without_an_address_for_clients(tmp_path: Path, host: str) -> None:
    sentence = refused(tmp_path, {"TWOKEY_HOST": host})
    expected = f"TWOKEY_HOST={host} is reachable from other machines: set TWOKEY_URL to the address that clients use."
    assert sentence == expected


def test_a_listener_that_others_reach_starts_with_an_address_for_clients(tmp_path: Path) -> None:
    settings = {**FREE_PORT, "TWOKEY_HOST": "0.0.0.0", "TWOKEY_URL": "https://npm.example.com"}
    with Serving(tmp_path, settings) as serving:
        assert serving.ask("GET", "/")[1]["use"] == "npm config set registry https://npm.example.com/"
        assert serving.banner_line("use it") == "npm config set registry https://npm.example.com/"


def test_a_host_that_is_no_address_of_this_machine(tmp_path: Path) -> None:
    sentence = refused(tmp_path, {"TWOKEY_HOST": "192.0.2.7", "TWOKEY_URL": "https://npm.example.com"})
    assert sentence.startswith("192.0.2.7 port 0 cannot be listened on: ")


@pytest.mark.parametrize(
    "url",
    [
        "", "npm.example.com", "ftp://npm.example.com", "https://", "https:///path", "https://npm.example.com:port",
        "https://npm.example.com:99999", "https://user@npm.example.com", "https://:pw@npm.example.com",
        "https://npm.example.com/?a=b", "https://npm.example.com/?", "https://npm.example.com/#x",
        "https://npm example.com", "https://npm.example.com/a b", "https://[::1", "https://[:::]",
        'https://npm.example.com/"', "https://npm.example.com\n", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_address_for_clients_that_is_none(tmp_path: Path, url: str) -> None:
    assert refused(tmp_path, {"TWOKEY_URL": url}).startswith(f"TWOKEY_URL={url!r} cannot be used: ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ISSUER", "twelve-chars", "must have at most 11 characters (a space or sign counts as three), or the QR"),
        ("ISSUER", "Müller", "must be ASCII text without a colon"),
        ("ISSUER", "a:b", "must be ASCII text without a colon"),
        ("ISSUER", "", "must be ASCII text without a colon"),
        ("PORT", "65536", "must be a whole number from 0 to 65535"),
        ("PORT", "-1", "must be a whole number from 0 to 65535"),
        ("PORT", "٣", "must be a whole number from 0 to 65535"),
        ("PORT", "9" * 5000, "Exceeds the limit"),
        ("HOST", "", "must be text, and not empty"),
        ("DATA", "", "must be text, and not empty"),
        ("SIGNUP", "yes", "must be one of open, invite, closed"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("TRUSTED_PROXIES", "proxy", "'proxy' does not appear to be an IPv4 or IPv6 network"),
        ("LIFETIME_LOGIN", "0", "must be a whole number from 1 to 36500"),
        ("LOG_LEVEL", "loud", "must be one of debug, info, warning, error"),
    ],
)
def test_a_value_that_cannot_be(tmp_path: Path, name: str, value: str, said: str) -> None:
    sentence = refused(tmp_path, {f"TWOKEY_{name}": value})
    assert sentence.startswith(f"TWOKEY_{name}={value!r} cannot be used: {said}")


@pytest.mark.parametrize("database", ["", "mysql://u:hunter2@h/d", "twokey.db", "sqlite://", "sqlite:////x\n"])
def test_a_database_that_is_none_is_refused_without_repeating_its_password(tmp_path: Path, database: str) -> None:
    sentence = refused(tmp_path, {"TWOKEY_DATABASE": database})
    assert sentence == "TWOKEY_DATABASE cannot be used: must be sqlite:///PATH or postgresql://USER@HOST/NAME."


@pytest.mark.parametrize("args", [("serve",), ("admin", "user", "list")])
@pytest.mark.parametrize("database", ["sqlite:////nowhere/there/twokey.db", "postgresql://u:hunter2@127.0.0.1:1/d"])
def test_a_database_that_does_not_answer(tmp_path: Path, database: str, args: tuple[str, ...]) -> None:
    done = run(*args, cwd=tmp_path, settings={**FREE_PORT, "TWOKEY_DATABASE": database})
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("twokey: The database cannot be opened: "), done
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        assert serving.stop() == 0
    (tmp_path / "data" / "twokey.db").write_text("not a database, " * 1000)
    sentence = refused(tmp_path, {})
    assert sentence == "The database cannot be opened: file is not a database. Look at TWOKEY_DATABASE."


def test_a_database_of_a_later_version(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        assert serving.stop() == 0
    with closing(sqlite3.connect(tmp_path / "data" / "twokey.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    sentence = refused(tmp_path, {})
    assert sentence.startswith("The database was last used by a later version of twokey (its schema is 9999)")


def test_a_vault_key_that_does_not_belong_to_the_database(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        assert serving.stop() == 0
    key = tmp_path / "data" / "vault.key"
    key.write_text('{"keys": [{"id": "00000000", "key": "' + "A" * 43 + '="}]}')
    sentence = refused(tmp_path, {})
    assert sentence.startswith("The database holds secrets under the vault key ")
    assert sentence.endswith("restore the vault.key that belongs to this database.")


def test_a_missing_vault_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        sign_up(serving, "alice")
        assert serving.stop() == 0
    key = tmp_path / "data" / "vault.key"
    kept = key.read_bytes()
    key.unlink()
    sentence = refused(tmp_path, {})
    assert sentence == (
        "The vault key file data/vault.key is missing, but the database holds secrets sealed under it: "
        "restore it from its copy."
    )
    assert not key.exists()
    key.write_bytes(kept)
    key.chmod(0o600)
    with Serving(tmp_path) as again:
        assert again.ask("GET", "/-/health")[0] == 200


def test_a_damaged_vault_key(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        assert serving.stop() == 0
    key = tmp_path / "data" / "vault.key"
    for text, said in (
        ("", "is damaged: restore it from its copy."),
        ("{}", "is damaged: restore it from its copy."),
        ('{"keys": []}', "holds no key: restore it from its copy."),
        ('{"keys": [], "more": 1}', "is damaged: restore it from its copy."),
    ):
        key.write_text(text)
        assert refused(tmp_path, {}) == f"The vault key file data/vault.key {said}"


def test_a_vault_key_that_others_may_read(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        assert serving.stop() == 0
    (tmp_path / "data" / "vault.key").chmod(0o644)
    sentence = refused(tmp_path, {})
    assert sentence == "The vault key file data/vault.key is open to others: run chmod 600 data/vault.key."
