"""The applications whose packages are published here, as people set them up."""

from __future__ import annotations

from typing import Any

REACT = {"react": "latest", "react-dom": "latest"}

APPLICATIONS: dict[str, dict[str, Any]] = {
    # what `npm create vite -- --template react-ts` writes, with the plugins of its eslint beside
    "vite": {
        "type": "module",
        "dependencies": REACT,
        "devDependencies": {
            "@types/node": "latest",
            "@types/react": "latest",
            "@types/react-dom": "latest",
            "@vitejs/plugin-react": "latest",
            "oxlint": "latest",
            "typescript": "latest",
            "vite": "latest",
        },
    },
    "jest": {"devDependencies": {"jest": "latest"}},
    "eslint": {
        "devDependencies": {
            "@eslint/js": "latest",
            "eslint": "latest",
            "eslint-plugin-react-hooks": "latest",
            "eslint-plugin-react-refresh": "latest",
            "globals": "latest",
        },
    },
    "next": {
        "dependencies": {"next": "latest", **REACT},
        "devDependencies": {"eslint": "^9", "eslint-config-next": "latest"},
    },
}


def package_json(application: str, versions: dict[str, str] | None = None) -> dict[str, Any]:
    """The application's package.json; with `versions`, its direct dependencies are exactly these."""
    fields = APPLICATIONS[application]
    found: dict[str, Any] = {"name": f"{application}-app", "version": "0.0.0", "private": True, **fields}
    for kind in ("dependencies", "devDependencies"):
        if kind in fields and versions is not None:
            found[kind] = {name: versions[name] for name in fields[kind]}
    return found
