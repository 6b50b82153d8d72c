"""The commands of the matrix: how each client spells them, and what they are to bring about in the registry."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.clients_matrix import credentials
from tests.clients_matrix.credentials import Column
from tests.clients_matrix.programs import Client
from tests.clients_matrix.scene import NEW_TEAM, OLD, Fresh, Names, Scene

UUID = "00000000-0000-4000-8000-000000000000"  # npm takes nothing else for a staged version


@dataclass(frozen=True)
class Seen:
    """What an effect is judged by: the registry before and after, what was printed, and the project's folder."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    text: str
    folder: Path


Effect = Callable[[Scene, Seen], bool]


@dataclass(frozen=True)
class Command:
    """A row. `words` spell it, under a client's name or a family's (npm, pnpm, yarn), otherwise under ``."""

    name: str
    columns: tuple[Column, ...]
    effect: Effect
    words: Mapping[str, str]
    dialog: bool = False  # it asks for more than a code, so it is always run in a terminal
    fresh: Fresh = Fresh.NOTHING
    installs: str = ""  # what the project depends on, installed before
    codes: tuple[int, ...] = field(default=(0,))  # the exit codes of success

    def spelled(self, client: Client, scene: Scene) -> list[str]:
        """The words for this client."""
        family = client.name.rstrip("0123456789")
        template = self.words.get(client.name, self.words.get(family, self.words[""]))
        return [word.format_map(Names(scene)) for word in shlex.split(template)]


def _package(scene: Scene, seen: Seen) -> dict[str, Any]:
    return dict(seen.after[scene.package])


def _shows(*names: str) -> Effect:
    """The output names these things of the scene, or has these words."""

    def effect(scene: Scene, seen: Seen) -> bool:
        wanted = [re.escape(name.format_map(Names(scene))) if name[:1] == "{" else name for name in names]
        return all(re.search(each, seen.text) for each in wanted)

    return effect


def _installed(name: str) -> Effect:
    return lambda scene, seen: (seen.folder / "node_modules" / getattr(scene, name) / "package.json").is_file()


def _changed(scene: Scene, seen: Seen) -> bool:
    return seen.before != seen.after


def _mode(mode: str) -> Effect:
    return lambda scene, seen: (seen.after["profile"]["tfa"] or {}).get("mode") == mode


def _switched_on(scene: Scene, seen: Seen) -> bool:
    wanted = "auth-only" if scene.column.enrolled else "auth-and-writes"
    return _mode(wanted)(scene, seen)


def _team(scene: Scene, seen: Seen, team: str) -> list[Any]:
    return list(seen.after["teams"].get(team, [[], {}]))


S, R, W = credentials.SIGNING_IN, credentials.READING, credentials.WRITING

SIGNING = (
    Command(
        "sign up", credentials.SIGNING_UP, lambda scene, seen: scene.exists(scene.newcomer), dialog=True,
        words={"": "adduser --auth-type=legacy", "pnpm12": "adduser", "yarn1": "adduser", "yarn4": "npm adduser", "bun": "adduser"},
    ),
    Command(
        "log in with a password", S, lambda scene, seen: len(seen.after["tokens"]) > len(seen.before["tokens"]), dialog=True,
        words={"": "login --auth-type=legacy", "pnpm12": "login", "yarn1": "login", "yarn4": "npm login", "bun": "login"},
    ),
    Command(
        "log in in the browser", S, lambda scene, seen: len(seen.after["tokens"]) > len(seen.before["tokens"]), dialog=True,
        words={"": "login", "yarn4": "npm login --web-login"},
    ),
)  # fmt: skip

LOGOUT = Command(
    "log out", credentials.LOGGING_OUT, lambda scene, seen: not scene.is_alive(scene.token), fresh=Fresh.TOKEN,
    words={"": "logout", "yarn4": "npm logout"},
)  # fmt: skip

