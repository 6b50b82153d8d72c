"""`make serve`: the command of the README, with `make` between whoever stops it and the server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import FREE_PORT, HalfSent, Serving, run, sign_up, until
from tests.support.accounts import publish_document


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Serving]:
    """The server, started by make."""
    settings = {**FREE_PORT, "TWOKEY_DATA": str(tmp_path / "data")}
    with Serving(tmp_path, settings, ["make", "--no-print-directory", "serve"]) as serving:
        yield serving


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for yet has ended, too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_printed_line_is_the_one_of_the_clone(made: Serving) -> None:
    line = made.banner_line("an administrator")
    assert line == f".venv/bin/twokey --data {made.settings['TWOKEY_DATA']} admin user grant NAME"


@pytest.mark.parametrize(
    ("number", "whole_group"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
    ids=["SIGTERM to make", "SIGTERM to both", "Ctrl-C in a terminal"],
)
def test_a_signal_stops_the_server_and_leaves_no_process(
    made: Serving, number: signal.Signals, whole_group: bool
) -> None:
    (server,) = children(made.process.pid)
    token = sign_up(made, "alice")
    publish = HalfSent(made, "PUT", "/core", token, publish_document("core", "1.0.0"))
    if whole_group:
        os.killpg(made.process.pid, number)
    else:
        made.send(number)
    until(lambda: not made.listens(), "the listener to close")
    assert publish.finish()[0] == 201
    made.exit_code()
    until(lambda: is_gone(server), "the end of the server")
    assert "Traceback" not in made.log
    assert run("admin", "fsck", cwd=made.cwd, settings={"TWOKEY_DATA": made.settings["TWOKEY_DATA"]}).returncode == 0
