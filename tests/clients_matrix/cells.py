"""Runs a cell: prepares, runs the client with or without a terminal, looks at the registry, says what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from tests.clients_matrix.commands import Command, Seen
from tests.clients_matrix.credentials import Column
from tests.clients_matrix.programs import Client
from tests.clients_matrix.results import (
    ABSENT,
    ASKED,
    FLAG_UNKNOWN,
    REFUSALS,
    SENTENCES,
    UNKNOWN,
    Kind,
    Result,
    note_of,
    sentence_of,
)
from tests.clients_matrix.scene import OLD, Scene, World
from tests.support import packages, yarn
from tests.support.interceptor import intercepting
from tests.support.npm import NOTHING, Npm
from tests.support.pages import Browser
from tests.support.tuf import EmptyRepository

# Nothing that is expected takes a client so long without a word.
SILENCE = 12.0
IN_BROWSER = "log in in the browser"
PAGE = re.compile(r"https?://\S+?(/login/cli/[0-9A-Za-z]{43})")
SECRET = re.compile(r"(?:[Oo]r enter code:\s*|secret=)([A-Z2-7]{16,})")
Answers = dict[re.Pattern[str], Callable[[str], str | None]]


@dataclass
class Stage:
    """One cell while it runs."""

    client: Client
    command: Command
    column: Column
    scene: Scene
    npm: Npm
    folder: Path
    asked: bool = False  # in the browser
    flagged: bool = False  # a flag has brought the code

    @property
    def line(self) -> list[str]:
        """The command line, with the code where a flag brings it."""
        words = [*self.client.command(), *self.command.spelled(self.client, self.scene)]
        if self.column.typed:
            return words
        if self.client.name == "yarn1" and not self.command.dialog:
            words.append("--non-interactive")
        code = None if self._by_environment else self.scene.code()
        self.flagged = code is not None
        return words + ([f"--otp={code}"] if code else [])

    @property
    def environ(self) -> dict[str, str]:
        """`npm trust` takes no `--otp`: the code comes by the setting of the same name."""
        code = self.scene.code() if self._by_environment and not self.column.typed else None
        return {"npm_config_otp": code} if code else {}

    @property
    def _by_environment(self) -> bool:
        return self.command.name.startswith("trust")


def run(client: Client, command: Command, column: Column, world: World, home: Path) -> Result:
    """The cell's result. Raises AssertionError where the server failed or a refusal left something behind."""
    scene = Scene(world, column, command.fresh)
    npm = Npm(client.npm, world.server, home)
    if scene.token:
        npm.sign_in(scene.token)
    folder = packages.write(home / "project", scene.unpublished, OLD)
    if command.installs:
        packages.write(folder, "project", dependencies={scene.package: command.installs})
    stage = Stage(client, command, column, scene, npm, folder)
    client.settings(npm, folder)
    if client.name == "yarn4" and command.name in ("publish", "stage publish"):
        npm.run_command([*client.command(), "install"], cwd=folder)
    command.spelled(client, scene)  # makes what it names
    with _way_out(stage) as environ:
        if command.installs:
            npm.run_command([*client.command(), "install"], cwd=folder, env=environ)
        before, logged = scene.snapshot(), len(world.server.log)
        code, text = _in_terminal(stage, environ) if column.typed or command.dialog else _in_pipe(stage, environ)
    npm.close()
    alive_after = Seen(before, {}, text, folder)
    effect = command.effect(scene, alive_after) if command.name == "log out" else None
    after = scene.snapshot()
    if effect is None:
        effect = command.effect(scene, Seen(before, after, text, folder))
    _assert_well(world.server.log[logged:], text)
    result = _judge(stage, code, text, effect)
    if result.kind is not Kind.WORKS:
        assert before == after, (f"{result} left something behind", text)
    return result


def _in_pipe(stage: Stage, environ: dict[str, str]) -> tuple[int, str]:
    done = stage.npm.run_command(stage.line, cwd=stage.folder, env={**environ, **stage.environ})
    return done.returncode, done.text


def _in_terminal(stage: Stage, environ: dict[str, str]) -> tuple[int, str]:
    terminal = stage.npm.spawn_command(stage.line, cwd=stage.folder, env={**environ, **stage.environ})
    return terminal.converse(_answers(stage), SILENCE)


