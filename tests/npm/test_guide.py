"""docs/guide.md, followed to the letter: what stands in its blocks is what each real client is given here.

A block that begins with `# NAME` is that file of the folder, added to what is in it already; a block of `sh` is run.
The example's address, package, code and tokens are put in; Yarn 4 is also told that this server has no TLS.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.npm.conftest import MakeNpm
from tests.promises.support import ROOM
from tests.support import accounts, clients, packages
from tests.support.accounts import Account
from tests.support.clients import ROOT
from tests.support.npm import Npm, Result
from tests.support.server import Server
from tests.support.wire import request

GUIDE = (ROOT / "docs/guide.md").read_text(encoding="utf-8")
CODE, CI, INSTALL = "Publish with a code", "Publish from CI", "Install private packages"
YOUNG, CLOSED = "Young packages", "A registry that asks everybody for a token"
NPM, PNPM, YARN_1, YARN_4, BUN = "npm 6, 10, 11 and 12", "pnpm 10 and 12", "Yarn 1", "Yarn 4", "Bun"


def blocks(chapter: str, heading: str) -> list[tuple[str, str]]:
    """The blocks under a client's heading: the language and what is in it."""
    _, _, rest = GUIDE.partition(f"\n## {chapter}\n")
    _, found, text = rest.partition("\n## ")[0].partition(f"\n### {heading}\n")
    assert found, f"the guide has no {heading!r} for {chapter}"
    return re.findall(r"^```(\w*)\n(.*?)^```$", text.partition("\n### ")[0], re.MULTILINE | re.DOTALL)


@dataclass
class Reader:
    """Somebody who does what a chapter says, with one client, in folders of their own."""

    npm: Npm
    chapter: str
    package: str
    command: list[str]
    token: str = ""
    code: Callable[[], str] = field(default=lambda: "")

    def follow(self, heading: str, folder: Path) -> Result:
        """Writes the files under a heading and runs its commands; how the last one ended."""
        self.write(heading, folder)
        done = Result(0, "", "")
        for language, text in blocks(self.chapter, heading):
            if language == "sh":
                for line in text.splitlines():
                    done = self._run(self.filled(line), folder)
        return done

    def write(self, heading: str, folder: Path, most: int = 100) -> None:
        """Writes the first `most` files under a heading, each added to what is in it already."""
        self._allow_plain_http(folder)
        files = [text for language, text in blocks(self.chapter, heading) if language != "sh"]
        for text in files[:most]:
            named = re.match(r"# (\S+)\n", text)
            assert named is not None, text
            path = folder / named[1]
            path.write_text((path.read_text() if path.exists() else "") + self.filled(text), encoding="utf-8")

    def filled(self, text: str) -> str:
        """The text with what it stands for put in."""
        server = self.npm.server
        text = text.replace("https://npm.example.com/", server.url).replace("https://npm.example.com", server.url)
        text = text.replace("npm.example.com", server.host).replace("@acme/widget", self.package)
        text = text.replace("@acme/*", self.package.partition("/")[0] + "/*").replace("npm_XXXX", self.token)
        text = text.replace(" $NPM_TOKEN", f" {self.token}")  # as a shell does
        return text.replace("123456", self.code()) if "123456" in text else text

    def _run(self, line: str, folder: Path) -> Result:
        program, *words = line.split()
        assert program == self.chapter.split()[0].lower(), "a chapter is about its own client"
        git = program == "pnpm" and words[0] == "publish" and "--no-git-checks" not in words
        more = ["--no-git-checks"] if git else []
        env = {"NPM_TOKEN": self.token, "PNPM_HOME": str(self.npm.home / "pnpm")}
        return self.npm.run_command([*self.command, *words, *more], cwd=folder, env=env)

    def _allow_plain_http(self, folder: Path) -> None:
        if self.chapter == YARN_4 and not (folder / ".yarnrc.yml").exists():
            (folder / ".yarnrc.yml").write_text("unsafeHttpWhitelist: [localhost]\nenableTelemetry: false\n")
            (folder / "yarn.lock").touch()


def _npm_command(npm: Npm) -> list[str]:
    return [str(npm.home / "bin" / "npm")]


def _yarn(script: Path) -> list[str]:
    return [str(clients.node()), str(script)]


@dataclass(frozen=True)
class Client:
    """A chapter, and how its command is called."""

    chapter: str
    npm: int
    command: Callable[[Npm], list[str]]


