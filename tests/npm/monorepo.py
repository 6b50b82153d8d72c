"""The tools that publish a monorepo: each is given ten packages and one command."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import clients, packages
from tests.support.npm import Npm, Result

Publish = Callable[[Npm, Path, list[str]], Result]


@dataclass(frozen=True)
class Tool:
    """A tool by name; `publish` runs its command in the root folder with the flags given, `--otp=CODE` or none."""

    name: str
    npm: int
    publish: Publish
    stops_at_a_refusal: bool = True


def write(root: Path, names: list[str], *, script: tuple[str, str] | None = None) -> None:
    """A private root with one workspace for each name. `script` is the name of a package and what npm is to run
    before it publishes that one."""
    packages.write_workspaces(root, names)
    (root / "pnpm-workspace.yaml").write_text("packages: [packages/*]\n", encoding="utf-8")
    (root / "lerna.json").write_text('{"version": "independent", "npmClient": "npm"}\n', encoding="utf-8")
    (root / ".changeset").mkdir()
    (root / ".changeset" / "config.json").write_text('{"access": "public", "baseBranch": "main"}\n', encoding="utf-8")
    if script is not None:
        file = root / "packages" / script[0] / "package.json"
        manifest = json.loads(file.read_text(encoding="utf-8"))
        manifest["scripts"] = {"prepublishOnly": script[1]}
        file.write_text(json.dumps(manifest), encoding="utf-8")


def _npm(npm: Npm, root: Path, flags: list[str]) -> Result:
    return npm.run("publish", "--workspaces", *flags, cwd=root)


def _pnpm(npm: Npm, root: Path, flags: list[str]) -> Result:
    binary = clients.pnpm() or pytest.skip("the lock has no pnpm for this platform")
    return npm.run_command([str(binary), "-r", "publish", "--no-git-checks", *flags], cwd=root)


def _yarn(npm: Npm, root: Path, flags: list[str]) -> Result:
    settings = [
        f"npmRegistryServer: {npm.server.url}",
        f"npmAuthToken: {npm.token()}",
        "unsafeHttpWhitelist: [localhost]",
        "enableTelemetry: false",
    ]
    (root / ".yarnrc.yml").write_text("\n".join(settings) + "\n", encoding="utf-8")
    (root / "yarn.lock").write_text("", encoding="utf-8")
    yarn = [str(clients.node()), str(clients.yarn_berry())]
    installed = npm.run_command([*yarn, "install", "--mode=skip-build"], cwd=root)
    assert installed.returncode == 0, installed
    return npm.run_command(
        [*yarn, "workspaces", "foreach", "--all", "--no-private", "npm", "publish", *flags], cwd=root
    )


def _lerna(npm: Npm, root: Path, flags: list[str]) -> Result:
    """`from-package` publishes what the registry does not have; it wants a repository with a commit."""
    _commit(npm, root)
    lerna = [str(npm.home / "bin" / "node"), str(clients.monorepo_tool("lerna"))]
    registry = f"--registry={npm.server.url}"
    return npm.run_command([*lerna, "publish", "from-package", "--yes", registry, *flags], cwd=root)


def _changesets(npm: Npm, root: Path, flags: list[str]) -> Result:
    """Through npm, as `npx changeset publish`: npm hands its registry on, which Changesets reads nowhere else."""
    _commit(npm, root)
    (root / "node_modules").symlink_to(clients.MONOREPO)
    return npm.run("exec", "--", "changeset", "publish", *flags, cwd=root)


def _commit(npm: Npm, root: Path) -> None:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "Begin"]):
        done = npm.run_command(["git", *command], cwd=root)
        assert done.returncode == 0, done


TOOLS = [
    Tool("npm12", 12, _npm),
    Tool("npm11", 11, _npm),
    Tool("npm10", 10, _npm),
    Tool("pnpm", 12, _pnpm),
    Tool("yarn4", 12, _yarn),
]
HEAVY_TOOLS = [Tool("lerna", 12, _lerna), Tool("changesets", 12, _changesets)]
