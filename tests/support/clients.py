"""Where the real clients are, as `tests/clients/package-lock.json` pins them."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "tests" / "clients" / "node_modules"
INSTALL = "npm ci --prefix tests/clients"
MONOREPO = ROOT / "tests" / "clients" / "monorepo" / "node_modules"

# What Python calls the processor, and what the platform packages of node and pnpm, and of bun, call it.
_PROCESSORS = {"x86_64": ("x64", "x64"), "aarch64": ("arm64", "aarch64")}


def missing() -> str | None:
    """Why the clients cannot be used, with the command that brings them; None when they are there."""
    if (MODULES / "npm12").is_dir():
        return None
    return f"the npm clients are not installed: run `{INSTALL}`"


def node() -> Path:
    """The Node that npm 12 asks for, from the lock; on other platforms whatever `node` there is."""
    processor = _PROCESSORS.get(platform.machine())
    if processor is not None:
        pinned = MODULES / f"node-linux-{processor[0]}" / "bin" / "node"
        if pinned.is_file():
            return pinned
    found = shutil.which("node")
    if found is None:
        raise FileNotFoundError("no node for the npm clients: run " + INSTALL)
    return Path(found)


def npm_cli(version: int) -> Path:
    """The script of one npm, by its major version."""
    return MODULES / f"npm{version}" / "bin" / "npm-cli.js"


def pnpm() -> Path | None:
    """pnpm 12, a plain binary; None where the lock has none for this platform."""
    processor = _PROCESSORS.get(platform.machine())
    return _present(MODULES / "@pnpm" / f"exe.linux-{processor[0]}" / "pnpm") if processor else None


def pnpm_10() -> Path:
    """The script of pnpm 10, which leaves to npm what it has no code for."""
    return MODULES / "pnpm10" / "bin" / "pnpm.cjs"


def pnpm_or_skip() -> str:
    """pnpm 12, for a test that cannot do without."""
    return _or_skip(pnpm(), "pnpm")


def bun_or_skip() -> str:
    """bun, for a test that cannot do without."""
    return _or_skip(bun(), "bun")


def bun() -> Path | None:
    """bun, a plain binary; None where the lock has none for this platform."""
    processor = _PROCESSORS.get(platform.machine())
    return _present(MODULES / "@oven" / f"bun-linux-{processor[1]}" / "bin" / "bun") if processor else None


def yarn_classic() -> Path:
    """The script of yarn 1."""
    return MODULES / "yarn1" / "bin" / "yarn.js"


def yarn_berry() -> Path:
    """The script of yarn 4."""
    return MODULES / "@yarnpkg" / "cli-dist" / "bin" / "yarn.js"


def monorepo_tool(command: str) -> Path:
    """`lerna` or `changeset`, from a lock of their own: they are large, and only long tests use them."""
    return MONOREPO / ".bin" / command


def monorepo_missing() -> str | None:
    """Why they cannot be used, with the command that brings them; None when they are there."""
    if monorepo_tool("lerna").exists():
        return None
    return "lerna and changesets are not installed: run `npm ci --prefix tests/clients/monorepo`"


def _or_skip(binary: Path | None, name: str) -> str:
    if binary is None:
        pytest.skip(f"the lock has no {name} for this platform")
    return str(binary)


def _present(path: Path) -> Path | None:
    return path if path.is_file() else None
