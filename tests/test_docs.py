"""docs/operate.md: every setting, audit event and admin command is there, and nothing that does not exist."""

from __future__ import annotations

import configparser
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path

import click
import pytest

from tests.cli.support import until
from tests.support.clients import ROOT
from tests.support.server import Server
from tests.support.wire import request
from twokey import settings
from twokey.audit.events import Event
from twokey.cli import admin_commands
from twokey.cli.main import cli
from twokey.cli.serve import GRACE_SECONDS
from twokey.settings import CONFIG, Settings, variable

OPERATE = (ROOT / "docs/operate.md").read_text()
UNIT = (ROOT / "docs/twokey.service").read_text()
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
ITEMS = {variable(item.name): item for item in fields(Settings)}


def section(title: str) -> str:
    """What stands under a heading, up to the next of its rank."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", OPERATE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def table(text: str) -> list[list[str]]:
    """The rows of the one table in `text`, without its head."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    assert set("".join(rows[1])) <= set("- |")
    return rows[2:]


def default(item: Field[object]) -> str:
    if item.default is None:
        return "none" if item.name.startswith("lifetime_") else "not set"
    return "not set" if item.default == () else f"`{item.default}`"


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


@pytest.fixture(scope="module")
def commands() -> dict[str, click.Command]:
    """Every admin command under its words."""
    admin = click.Group("admin")
    admin_commands.register(admin)
    return dict(leaves(admin, ("twokey", "admin")))


def test_the_table_of_settings_is_the_code_s() -> None:
    expected = [[f"`{name}`", default(item), item.metadata["meaning"]] for name, item in ITEMS.items()]
    assert table(section("Settings")) == expected


def test_every_value_that_a_choice_takes_is_told() -> None:
    for name, item in ITEMS.items():
        try:
            item.metadata["parse"]("\0")
        except ValueError as error:
            if "must be one of" in str(error):
                for value in str(error).removeprefix("must be one of ").split(", "):
                    assert f"`{value}`" in item.metadata["meaning"], name


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs/twokey.service"], ids=lambda page: page.name)
def test_no_page_names_a_setting_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"TWOKEY_[A-Z0-9_]*[A-Z0-9]", page.read_text()))
    assert named <= {*ITEMS, CONFIG}


def test_the_settings_file_of_the_example_can_be_read(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", OPERATE, re.DOTALL)
    path = tmp_path / "twokey.toml"
    path.write_text(example)
    given = settings.read({CONFIG: str(path)})
    assert given.url == "https://npm.example.com"
    assert len(given.trusted_proxies) == 2


def test_the_table_of_events_is_the_trail_s() -> None:
    rows = table(section("The audit trail"))
    assert [row[0] for row in rows] == [f"`{event}`" for event in Event]
    assert all(len(row) == 2 and row[1].endswith((".", ").")) for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_an_event_that_does_not_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:account|token|package|organisation|authorisation|operator):[a-z-]+:[a-z-]+)`", page.read_text()
    )
    assert set(named) <= set(Event)


def test_the_table_of_commands_is_the_command_line_s(commands: dict[str, click.Command]) -> None:
    rows = table(section("Admin commands").partition("\n### ")[0])
    documented = [row[0].strip("`") for row in rows]
    expected = []
    for words, command in commands.items():
        arguments = [str(each.name).upper() for each in command.params if isinstance(each, click.Argument)]
        expected.append(" ".join((words, *arguments)))
    assert sorted(documented) == sorted(expected)


def test_every_option_of_a_command_is_told(commands: dict[str, click.Command]) -> None:
    text = section("Admin commands")
    for words, command in commands.items():
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert f"`{option}" in text, f"{words} {option}"


def test_no_page_names_a_command_or_an_option_that_does_not_exist(commands: dict[str, click.Command]) -> None:
    options = {option for command in commands.values() for each in command.params for option in each.opts}
    for page in PAGES:
        for line in re.findall(r"twokey (?:--data \S+ )?admin ([^`\n]+)", page.read_text()):
            for words in itertools.product(*(word.split("|") for word in line.split())):
                written = f"twokey admin {' '.join(words)} "
                assert any(written.startswith(f"{each} ") for each in commands), f"{page.name}: {written}"
                assert {word for word in words if word.startswith("--")} <= options, f"{page.name}: {written}"
    assert set(cli.commands) == {"serve", "admin"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_health_and_log_lines_hold_what_is_told(server: Server) -> None:
    text = section("Health and logs")
    answer = request(server, "GET", "/-/health", headers={"user-agent": "test_docs"})
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    assert list(json.loads(example)) == list(answer.json)
    assert json.loads(example)["version"] == answer.json["version"]
    lines = until(
        lambda: [each for each in server.log.rpartition("\n")[0].splitlines() if '"test_docs"' in each],
        "the line of the log",
    )
    for name in json.loads(lines[0]):
        assert f"`{name}`" in text, name


def test_the_unit_runs_what_there_is_and_waits_as_long_as_a_stop_may_take() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNIT)
    service = unit["Service"]
    assert service["ExecStart"].split()[1:] == ["serve"]
    assert int(service["TimeoutStopSec"]) > GRACE_SECONDS
    assert service["StateDirectoryMode"] == "0700"
    name, _, value = service["Environment"].partition("=")
    assert variable("data") == name
    assert value == f"/var/lib/{service['StateDirectory']}"
    assert service["RestartPreventExitStatus"] == "2"
