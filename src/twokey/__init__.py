"""twokey: an npm-compatible package registry where a stolen password or token alone cannot publish."""

__version__ = "0.1.0"
