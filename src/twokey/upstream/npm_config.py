"""The registry that this machine's npm is set up with: what `TWOKEY_UPSTREAM=npm` means."""

from __future__ import annotations

import shutil
import subprocess

from twokey.errors import ConfigurationError

SECONDS = 30


def registry() -> str:
    """What `npm config get registry` says, without a slash at its end. Raises ConfigurationError."""
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigurationError("TWOKEY_UPSTREAM=npm asks npm, and there is none: name the address instead.")
    try:
        asked = subprocess.run(  # noqa: S603 - npm's own path and fixed words
            [npm, "config", "get", "registry"], capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigurationError("TWOKEY_UPSTREAM=npm asks npm for its registry, and npm failed: name it.") from error
    return asked.stdout.strip().rstrip("/")