CLIENTS = {
    "npm12": Client(NPM, 12, _npm_command),
    "npm11": Client(NPM, 11, _npm_command),
    "npm10": Client(NPM, 10, _npm_command),
    "npm6": Client(NPM, 6, _npm_command),
    "pnpm12": Client(PNPM, 12, lambda _npm: [clients.pnpm_or_skip()]),
    "yarn1": Client(YARN_1, 12, lambda _npm: _yarn(clients.yarn_classic())),
    "yarn4": Client(YARN_4, 12, lambda _npm: _yarn(clients.yarn_berry())),
    "bun": Client(BUN, 12, lambda _npm: [clients.bun_or_skip()]),
}
MakeReader = Callable[[str], Reader]


@pytest.fixture
def make_reader(make_npm: MakeNpm, package_name: str, enrolled: Account) -> MakeReader:
    """Makes readers who know nothing yet, each with a home of its own and nothing in it."""

    def make(client: str) -> Reader:
        npm = make_npm(CLIENTS[client].npm)
        npm.npmrc.unlink()
        return Reader(npm, CLIENTS[client].chapter, f"@{enrolled.name}/{package_name}", CLIENTS[client].command(npm))

    return make


def is_installed(folder: Path, package: str, version: str) -> bool:
    """Whether a version is in node_modules, or where Yarn 4 notes what it has."""
    manifest = folder / "node_modules" / package / "package.json"
    if manifest.exists():
        return bool(json.loads(manifest.read_text())["version"] == version)
    lock = folder / "yarn.lock"
    return lock.exists() and f'"{package}@npm:' in lock.read_text() and (folder / ".pnp.cjs").exists()


OTHER_NPM = ("npm11", "npm10")  # they read what npm 12 reads


@pytest.mark.parametrize(
    "client", [pytest.param(each, marks=pytest.mark.long if each in OTHER_NPM else ()) for each in CLIENTS]
)
def test_who_follows_the_guide_publishes_with_a_code_and_from_ci_and_installs_what_is_private(
    make_reader: MakeReader, enrolled: Account, server: Server, tmp_path: Path, client: str
) -> None:
    person = make_reader(client)
    person.token, person.code = accounts.publish_token(enrolled), enrolled.fresh_code
    made = person.follow(CODE, packages.write(tmp_path / "widget", person.package))
    assert made.returncode == 0, made
    path = "/" + person.package.replace("/", "%2f")
    assert request(server, "GET", path).status == 404, "it is private"

    robot = make_reader(client)
    robot.token = accounts.automation_token(enrolled)
    again = robot.follow(CI, packages.write(tmp_path / "ci", robot.package, "1.0.1"))
    assert again.returncode == 0, again
    versions = enrolled.ask("GET", path).json["versions"]
    assert set(versions) == {"1.0.0", "1.0.1"}

    app = packages.write(tmp_path / "app", "app", private=True)
    robot.token = accounts.read_only_token(enrolled)
    robot.write(CI, app)
    if client == "yarn4":
        robot.write(YOUNG, app, most=1)
    installed = robot.follow(INSTALL, app)
    assert installed.returncode == 0, installed
    assert is_installed(app, robot.package, "1.0.1")


def test_the_page_shows_yarn_4_what_it_needs_for_this_very_registry(
    make_reader: MakeReader, enrolled: Account, server: Server, tmp_path: Path
) -> None:
    page = request(server, "GET", "/guide", headers={"accept": "text/html"}).text
    shown = re.search(r'<pre[^>]* id="g-yarn4-file">(.*?)</pre>', page, re.DOTALL)
    assert shown is not None
    person, token = make_reader("yarn4"), accounts.publish_token(enrolled)
    folder = packages.write(tmp_path / "widget", person.package)
    (folder / ".yarnrc.yml").write_text(html.unescape(shown[1]).replace("npm_XXXX", token))
    (folder / "yarn.lock").touch()
    (command,) = re.findall(r'<code id="g-yarn4"[^>]*>yarn (.*?)</code>', page)
    installed = person.npm.run_command([*person.command, "install"], cwd=folder)
    assert installed.returncode == 0, installed.text
    words = [*command.replace("123456", enrolled.fresh_code()).split(), "--access", "public"]
    done = person.npm.run_command([*person.command, *words], cwd=folder)
    assert done.returncode == 0, done
    assert accounts.is_published(server, person.package)


# ---- young packages ----------------------------------------------------------------------------------------------

REFUSED = {
    "yarn4": "is quarantined",
    "pnpm12": "ERR_PNPM_NO_MATURE_MATCHING_VERSION",
    "bun": "blocked by minimum-release-age",
}


