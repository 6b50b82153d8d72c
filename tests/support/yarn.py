"""What yarn has to be told in files of its own before it finds a registry: it reads little of npm's settings."""

from __future__ import annotations

from pathlib import Path

from tests.support.npm import Npm


def write_berry(npm: Npm, folder: Path, *more: str) -> None:
    """The settings of yarn 4, and lines beside. It refuses plain http unless the host is listed."""
    lines = [
        f"npmRegistryServer: {npm.server.url}",
        "unsafeHttpWhitelist: [localhost]",
        "enableTelemetry: false",
        *more,
    ]
    (folder / ".yarnrc.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_classic(npm: Npm, folder: Path, **more: object) -> None:
    """The settings of yarn 1, and more by their names, with `_` for `-`."""
    settings = {"registry": npm.server.url, **{name.replace("_", "-"): value for name, value in more.items()}}
    lines = [f'{name} "{value}"' for name, value in settings.items()]
    (folder / ".yarnrc").write_text("\n".join(lines) + "\n", encoding="utf-8")
