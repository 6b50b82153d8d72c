"""Every client that publishes, each by one command for a package's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support import clients, yarn
from tests.support.npm import Npm, Result

Publish = Callable[[Npm, Path, list[str]], Result]


def write_yarnrc(npm: Npm, folder: Path) -> None:
    """What yarn 4 has to be told to publish from the folder, which is a project of its own then."""
    yarn.write_berry(npm, folder, f"npmAuthToken: {npm.token()}")
    (folder / "yarn.lock").write_text("", encoding="utf-8")


def _npm(npm: Npm, folder: Path, flags: list[str]) -> Result:
    return npm.run("publish", *flags, cwd=folder)


def _pnpm(npm: Npm, folder: Path, flags: list[str]) -> Result:
    return npm.run_command([clients.pnpm_or_skip(), "publish", "--no-git-checks", *flags], cwd=folder)


def _bun(npm: Npm, folder: Path, flags: list[str]) -> Result:
    return npm.run_command([clients.bun_or_skip(), "publish", *flags], cwd=folder)


def _yarn_classic(npm: Npm, folder: Path, flags: list[str]) -> Result:
    yarn.write_classic(npm, folder)
    script = [str(clients.node()), str(clients.yarn_classic())]
    return npm.run_command([*script, "publish", "--non-interactive", *flags], cwd=folder)


def _yarn_berry(npm: Npm, folder: Path, flags: list[str]) -> Result:
    write_yarnrc(npm, folder)
    script = [str(clients.node()), str(clients.yarn_berry())]
    installed = npm.run_command([*script, "install", "--mode=skip-build"], cwd=folder)
    assert installed.returncode == 0, installed
    return npm.run_command([*script, "npm", "publish", *flags], cwd=folder)


# The major version of the npm beside, and the command.
PUBLISHERS: dict[str, tuple[int, Publish]] = {
    "npm12": (12, _npm),
    "npm11": (11, _npm),
    "npm10": (10, _npm),
    "npm6": (6, _npm),
    "pnpm": (12, _pnpm),
    "yarn1": (12, _yarn_classic),
    "yarn4": (12, _yarn_berry),
    "bun": (12, _bun),
}