READS = (
    Command("whoami", R, _shows("{name}"), {"": "whoami", "yarn4": "npm whoami", "bun": "pm whoami"}),
    Command("ping", R, lambda scene, seen: True, {"": "ping", "yarn4": "npm ping"}),
    Command("profile get", R, _shows("{name}", "@example.com"), {"": "profile get", "yarn4": "npm profile get"}),
    Command("token list", R, _shows("npm_"), {"": "token list", "yarn4": "npm token list"}),
    Command(
        "view", R, _shows("{package}", "2.0.0"),
        {"": "view {package}", "yarn1": "info {package}", "yarn4": "npm info {package}", "bun": "info {package}"},
    ),
    Command("install", R, _installed("package"), {"": "add {package}", "npm": "install {package}"}),
    Command("install what is private", R, _installed("private"), {"": "add {private}", "npm": "install {private}"}),
    Command(
        "dist-tag ls", R, _shows("latest", "old"),
        {"": "dist-tag ls {package}", "yarn1": "tag list {package}", "yarn4": "npm tag list {package}"},
    ),
    Command(
        "owner ls", R, _shows("{helper}"),
        {"": "owner ls {package}", "yarn1": "owner list {package}", "yarn4": "npm owner list {package}"},
    ),
    Command("access get status", R, _shows("public"), {"": "access get status {package}", "yarn4": "npm access get status {package}"}),
    Command(
        "access list packages", R, _shows("{package}"),
        {"": "access list packages {holder}", "npm6": "access ls-packages {holder}", "yarn4": "npm access list packages {holder}"},
    ),
    Command(
        "access list collaborators", R, _shows("{helper}"),
        {"": "access list collaborators {package}", "npm6": "access ls-collaborators {package}",
         "yarn4": "npm access list collaborators {package}"},
    ),
    Command("org ls", R, _shows("{carol}"), {"": "org ls {org}", "yarn4": "npm org ls {org}"}),
    Command(
        "team ls", R, _shows("{carol}"),
        {"": "team ls {org}:{team_of_carol}", "pnpm12": "team ls @{org}:{team_of_carol}", "yarn1": "team list {org}:{team_of_carol}",
         "yarn4": "npm team ls {org}:{team_of_carol}"},
    ),
    Command("stars", R, _shows("{starred}"), {"": "stars {starrer}", "yarn4": "npm stars {starrer}"}),
    Command("search", R, _shows("{package}"), {"": "search {package}", "yarn4": "npm search {package}"}),
    Command("outdated", R, _shows("1.0.0", "2.0.0"), {"": "outdated", "yarn4": "npm outdated"}, installs="1.0.0", codes=(0, 1)),
    Command(
        "audit", R, _shows("(?i)0 vulnerabilities|no known vulnerabilities|no vulnerabilities|no audit suggestions"),
        {"": "audit", "yarn4": "npm audit --recursive"}, installs="1.0.0",
    ),
    Command(
        "audit signatures", R, _shows("verified registry signature"),
        {"": "audit signatures", "yarn4": "npm audit signatures"}, installs="1.0.0",
    ),
    Command(
        "doctor", R, lambda scene, seen: True,
        {"": "doctor connection", "npm6": "doctor", "pnpm": "doctor", "yarn1": "doctor", "yarn4": "npm doctor", "bun": "doctor"},
        installs="1.0.0",  # pnpm's doctor looks for what an install makes
    ),
    Command("hook ls", R, lambda scene, seen: True, {"": "hook ls", "yarn4": "npm hook ls"}),
    Command("trust list", R, lambda scene, seen: True, {"": "trust list {package}", "yarn4": "npm trust list {package}"}),
    Command("stage list", R, lambda scene, seen: True, {"": "stage list", "yarn4": "npm stage list"}),
)  # fmt: skip