def _answers(stage: Stage) -> Answers:
    """What a person would type at each question that some client asks."""
    scene = stage.scene

    def code(text: str) -> str | None:
        given = scene.code() if stage.column.typed else None
        return given.replace("-", "") if given else None

    def confirm(text: str) -> str | None:
        found = SECRET.findall(text)
        return scene.code_of(found[-1]) if found else None

    in_browser = stage.command.name == IN_BROWSER
    name = scene.newcomer if stage.command.name == "sign up" else scene.name
    return {
        re.compile(
            r"Enter OTP:|one-time password: ?$|[Oo]ne-time password:|Enter one-time password:|question npm one-time"
        ): code,
        re.compile(r"OTP code from your authenticator"): confirm,
        re.compile(r"npm password:|Current password:"): lambda text: scene.password,
        re.compile(r"(?m)^\W*(?:question )?(?:npm )?[Uu]sername:"): lambda text: None if in_browser else name,
        re.compile(r"(?m)^\W*(?:question )?(?:npm )?[Pp]assword:"): lambda text: scene.password,
        re.compile(r"(?:npm )?[Ee]mail[^\n]*:"): lambda text: f"{name}@example.com",
        re.compile(r"question New version"): lambda text: "",
        re.compile(r"open your browser now\?"): lambda text: "n",
        re.compile(r"/login/cli/[0-9A-Za-z]{43}\s"): lambda text: _approve(stage, text) if in_browser else None,
    }


def _approve(stage: Stage, text: str) -> str | None:
    """Signs in to the page that the client shows, and approves it: a person in a browser, with their second factor."""
    found = PAGE.search(text)
    assert found is not None
    scene, browser = stage.scene, Browser(stage.npm.server)
    otp = scene.code()
    if scene.account.secret and otp is None:
        browser.get("/login")
        stage.asked = "otp" in browser.submit("/login", username=scene.name, password=scene.password).html
        return None
    browser.sign_in(scene.account, otp)
    browser.get(urlsplit(found[0]).path)
    page = browser.submit(urlsplit(found[0]).path, decision="approve")
    assert "Approved" in page.words, page.words
    return NOTHING


@contextmanager
def _way_out(stage: Stage) -> Iterator[dict[str, str]]:
    """What asks an address that is built into it is led elsewhere: nothing leaves the machine."""
    server = stage.npm.server

    def here(method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        kept = {
            name: value for name, value in headers.items() if name.startswith("content-") or name == "authorization"
        }
        connection = HTTPConnection("localhost", server.port)
        try:
            connection.request(method, path, body, kept)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    if stage.command.name == "audit signatures" and stage.client.name.startswith("npm"):
        repository = EmptyRepository()
        repository.trust(stage.npm.home / ".npm")
        with intercepting(repository.respond) as way:
            yield way.environ
    elif stage.client.name == "yarn1" and stage.command.name.startswith("audit"):
        with intercepting(here) as way:
            yarn.write_classic(stage.npm, stage.folder, https_proxy=way.url, cafile=way.authority)
            yield way.environ
    else:
        yield {}


def _assert_well(log: str, text: str) -> None:
    """The server answered nothing with a 5xx, and nobody printed a traceback of ours."""
    assert "Traceback" not in log + text, log
    failed = re.findall(r'"status": ?5\d\d', log)
    assert not failed, log


def _judge(stage: Stage, code: int, text: str, effect: bool) -> Result:
    names = _names(stage)
    if code in stage.command.codes and effect:
        return Result(Kind.WORKS)
    if FLAG_UNKNOWN.search(text) and stage.flagged:
        return Result(Kind.ERROR, "It takes no --otp here.")
    if code != 0 and UNKNOWN.search(text):
        return Result(Kind.NO_COMMAND)
    absent = sentence_of(text, names, ABSENT)
    if absent:
        return Result(Kind.ABSENT, absent)
    sentence = sentence_of(text, names, SENTENCES)
    if sentence:
        return Result(Kind.REFUSED, sentence)
    if stage.asked or ASKED.search(text):
        return Result(Kind.ASKS)
    another = _another_way(stage, text)
    if another:
        return Result(Kind.OTHER_WAY, another)
    if code == 0:
        return Result(Kind.NO_EFFECT)
    return Result(Kind.REFUSED if REFUSALS.search(text) else Kind.ERROR, note_of(text, names))


def _another_way(stage: Stage, text: str) -> str:
    if stage.command.name == IN_BROWSER:
        return "It asks for name and password on the terminal." if re.search(r"[Uu]sername:", text) else ""
    return "It goes to the browser where the registry can." if PAGE.search(text) else ""


def _names(stage: Stage) -> dict[str, str]:
    """What stands for the names of this cell."""
    scene = stage.scene
    made = scene.__dict__
    found = {
        scene.name: "USER", scene.world.bob.name: "BOB", scene.world.carol.name: "CAROL",
        scene.world.helper.name: "HELPER", str(stage.npm.home): "HOME",
    }  # fmt: skip
    for name in ("package", "unpublished", "scoped"):
        if made.get(name):
            found[made[name]] = "PACKAGE"
            found[made[name].replace("/", "%2f")] = "PACKAGE"
    if made.get("org"):
        found[made["org"]] = "ORG"
    return found
