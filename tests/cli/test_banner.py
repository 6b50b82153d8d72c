"""What `twokey serve` says at its start, and what it makes."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import twokey
from tests.cli.support import FREE_PORT, TWOKEY, Serving, environment, run, sign_up


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_banner_names_address_npm_command_data_and_the_way_to_administrators(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        address = f"http://localhost:{serving.port}/"
        assert serving.banner.startswith(f"twokey {twokey.__version__} listens on {address}\n")
        assert serving.banner_line("use it") == f"npm config set registry {address}"
        assert serving.banner_line("an account").startswith("npm adduser --auth-type=legacy ")
        assert "sign-up is open" in serving.banner_line("an account")
        assert serving.banner_line("an administrator") == f"{TWOKEY} admin user grant NAME"
        assert serving.banner_line("the data") == str(tmp_path / "data")
        assert serving.ask("GET", "/-/ping") == (200, {})


def test_the_banner_names_the_address_that_is_set_and_says_that_sign_up_is_closed(tmp_path: Path) -> None:
    with Serving(tmp_path, {**FREE_PORT, "TWOKEY_URL": "https://npm.example.com/"}) as serving:
        assert serving.banner_line("use it") == "npm config set registry https://npm.example.com/"
        assert "sign-up is closed" in serving.banner_line("an account")
        assert serving.ask("GET", "/-/health")[0] == 200


def pasted(serving: Serving, line: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a shell makes of a line, in the folder and with the environment of whoever started the server."""
    return subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=serving.cwd,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_printed_line_makes_an_administrator(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        sign_up(serving, "alice")
        done = pasted(serving, serving.banner_line("an administrator").replace("NAME", "alice"), {})
        assert (done.returncode, done.stdout) == (0, "alice is an administrator.\n"), done
        assert "administrator: True\n" in serving.admin("user", "show", "alice").stdout


def test_the_printed_lines_name_another_data_folder_so_that_a_shell_takes_it_for_one(tmp_path: Path) -> None:
    folder = tmp_path / "the registry's data"
    with Serving(tmp_path, {**FREE_PORT, "TWOKEY_DATA": str(folder)}) as serving:
        assert serving.banner_line("the data") == str(folder)
        sign_up(serving, "alice")
        line = serving.banner_line("an administrator")
        assert "--data" in line
        done = pasted(serving, line.replace("NAME", "alice"), {})
        assert (done.returncode, done.stdout) == (0, "alice is an administrator.\n"), done
        assert not (tmp_path / "data").exists()


def test_the_printed_line_makes_an_account_where_sign_up_is_closed(tmp_path: Path) -> None:
    with Serving(tmp_path, {**FREE_PORT, "TWOKEY_SIGNUP": "closed"}) as serving:
        line = re.findall(r"^ +(\S.* admin user create NAME)$", serving.banner, re.MULTILINE)[0]
        made = line.replace("NAME", "alice") + " --password-stdin"
        done = pasted(serving, f"echo plum-Orbit-quartz-71 | {made}", {})
        assert done.returncode == 0, done
        assert "alice" in serving.admin("user", "list").stdout


def test_the_data_folder_is_private_and_so_is_everything_in_it(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        data = tmp_path / "data"
        assert mode(data) == 0o700
        assert mode(data / "vault.key") == 0o600
        assert serving.ask("GET", "/-/health")[0] == 200
        assert {path.name for path in data.rglob("*") if mode(path) & 0o077} == set()


def test_a_data_folder_that_others_may_read_gets_files_that_they_may_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    with Serving(tmp_path):
        assert mode(data / "twokey.db") == 0o600
        assert mode(data / "vault.key") == 0o600


def test_the_key_is_made_once_and_lies_outside_the_database(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        made = (tmp_path / "data" / "vault.key").read_bytes()
        assert serving.stop() == 0
        database = (tmp_path / "data" / "twokey.db").read_bytes()
        key = re.findall(rb'"key": *"([^"]+)"', made)[0]
        assert key not in database
        serving.start()
        assert (tmp_path / "data" / "vault.key").read_bytes() == made


def test_port_0_takes_a_free_port_on_every_address(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with Serving(first) as one, Serving(second) as other:
        assert one.port != other.port
        assert one.ask("GET", "/-/ping")[0] == other.ask("GET", "/-/ping")[0] == 200


def test_the_options_of_the_command_line_win_over_the_environment(tmp_path: Path) -> None:
    done = run(
        "--data", "mine", "admin", "user", "list", cwd=tmp_path, settings={"TWOKEY_DATA": str(tmp_path / "theirs")}
    )
    assert done.returncode == 0, done
    assert (tmp_path / "mine").is_dir()
    assert not (tmp_path / "theirs").exists()


def test_settings_come_from_twokey_toml_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / "twokey.toml").write_text('port = 1\ndata = "from-file"\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n')
    with Serving(tmp_path) as serving:
        assert serving.port != 1
        assert serving.banner_line("the data") == str(tmp_path / "from-file")


def test_the_version_is_told_at_once(tmp_path: Path) -> None:
    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"twokey, version {twokey.__version__}\n")
    assert list(tmp_path.iterdir()) == []