ACCOUNT = (
    Command(
        "profile set", W, lambda scene, seen: seen.after["profile"]["fullname"] == scene.unpublished,
        words={"": "profile set fullname {unpublished}", "yarn4": "npm profile set fullname {unpublished}"},
    ),
    Command(
        "profile enable-2fa", W, _switched_on, dialog=True, fresh=Fresh.ACCOUNT,
        words={"": "profile enable-2fa {mode}", "yarn4": "npm profile enable-2fa {mode}"},
    ),
    Command(
        "profile disable-2fa", W, lambda scene, seen: not seen.after["profile"]["tfa"], dialog=True, fresh=Fresh.ACCOUNT,
        words={"": "profile disable-2fa", "yarn4": "npm profile disable-2fa"},
    ),
    Command(
        "token create", W, lambda scene, seen: len(seen.after["tokens"]) > len(seen.before["tokens"]), dialog=True,
        words={"": "token create", "yarn4": "npm token create"},
    ),
    Command(
        "token revoke", W, lambda scene, seen: scene.victim not in seen.after["tokens"],
        words={"": "token revoke {victim}", "yarn4": "npm token revoke {victim}"},
    ),
)  # fmt: skip

PUBLISHING = (
    Command(
        "publish", credentials.PUBLISHING, lambda scene, seen: OLD in seen.after[scene.unpublished].get("versions", {}),
        {"": "publish", "pnpm": "publish --no-git-checks", "yarn4": "npm publish"},
    ),
)  # fmt: skip

PACKAGES = (
    Command(
        "dist-tag add", W, lambda scene, seen: _package(scene, seen)["tags"].get("beta") == OLD,
        {"": "dist-tag add {package}@1.0.0 beta", "yarn1": "tag add {package}@1.0.0 beta",
         "yarn4": "npm tag add {package}@1.0.0 beta"},
    ),
    Command(
        "dist-tag rm", W, lambda scene, seen: "old" not in _package(scene, seen)["tags"],
        {"": "dist-tag rm {package} old", "yarn1": "tag remove {package} old", "yarn4": "npm tag remove {package} old"},
    ),
    Command(
        "owner add", W, lambda scene, seen: scene.bob in _package(scene, seen)["owners"],
        {"": "owner add {bob} {package}", "pnpm12": "owner add {package} {bob}", "yarn4": "npm owner add {bob} {package}"},
    ),
    Command(
        "owner rm", W, lambda scene, seen: scene.carol not in _package(scene, seen)["owners"],
        {"": "owner rm {carol} {with_carol}", "pnpm12": "owner rm {with_carol} {carol}", "yarn1": "owner remove {carol} {with_carol}",
         "yarn4": "npm owner rm {carol} {with_carol}"},
    ),
    Command(
        "deprecate", W, lambda scene, seen: _package(scene, seen)["versions"].get(OLD) == "stale",
        {"": "deprecate {package}@1.0.0 stale", "yarn4": "npm deprecate {package}@1.0.0 stale"},
    ),
    Command(
        "undeprecate", W, lambda scene, seen: _package(scene, seen)["versions"].get(OLD) == "",
        {"": "undeprecate {deprecated}@1.0.0", "yarn4": "npm undeprecate {deprecated}@1.0.0"},
    ),
    Command(
        "unpublish a version", W, lambda scene, seen: list(_package(scene, seen)["versions"]) == ["2.0.0"],
        {"": "unpublish {package}@1.0.0", "yarn4": "npm unpublish {package}@1.0.0"},
    ),
    Command(
        "unpublish a package", W, lambda scene, seen: not _package(scene, seen),
        {"": "unpublish {package} --force", "yarn4": "npm unpublish {package} --force"},
    ),
    Command(
        "access set status", W, lambda scene, seen: not seen.after[scene.scoped]["access"]["public"],
        {"": "access set status=private {scoped}", "npm6": "access restricted {scoped}",
         "yarn1": "access restricted {scoped}", "yarn4": "npm access set status=private {scoped}"},
    ),
    Command(
        "access set mfa", W, lambda scene, seen: bool(_package(scene, seen)["access"]["publish_requires_tfa"]),
        {"": "access set mfa=publish {package}", "npm6": "access 2fa-required {package}",
         "yarn4": "npm access set mfa=publish {package}"},
    ),
    Command(
        "access grant", W, lambda scene, seen: bool(_team(scene, seen, scene.team)[1]),
        {"": "access grant read-only {org}:{team} {scoped}", "pnpm12": "access grant read-only @{org}:{team} {scoped}",
         "yarn4": "npm access grant read-only {org}:{team} {scoped}"},
    ),
    Command(
        "access revoke", W, lambda scene, seen: not _team(scene, seen, scene.team)[1],
        {"": "access revoke {org}:{team} {granted}", "pnpm12": "access revoke @{org}:{team} {granted}",
         "yarn4": "npm access revoke {org}:{team} {granted}"},
    ),
    Command(
        "star", W, lambda scene, seen: scene.name in _package(scene, seen)["stars"],
        {"": "star {package}", "yarn4": "npm star {package}"},
    ),
    Command(
        "unstar", W, lambda scene, seen: scene.name not in _package(scene, seen)["stars"],
        {"": "unstar {starred}", "yarn4": "npm unstar {starred}"},
    ),
)  # fmt: skip

