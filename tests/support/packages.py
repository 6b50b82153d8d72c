"""Small packages to publish."""

from __future__ import annotations

import json
from pathlib import Path


def write(folder: Path, name: str, version: str = "1.0.0", **fields: object) -> Path:
    """A package in `folder`, made where it is missing; `fields` go into its package.json. The folder is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "name": name,
        "version": version,
        "description": f"{name}, for a test",
        "license": "MIT",
        "main": "index.js",
        **fields,
    }
    (folder / "package.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    (folder / "index.js").write_text(f"module.exports = {json.dumps(name + '@' + version)}\n", encoding="utf-8")
    (folder / "README.md").write_text(f"# {name}\n\nFor a test.\n", encoding="utf-8")
    return folder


def write_workspaces(folder: Path, names: list[str], version: str = "1.0.0") -> Path:
    """A private root with one workspace for each name, under `packages/`. The root's folder is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    root = {"name": "root", "version": "0.0.0", "private": True, "workspaces": ["packages/*"]}
    (folder / "package.json").write_text(json.dumps(root, indent=2) + "\n", encoding="utf-8")
    for name in names:
        write(folder / "packages" / name.replace("/", "-").lstrip("@"), name, version)
    return folder
