"""The tools that publish a monorepo: each is given ten packages and one command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.npm.publishers import Publish, write_yarnrc
from tests.support import clients, packages
from tests.support.npm import Npm, Result


@dataclass(frozen=True)
class Tool:
    """A tool by name; `publish` runs its command in the root folder with the flags given, `--otp=CODE` or none."""

    name: str
    npm: int
    publish: Publish
    says_what_is_missing: str
    """Its words where a code is missing, or no longer good, and there is no terminal to ask on."""
    says_published: str = "+ {}@1.0.0"
    between: tuple[int, str] | None = (4, "postpublish")
    """A script that the tool runs between the fifth publish and the sixth: of which package, and its name. None where
    it publishes all at once."""
    resume: tuple[str, ...] | None = ()
    """The flags with which the same command later publishes the rest; None where it cannot."""


def write(root: Path, names: list[str], *, script: tuple[int, str, str] | None = None) -> None:
    """A private root with one workspace for each name, each depending on the one before. `script` is the number of a
    package, the name of a script and its command."""
    packages.write_workspaces(root, names)
    (root / "pnpm-workspace.yaml").write_text("packages: [packages/*]\n", encoding="utf-8")
    (root / ".gitignore").write_text("node_modules\n", encoding="utf-8")
    (root / "lerna.json").write_text('{"version": "independent", "npmClient": "npm"}\n', encoding="utf-8")
    (root / ".changeset").mkdir()
    (root / ".changeset" / "config.json").write_text('{"access": "public", "baseBranch": "main"}\n', encoding="utf-8")
    for number, name in enumerate(names):
        before = {names[number - 1]: "1.0.0"} if number else {}
        scripts = {script[1]: script[2]} if script is not None and script[0] == number else {}
        packages.write(root / "packages" / name, name, dependencies=before, scripts=scripts)


def _npm(npm: Npm, root: Path, flags: list[str]) -> Result:
    return npm.run("publish", "--workspaces", *flags, cwd=root)


def _pnpm(npm: Npm, root: Path, flags: list[str]) -> Result:
    return npm.run_command([clients.pnpm_or_skip(), "-r", "publish", "--no-git-checks", *flags], cwd=root)


def _yarn(npm: Npm, root: Path, flags: list[str]) -> Result:
    write_yarnrc(npm, root)
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
    if not (root / "node_modules").exists():
        (root / "node_modules").symlink_to(clients.MONOREPO)
    return npm.run("exec", "--", "changeset", "publish", *flags, cwd=root)


def _commit(npm: Npm, root: Path) -> None:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "--allow-empty", "-m", "Begin"]):
        done = npm.run_command(["git", *command], cwd=root)
        assert done.returncode == 0, done


_EOTP = "This operation requires a one-time password from your authenticator."
TOOLS = [
    # npm ends at the first workspace whose version is there already
    *(Tool(f"npm{version}", version, _npm, _EOTP, resume=None) for version in (12, 11, 10)),
    Tool("pnpm", 12, _pnpm, "requires additional authentication", "{}@1.0.0"),
    Tool(
        "yarn4", 12, _yarn, "requires additional authentication", "Package archive published",
        between=(5, "prepublish"), resume=("--tolerate-republish",),
    ),
]  # fmt: skip
HEAVY_TOOLS = [
    Tool("lerna", 12, _lerna, "EOTP", "{} 1.0.0"),
    Tool("changesets", 12, _changesets, _EOTP, "{}@1.0.0", between=None),
]
