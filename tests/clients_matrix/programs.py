"""The clients of the matrix: how each is called, and what it has to be told before it finds the registry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import clients, yarn
from tests.support.npm import Npm


@dataclass(frozen=True)
class Client:
    """One client by its name in the matrix; `npm` is the major version of the npm beside it on PATH."""

    name: str
    title: str
    package: str
    npm: int
    command: Callable[[], list[str]]
    settings: Callable[[Npm, Path], None] = lambda npm, folder: None

    @property
    def version(self) -> str:
        """The version that the lock pins."""
        pinned = json.loads((clients.MODULES.parent / "package.json").read_text(encoding="utf-8"))
        return str({**pinned["optionalDependencies"], **pinned["dependencies"]}[self.package]).rpartition("@")[2]


def _node(script: Path) -> list[str]:
    return [str(clients.node()), str(script)]


def _npm(version: int) -> Client:
    return Client(f"npm{version}", f"npm {version}", f"npm{version}", version, lambda: _node(clients.npm_cli(version)))


def _yarn_berry(npm: Npm, folder: Path) -> None:
    """It reads no .npmrc, so it is told the token, too."""
    known = [f"npmAuthToken: {npm.token()}", "npmAlwaysAuth: true"] if npm.token() else []
    yarn.write_berry(npm, folder, f"npmPublishRegistry: {npm.server.url}", *known, "nodeLinker: node-modules")
    (folder / "yarn.lock").touch()


CLIENTS = {
    client.name: client
    for client in (
        _npm(6), _npm(10), _npm(11), _npm(12),
        Client("pnpm10", "pnpm 10", "pnpm10", 11, lambda: _node(clients.pnpm_10())),
        Client("pnpm12", "pnpm 12", "@pnpm/exe.linux-x64", 12, lambda: [clients.pnpm_or_skip()]),
        Client("yarn1", "Yarn 1", "yarn1", 12, lambda: _node(clients.yarn_classic()), yarn.write_classic),
        Client("yarn4", "Yarn 4", "@yarnpkg/cli-dist", 12, lambda: _node(clients.yarn_berry()), _yarn_berry),
        Client("bun", "Bun", "@oven/bun-linux-x64", 12, lambda: [clients.bun_or_skip()]),
    )
}  # fmt: skip