@pytest.fixture
def now(tmp_path: Path) -> Iterator[Account]:
    """Somebody on a server whose clock is the client's: what they publish is from this very moment."""
    with Server(tmp_path / "server", ROOM) as running:
        yield accounts.sign_up(running)


@pytest.fixture
def young(clients: None, now: Account, tmp_path: Path) -> MakeReader:
    """Makes readers who want a package that was published just now."""
    name = f"@{now.name}/young"
    assert accounts.publish(now, name).status == 201

    def make(client: str) -> Reader:
        npm = Npm(CLIENTS[client].npm, now.server, tmp_path / "home")
        npm.sign_in(now.token)
        return Reader(npm, CLIENTS[client].chapter, name, CLIENTS[client].command(npm), now.token)

    return make


def kept_back(reader: Reader, client: str, folder: Path) -> None:
    """A version from just now is not installed."""
    refused = reader.follow(INSTALL, folder)
    assert refused.returncode != 0, refused
    assert REFUSED[client] in refused.text
    assert not is_installed(folder, reader.package, "1.0.0")


@pytest.mark.parametrize("setting", ["npmPreapprovedPackages", "npmMinimalAgeGate"])
def test_yarn_4_keeps_a_version_from_just_now_back_until_it_is_told_as_the_guide_says(
    young: MakeReader, tmp_path: Path, setting: str
) -> None:
    reader, app = young("yarn4"), packages.write(tmp_path / "app", "app", private=True)
    reader.write(CI, app)
    kept_back(reader, "yarn4", app)
    (text,) = [text for _, text in blocks(YARN_4, YOUNG) if setting in text]
    with (app / ".yarnrc.yml").open("a") as settings:
        settings.write(reader.filled(text))
    installed = reader.follow(INSTALL, app)
    assert installed.returncode == 0, installed
    assert is_installed(app, reader.package, "1.0.0")


@pytest.mark.parametrize(
    ("client", "exclude"), [("pnpm12", "minimumReleaseAgeExclude"), ("bun", "minimumReleaseAgeExcludes")]
)
def test_pnpm_and_bun_keep_young_versions_back_but_for_those_that_the_guide_excludes(
    young: MakeReader, tmp_path: Path, client: str, exclude: str
) -> None:
    reader, app = young(client), packages.write(tmp_path / "app", "app", private=True)
    reader.write(CI, app)
    reader.write(YOUNG, app)
    ((_, text),) = blocks(reader.chapter, YOUNG)
    path = app / text.splitlines()[0].removeprefix("# ")
    whole = path.read_text()
    path.write_text(whole.partition(f"{exclude}")[0])
    kept_back(reader, client, app)
    path.write_text(whole)
    installed = reader.follow(INSTALL, app)
    assert installed.returncode == 0, installed
    assert is_installed(app, reader.package, "1.0.0")


# ---- a registry that shows nothing to strangers --------------------------------------------------------------------


@pytest.mark.parametrize("client", ["yarn1", "yarn4"])
def test_a_token_for_everything_is_sent_once_the_guide_s_setting_says_so(
    clients: None, tmp_path: Path, client: str
) -> None:
    with Server(tmp_path / "server", {**ROOM, "TWOKEY_READ": "authenticated"}) as server:
        alice = accounts.sign_up(server)
        assert accounts.publish(alice, "open").status == 201
        npm = Npm(CLIENTS[client].npm, server, tmp_path / "home")
        npm.npmrc.unlink()
        reader = Reader(npm, CLIENTS[client].chapter, "open", CLIENTS[client].command(npm), alice.token)
        app = packages.write(tmp_path / "app", "app", private=True)
        reader.write(CI, app)
        if client == "yarn4":
            reader.write(YOUNG, app)
        refused = reader.follow(INSTALL, app)
        assert refused.returncode != 0, refused
        assert not is_installed(app, "open", "1.0.0")
        reader.write(CLOSED, app)
        installed = reader.follow(INSTALL, app)
        assert installed.returncode == 0, installed
        assert is_installed(app, "open", "1.0.0")


def test_npm_12_takes_no_tarball_from_another_name_of_the_registry(clients: None, tmp_path: Path) -> None:
    with Server(tmp_path / "server", {**ROOM, "TWOKEY_URL": "http://registry.localhost"}) as server:
        assert accounts.publish(accounts.sign_up(server), "open").status == 201
        npm = Npm(12, server, tmp_path / "home")
        refused = npm.run("install", "open", cwd=packages.write(tmp_path / "app", "app", private=True))
    assert refused.returncode == 1, refused
    assert "EALLOWREMOTE" in refused.stderr
    assert not is_installed(tmp_path / "app", "open", "1.0.0")