ORGANISATIONS = (
    Command(
        "org set", W, lambda scene, seen: seen.after["members"].get(scene.bob) == "admin",
        {"": "org set {org} {bob} admin", "yarn4": "npm org set {org} {bob} admin"},
    ),
    Command(
        "org rm", W, lambda scene, seen: scene.carol not in seen.after["members"],
        {"": "org rm {org} {carol}", "yarn4": "npm org rm {org} {carol}"},
    ),
    Command(
        "team create", W, lambda scene, seen: NEW_TEAM in seen.after["teams"],
        {"": "team create {org}:writers", "pnpm12": "team create @{org}:writers", "yarn4": "npm team create {org}:writers"},
    ),
    Command(
        "team destroy", W, lambda scene, seen: scene.team not in seen.after["teams"],
        {"": "team destroy {org}:{team}", "pnpm12": "team destroy @{org}:{team}", "yarn4": "npm team destroy {org}:{team}"},
    ),
    Command(
        "team add", W, lambda scene, seen: scene.carol in _team(scene, seen, scene.team)[0],
        {"": "team add {org}:{team} {carol}", "pnpm12": "team add @{org}:{team} {carol}", "yarn4": "npm team add {org}:{team} {carol}"},
    ),
    Command(
        "team rm", W, lambda scene, seen: scene.carol not in _team(scene, seen, scene.team_of_carol)[0],
        {"": "team rm {org}:{team_of_carol} {carol}", "pnpm12": "team rm @{org}:{team_of_carol} {carol}",
         "yarn1": "team remove {org}:{team_of_carol} {carol}", "yarn4": "npm team rm {org}:{team_of_carol} {carol}"},
    ),
)  # fmt: skip

_LATER = (credentials.NO_2FA, credentials.NO_CODE, credentials.WITH_FLAG, credentials.AUTOMATION)
ABSENT = (
    Command("hook add", _LATER, _changed, {"": "hook add {package} http://localhost/ secret", "yarn4": "npm hook add {package} http://localhost/ secret"}),
    Command(
        "trust github", _LATER, _changed,
        {"": "trust github {package} --file=ci.yml --repo=o/r --allow-publish --yes",
         "yarn4": "npm trust github {package} --file=ci.yml --repo=o/r"},
    ),
    Command("trust revoke", _LATER, _changed, {"": "trust revoke {package} --id=one", "yarn4": "npm trust revoke {package} --id=one"}),
    Command(
        "stage publish", _LATER, _changed,
        {"": "stage publish", "pnpm": "stage publish --no-git-checks", "yarn4": "npm publish --staged"},
    ),
    Command("stage approve", _LATER, _changed, {"": f"stage approve {UUID}", "yarn4": f"npm stage approve {UUID}"}),
    Command("stage reject", _LATER, _changed, {"": f"stage reject {UUID}", "yarn4": f"npm stage reject {UUID}"}),
)  # fmt: skip

COMMANDS = {
    command.name: command
    for command in (*SIGNING, LOGOUT, *READS, *ACCOUNT, *PUBLISHING, *PACKAGES, *ORGANISATIONS, *ABSENT)
}  # fmt: skip
PUBLISH = COMMANDS["publish"]
