"""Pictures of every page, light and dark, on a phone and on a screen: `make screenshots`. To be looked at by people.

python -m tests.web.screenshots FOLDER
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.support.server import Server
from tests.web import catalogue

SIZES = {"phone": {"width": 375, "height": 740}, "screen": {"width": 1280, "height": 800}}
SCHEMES = ("light", "dark")


def main(folder: Path) -> None:
    """Writes FOLDER/SIZE-SCHEME/NUMBER-PAGE.png for every page."""
    path = shutil.which("chromium")
    if path is None:
        sys.exit("Chromium is not installed (Debian: apt-get install chromium)")
    room = {"TWOKEY_LIMIT_SIGNUP": "1000"}
    with tempfile.TemporaryDirectory() as data, Server(Path(data), room) as server, sync_playwright() as playwright:
        world = catalogue.build(server)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for size, viewport in SIZES.items():
            for scheme in SCHEMES:
                context = browser.new_context(base_url=server.url, viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
                page = context.new_page()
                for number, name in enumerate(catalogue.visited(page, world), start=1):
                    page.screenshot(path=folder / f"{size}-{scheme}" / f"{number:02}-{name}.png", full_page=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
