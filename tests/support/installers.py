"""Every client that installs, each by one command for a project's folder, without scripts and without a question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support import clients, yarn
from tests.support.npm import Npm, Result

Install = Callable[[Npm, Path, float], Result]
QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")


def _npm(npm: Npm, folder: Path, patience: float) -> Result:
    return npm.run("install", *QUIET, cwd=folder, patience=patience)


def _pnpm(npm: Npm, folder: Path, patience: float) -> Result:
    store = f"--store-dir={npm.home / 'store'}"
    command = [clients.pnpm_or_skip(), "install", "--ignore-scripts", "--no-frozen-lockfile", store]
    return npm.run_command(command, cwd=folder, patience=patience)


def _bun(npm: Npm, folder: Path, patience: float) -> Result:
    return npm.run_command([clients.bun_or_skip(), "install", "--ignore-scripts"], cwd=folder, patience=patience)


def _yarn_classic(npm: Npm, folder: Path, patience: float) -> Result:
    yarn.write_classic(npm, folder)
    script = [str(clients.node()), str(clients.yarn_classic()), "install", "--ignore-scripts", "--non-interactive"]
    return npm.run_command([*script, "--ignore-engines"], cwd=folder, patience=patience)


def _yarn_berry(npm: Npm, folder: Path, patience: float) -> Result:
    settings = (
        "enableScripts: false",
        "enableImmutableInstalls: false",
        "nodeLinker: node-modules",
        "npmMinimalAgeGate: 0",  # its own, of days, is for the tests of others
    )
    yarn.write_berry(npm, folder, *settings)
    (folder / "yarn.lock").write_text("", encoding="utf-8")
    script = [str(clients.node()), str(clients.yarn_berry())]
    return npm.run_command([*script, "install"], cwd=folder, patience=patience)


# The major version of the npm beside, and the command.
INSTALLERS: dict[str, tuple[int, Install]] = {
    "npm12": (12, _npm),
    "npm10": (10, _npm),
    "npm6": (6, _npm),
    "pnpm": (12, _pnpm),
    "yarn1": (12, _yarn_classic),
    "yarn4": (12, _yarn_berry),
    "bun": (12, _bun),
}
